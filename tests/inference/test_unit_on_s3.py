"""Units whose input, manifest, model and parts are in object storage that fails at times."""

from dataclasses import replace
from pathlib import Path

import pytest
from fault_proxy import FaultProxy
from small_run import make_small_run, part_contents

from catalogtool import storage
from catalogtool.inference import local
from catalogtool.inputs import load_format
from catalogtool.inputs.manifest import build_manifest
from catalogtool.ledger import finished_units

pytestmark = pytest.mark.s3


def test_parts_in_object_storage_are_the_local_ones(
    tmp_path: Path, s3_bucket: str, s3_faults: FaultProxy
) -> None:
    task = make_small_run(tmp_path)
    local.run_units(task, range(task.manifest.units), lambda _: None)
    s3_faults.share = 0.1
    table = f"{s3_bucket}/images.parquet"
    storage.upload_file(Path(task.input_uri or ""), table)
    for info in storage.list_files(task.model_uri):
        storage.upload_file(Path(info.uri), f"{s3_bucket}/model/{Path(info.uri).name}")
    source = load_format("image_table")(task.survey, table)
    remote = replace(
        task,
        input_uri=table,
        manifest=build_manifest(source, f"{s3_bucket}/manifests", 16),
        model_uri=f"{s3_bucket}/model",
        run_uri=f"{s3_bucket}/run",
    )
    local.run_units(remote, range(remote.manifest.units), lambda _: None)
    prefix = f"{s3_bucket}/run/"
    parts = {
        info.uri.removeprefix(prefix): storage.read_bytes(info.uri)
        for info in storage.list_files(f"{prefix}parts")
    }
    assert parts == part_contents(task)
    assert finished_units(remote.run, task.kinds) == finished_units(task.run, task.kinds)
    assert sum(s3_faults.counts.values()) > s3_faults.counts["ok"]
