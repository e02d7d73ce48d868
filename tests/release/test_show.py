from collections.abc import Callable

from release_samples import make_info, sky_positions

from catalogtool.release.assemble import assemble
from catalogtool.release.show import summarise


def test_a_summary_has_the_properties_and_the_first_rows(make_run: Callable[..., tuple]) -> None:
    run, units = make_run(sky_positions(30))
    target = run.catalog("toy", "morphology")
    assemble(run, "morphology", units, make_info(), target)
    summary = summarise(target, 5)
    assert dict(summary.properties)["hats_nrows"] == "60"
    assert len(summary.rows) == 5
    assert len(summary.to_json()["rows"][0]) == len(summary.column_names)
    assert summarise(target, 0).rows == []
