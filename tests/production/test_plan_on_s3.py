"""A production whose survey files, cutouts, labels and output are all in object storage."""

from pathlib import Path

import pytest
from fault_proxy import FaultProxy
from web_server import serving

from catalogtool import storage
from catalogtool.config.run import RunConfig
from catalogtool.errors import StorageError
from catalogtool.production.describe import describe_plan
from catalogtool.production.plan import Plan, make_plan

pytestmark = pytest.mark.s3


def upload(folder: Path, uri: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            storage.upload_file(path, f"{uri}/{path.relative_to(folder).as_posix()}")


def rows_of(plan: Plan) -> list[dict[str, object]]:
    (rows,) = plan.target.manifest.iter_units()
    return list(rows.drop_columns(["uris", "identity"]).to_pylist())


def test_everything_may_be_named_by_its_uri(
    real_config: RunConfig, tmp_path: Path, s3_bucket: str, s3_faults: FaultProxy
) -> None:
    s3_faults.share = 0.1
    here = make_plan(real_config)
    survey = Path(real_config.survey)
    text = survey.read_text().replace(str(tmp_path), s3_bucket)
    survey.write_text(text)
    upload(tmp_path, s3_bucket)
    changes = {
        name: value.replace(str(tmp_path), s3_bucket)
        for name, value in real_config.to_json().items()
        if isinstance(value, str)
    }
    there = make_plan(RunConfig(**{**real_config.to_json(), **changes}))
    assert there.target.manifest.uri.startswith(f"{s3_bucket}/out/manifests/")
    assert rows_of(there) == rows_of(here)
    assert dict(describe_plan(there).facts)["labelled objects"] == "0"

    with serving(tmp_path) as port:
        site = f"http://127.0.0.1:{port}"
        changes |= {"survey": f"{site}/{survey.name}", "labels": f"{site}/votes.csv"}
        public = make_plan(RunConfig(**{**real_config.to_json(), **changes}))
        assert public.target.manifest.labelled == 10
        changes["output"] = f"{site}/out"
        with pytest.raises(StorageError, match="web servers are read only; write to a path"):
            make_plan(RunConfig(**{**real_config.to_json(), **changes}))
    assert sum(s3_faults.counts.values()) > s3_faults.counts["ok"]
