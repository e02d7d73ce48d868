"""The servers that other tests rely on."""

from pathlib import Path

import pytest
from s3_server import running_server, s3_client

pytestmark = pytest.mark.s3


def test_two_servers_run_side_by_side(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    with running_server(folders[0]) as first, running_server(folders[1]) as second:
        clients = [s3_client(first), s3_client(second)]
        for number, client in enumerate(clients):
            client.create_bucket(Bucket=f"only-{number}")
            client.put_object(Bucket=f"only-{number}", Key="x", Body=b"%d" % number)
        for number, client in enumerate(clients):
            names = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
            assert names == {"ready", f"only-{number}"}
            body = client.get_object(Bucket=f"only-{number}", Key="x")["Body"]
            assert body.read() == b"%d" % number
