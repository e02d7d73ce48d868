"""A night of packets, some of them broken, from its archive to verified catalogs; without Ray."""

import re
from pathlib import Path

import pyarrow as pa
import pytest

from catalogtool.catalogs import load_table
from catalogtool.config.run import RunConfig
from catalogtool.inference.local import run_units
from catalogtool.inference.models import RunModels, model_ids
from catalogtool.inference.unit import UnitTask
from catalogtool.inputs._simulation.night import Night, Written, write_night
from catalogtool.layout import RunLayout
from catalogtool.ledger import LedgerLine
from catalogtool.production.clock import Clock
from catalogtool.production.finish import check_flagged_share, finish
from catalogtool.production.plan import Plan, make_plan
from catalogtool.production.record import keep_record, new_record, run_id
from catalogtool.progress import Progress
from catalogtool.release._collection import Collection
from catalogtool.surveys import load_survey
from catalogtool.training.context import SingleProcess
from catalogtool.training.model import load_model
from catalogtool.training.run import run_training

SURVEYS = Path(__file__).parents[2] / "catalogtool" / "surveys"
COUNT, DISTINCT = 90, 30
LABELS = 20

pytestmark = pytest.mark.filterwarnings("ignore")


def _small(folder: Path, name: str, changes: dict[str, str]) -> Path:
    """A copy of a survey with other settings."""
    text = (SURVEYS / f"{name}.toml").read_text()
    for pattern, replacement in changes.items():
        text, found = re.subn(rf"(?m)^{pattern} = .*", f"{pattern} = {replacement}", text)
        assert found, pattern
    file = folder / f"{name}.toml"
    file.write_text(text)
    return file


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Written]:
    """An archive of packets that show some scenes again, one in fifteen broken."""
    folder = tmp_path_factory.mktemp("night")
    plan = Night(load_survey("mock_alerts"), COUNT, DISTINCT, corrupt_share=1 / 15)
    written = write_night(
        plan, str(folder / "night.tar.gz"), Progress(), str(folder / "labels.csv")
    )
    return folder, written


@pytest.fixture(scope="module")
def finished(
    night: tuple[Path, Written], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Plan, RunLayout]:
    folder, _ = night
    work = tmp_path_factory.mktemp("work")
    brief = {"max_epochs": "1", "steps_per_epoch": "2", "calibration": '"none"'}
    source = _small(work, "mock_alerts", {"candidates": "60"})
    survey = _small(work, "ztf", brief | {"source_survey": f'"{source}"'})
    config = RunConfig(
        survey=str(survey),
        input=str(folder / "night.tar.gz"),
        labels=str(folder / "labels.csv"),
        output=str(work / "out"),
        method="fine_tune",
        label_count=LABELS,
        unit_objects=32,
        max_flagged_share=0.5,
    )
    plan = make_plan(config)
    for spec in plan.trainings:
        run_training(spec, plan.layout.model(spec.identity), SingleProcess())
    model = load_model(plan.model_uri)
    run = plan.layout.run(run_id(plan, model_ids(RunModels(model), plan.kinds)))
    record = keep_record(run, new_record(plan, RunModels(model), threads=1))
    target = plan.target
    task = UnitTask(
        survey=plan.survey,
        input_format=target.format_name,
        input_uri=target.format.uri,
        labels_uri=target.format.labels_uri,
        manifest=target.manifest,
        model_uri=plan.model_uri,
        kinds=plan.kinds,
        run_uri=run.uri,
        form="channels_last",
    )
    lines: list[LedgerLine] = []
    run_units(task, range(record.units), lines.append)
    assert len(lines) == target.manifest.units == 3
    finish(plan, RunModels(model), record, check_flagged_share(run, record, 0.5), Clock(Progress()))
    return plan, run


def _table(run: RunLayout, kind: str) -> pa.Table:
    primary = Collection.list(run.catalog("ztf", kind)).primary
    parts = []
    for data in primary.files:
        with primary.open(data.path) as file:
            parts.append(file.read())
    return pa.concat_tables(parts)


def test_every_packet_is_a_row_with_a_prediction_or_a_reason(
    night: tuple[Path, Written], finished: tuple[Plan, RunLayout]
) -> None:
    _, written = night
    plan, run = finished
    alerts = _table(run, "alert")

    broken = sum(written.broken.values())
    assert broken == COUNT // 15
    assert plan.target.manifest.objects == written.packets == COUNT
    predicted = alerts.filter(alerts.column("has_prediction"))
    assert predicted.num_rows == COUNT - broken
    assert set(predicted.column("band").to_pylist()) <= {"g", "r"}
    assert predicted.column("real_bogus").null_count == 0
    assert predicted.column("magnitude_ab").null_count == 0
    lost = COUNT - alerts.num_rows
    assert alerts.num_rows - predicted.num_rows + lost == broken


def test_the_network_saw_facts_scaled_by_those_of_its_training(
    finished: tuple[Plan, RunLayout],
) -> None:
    plan, _ = finished
    source, target = (load_model(plan.layout.model(s.identity)).network for s in plan.trainings)

    (name,) = (key for key in source.state_dict() if key.endswith("metadata.std"))
    scale = source.state_dict()[name]
    assert len(scale) == len(plan.trainings[-1].metadata)
    assert (scale > 0).all()
    assert not (scale == 1).all()
    assert scale.equal(target.state_dict()[name])  # adaptation keeps the scale


def test_objects_have_a_table_of_their_own(finished: tuple[Plan, RunLayout]) -> None:
    plan, run = finished
    alerts, objects = _table(run, "alert"), _table(run, "alert_object")

    assert sorted(objects.column("source_id").to_pylist()) == sorted(
        set(alerts.column("source_id").to_pylist())
    )
    assert sum(objects.column("alerts").to_pylist()) == alerts.num_rows
    expected = load_table("alert_object").schema(plan.context("m"))
    assert objects.schema.names[1:] == expected.names
