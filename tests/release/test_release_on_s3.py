"""A catalog in object storage is the one that the local disk would get."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fault_proxy import FaultProxy
from release_samples import make_info, make_totals, sky_positions

from catalogtool import storage
from catalogtool.layout import RunLayout
from catalogtool.release.assemble import assemble
from catalogtool.release.show import summarise
from catalogtool.release.verify import verify

pytestmark = pytest.mark.s3


def test_a_catalog_in_object_storage_is_the_same_and_verifies(
    s3_bucket: str, s3_faults: FaultProxy, make_run: Callable[..., tuple[RunLayout, int]]
) -> None:
    s3_faults.share = 0
    run, units = make_run(sky_positions(60))
    info = make_info()
    local = assemble(run, "morphology", units, info, run.catalog("toy", "morphology"))
    remote = RunLayout(f"{s3_bucket}/run")
    for part in storage.list_files(f"{run.uri}/parts"):
        name = Path(part.uri).name
        storage.write_bytes(f"{remote.uri}/parts/morphology/{name}", storage.read_bytes(part.uri))
    target = remote.catalog("toy", "morphology")
    storage.write_bytes(f"{target}/stray", b"left from an older version")
    stored = assemble(remote, "morphology", units, info, target)
    assert stored.manifest_sha256 == local.manifest_sha256
    report = verify(target, make_totals(120))
    assert report.passed, report.failures
    assert len(summarise(target, 3).rows) == 3

    s3_faults.share = 0.1
    assert assemble(remote, "morphology", units, info, target).manifest_sha256 == (
        local.manifest_sha256
    )
    assert verify(target, make_totals(120)).passed
    assert sum(s3_faults.counts.values()) > s3_faults.counts["ok"]
    s3_faults.enabled = False

    victim = next(f for f in storage.list_files(target) if f.uri.endswith("hats.properties"))
    storage.write_bytes(victim.uri, storage.read_bytes(victim.uri) + b"# more\n")
    assert [check.name for check in verify(target).failures] == ["hashes"]
