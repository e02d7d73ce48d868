"""Fixtures that many tests share."""

import json
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from fault_proxy import FaultProxy, fault_proxy
from s3_server import running_server, s3_client, s3_environment

# What starts in the background ignores Ctrl-C, and so would all that these tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Machines differ; what is slow is seen in benchmarks.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with long tests come first: what is left for the end is short, on all processes."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    if not os.environ.get("CATALOGTOOL_LONG"):
        reason = pytest.mark.skip(reason="takes minutes; set CATALOGTOOL_LONG=1")
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(reason)


@pytest.fixture
def data_folder() -> Path:
    """Folder of real data, named by CATALOGTOOL_DATA."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CATALOGTOOL_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} does not exist; set CATALOGTOOL_DATA")
    return folder


@pytest.fixture(scope="session")
def s3_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of a real S3 server that lives as long as the test session."""
    with running_server(tmp_path_factory.mktemp("s3")) as port:
        yield port


@pytest.fixture
def s3_bucket(s3_port: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """URI of an empty bucket, with the AWS variables set to reach it."""
    for name, value in s3_environment(s3_port).items():
        monkeypatch.setenv(name, value)
    bucket = f"test-{uuid.uuid4().hex[:12]}"
    s3_client(s3_port).create_bucket(Bucket=bucket)
    return f"s3://{bucket}"


@pytest.fixture
def s3_faults(
    s3_bucket: str,  # noqa: ARG001 - sets the credentials
    s3_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[FaultProxy]:
    """Faults in 5 % of the requests to the S3 server, from now on; found out soon."""
    with fault_proxy(s3_port, seed=4, stall_s=3) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
        patience = {"stall_seconds": 1, "retry_seconds": 60}
        monkeypatch.setenv("CATALOGTOOL_STORAGE", json.dumps(patience))
        yield proxy
