"""Galaxies that hosts are matched with are part of what a run is."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalogtool.config.run import RunConfig
from catalogtool.errors import DataError
from catalogtool.production.plan import Plan, make_plan
from catalogtool.production.record import identities, run_id


def plan_with(tmp_path: Path, galaxies: Path | None) -> Plan:
    return make_plan(
        RunConfig(
            survey="mock_hosts",
            input="simulated_hosts:5",
            source_input="simulated_hosts:9",
            catalog="host",
            output=str(tmp_path / "out"),
            galaxies=None if galaxies is None else str(galaxies),
        )
    )


def test_other_galaxies_are_another_run_whose_hosts_are_old(tmp_path: Path) -> None:
    file = tmp_path / "galaxies.parquet"
    plans = [plan_with(tmp_path, None)]
    for count in (1, 2):
        ids = [str(index) for index in range(count)]
        pq.write_table(pa.table({"id": ids, "ra": [1.0] * count, "dec": [2.0] * count}), file)
        plans.append(plan_with(tmp_path, file))
    again = plan_with(tmp_path, file)
    models = {"host": "delight-1"}
    assert len({run_id(plan, models) for plan in plans}) == 3
    assert len({identities(plan)["host"] for plan in plans}) == 3
    assert run_id(again, models) == run_id(plans[-1], models)
    # The model and what it looks at stay: nothing is trained, no pixel is read.
    assert len({plan.hosts_uri for plan in plans}) == 1
    assert len({plan.fields_uri for plan in plans}) == 1


def test_what_hosts_are_found_in_is_another_one_where_pixels_are_larger(tmp_path: Path) -> None:
    plan = plan_with(tmp_path, None)
    larger = plan.survey.model_copy(update={"pixel_scale": 2 * plan.survey.pixel_scale})
    other = replace(plan, target=replace(plan.target, survey=larger))
    assert other.target.manifest == plan.target.manifest
    assert other.fields_uri != plan.fields_uri
    assert replace(plan, host_band=1).fields_uri != plan.fields_uri


def test_galaxies_that_are_not_there_are_refused_before_anything_is_trained(
    tmp_path: Path,
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no Parquet file of galaxies"):
        plan_with(tmp_path, tmp_path / "empty")
    with pytest.raises(DataError, match=r"nowhere\.parquet"):
        plan_with(tmp_path, tmp_path / "nowhere.parquet")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": ["a"], "ra": [10.0]}, "galaxies need the columns ra, dec"),
        ({"ra": [10.0], "dec": [0.0]}, "one of galaxy_id, object_id, id, source_id"),
        ({"id": ["a"], "ra": ["0h40m"], "dec": [0.0]}, "column ra of galaxies has values of type"),
    ],
)
def test_a_table_of_something_else_is_refused_before_anything_is_trained(
    tmp_path: Path, columns: dict[str, list[object]], message: str
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "galaxies.parquet")
    with pytest.raises(DataError, match=message):
        plan_with(tmp_path, tmp_path / "galaxies.parquet")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"\x93 no Parquet " * 500])
def test_a_file_that_is_no_parquet_is_refused_before_anything_is_trained(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "galaxies.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"galaxies\.parquet: cannot be read as Parquet"):
        plan_with(tmp_path, tmp_path / "galaxies.parquet")
