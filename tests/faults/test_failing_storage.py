"""A whole production on object storage that fails now and then, and what it writes down."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fault_proxy import FAULTS, FaultProxy
from s3_server import s3_environment
from small_survey import write_cutouts, write_positions, write_survey

from catalogtool import storage

pytestmark = [
    pytest.mark.ray,
    pytest.mark.s3,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(600),
]

OBJECTS = 60
SHARE = 0.05


def produce(*words: str) -> tuple[dict[str, Any], str]:
    """Outcome of a production, and everything that it told."""
    command = [sys.executable, "-m", "catalogtool", "produce", "--json", *words]
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1767225600"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stdout + done.stderr


def upload(folder: Path, uri: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            storage.upload_file(path, f"{uri}/{path.relative_to(folder).as_posix()}")


def catalogs(outcome: dict[str, Any]) -> dict[str, str]:
    """Hashes of the catalogs' files by their relative names."""
    root = storage.normalise(f"{dict(outcome['places'])['run']}/catalogs")
    uris = [info.uri for info in storage.list_files(root)]
    return {uri[len(root) :]: hashlib.sha256(storage.read_bytes(uri)).hexdigest() for uri in uris}


def test_faults_change_no_byte_of_a_catalog_and_no_key_is_written_anywhere(
    tmp_path: Path, s3_bucket: str, s3_port: int, s3_faults: FaultProxy
) -> None:
    s3_faults.share = SHARE
    inputs = tmp_path / "input"
    inputs.mkdir()
    write_positions(write_cutouts(inputs / "cutouts", OBJECTS), inputs / "positions.csv")
    upload(inputs, f"{s3_bucket}/input")
    words = ["--survey", str(write_survey(tmp_path, "tiny", "tiny")), "--form", "channels_last"]
    words += ["--unit-objects", "4", "--workers", "2"]
    words += [
        "--input",
        f"{s3_bucket}/input/cutouts",
        "--labels",
        f"{s3_bucket}/input/positions.csv",
    ]
    s3_faults.counts.clear()
    stored, told = produce(*words, "--output", f"{s3_bucket}/out")
    assert min(s3_faults.counts[kind] for kind in FAULTS) > 1
    assert stored["counts"][0] == ["morphology", 2 * OBJECTS, 0, 0]

    s3_faults.enabled = False
    model = dict(stored["places"])["model"]
    here, _ = produce(*words, "--model", model, "--output", str(tmp_path / "out"))
    assert catalogs(stored) == catalogs(here)
    written = [storage.read_bytes(info.uri) for info in storage.list_files(f"{s3_bucket}/out")]
    keys = s3_environment(s3_port)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert keys[name] not in told
        assert not any(keys[name].encode() in data for data in written)
