"""Ray Train's own small files in object storage go the way of all others."""

import pickle
from pathlib import Path

import pytest
from pyarrow.fs import FileType
from s3_server import s3_environment

from catalogtool import storage
from catalogtool.distributed.ray_storage import object_storage
from catalogtool.errors import StorageError

pytestmark = pytest.mark.s3


def test_files_are_written_found_and_read_also_by_another_process(s3_bucket: str) -> None:
    folder = s3_bucket.removeprefix("s3://") + "/train"
    there = pickle.loads(pickle.dumps(object_storage()))  # noqa: S301 - our own
    there.create_dir(folder)
    for name, content in (("mark", b""), ("list.json", b"[1]")):
        with there.open_output_stream(f"{folder}/{name}") as sink:
            sink.write(content)
    mark, listed, missing = there.get_file_info(
        [f"{folder}/{n}" for n in ("mark", "list.json", "x")]
    )
    assert (mark.size, listed.size) == (0, 3)
    assert missing.type == FileType.NotFound
    assert there.open_input_stream(f"{folder}/list.json").read() == b"[1]"


def test_the_profile_of_a_bucket_counts(
    s3_bucket: str, s3_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = s3_environment(s3_port)
    config = tmp_path / "config"
    config.write_text(
        "[profile site]\n"
        f"aws_access_key_id = {environment['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {environment['AWS_SECRET_ACCESS_KEY']}\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    bucket = s3_bucket.removeprefix("s3://")
    with pytest.raises(StorageError, match="access denied"):
        object_storage().open_output_stream(f"{bucket}/x").close()
    monkeypatch.setenv(
        "CATALOGTOOL_STORAGE", f'{{"buckets": {{"{bucket}": {{"profile": "site"}}}}}}'
    )
    with object_storage().open_output_stream(f"{bucket}/x") as sink:
        sink.write(b"here")
    assert storage.read_bytes(f"{s3_bucket}/x") == b"here"
