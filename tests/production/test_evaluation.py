"""Runs without Ray: their records, their sums, and how good their catalogs are."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_survey import CLASSES, VOTES, write_cutout

from catalogtool.config.run import RunConfig
from catalogtool.errors import ConfigError, DataError, FlaggedShareError
from catalogtool.inference.local import run_units
from catalogtool.inference.models import RunModels, model_ids
from catalogtool.inference.unit import UnitTask
from catalogtool.layout import RunLayout
from catalogtool.production.evaluation import evaluate_run, seen_objects
from catalogtool.production.finish import check_flagged_share
from catalogtool.production.plan import Plan, make_plan
from catalogtool.production.record import keep_record, new_record, read_record, run_id
from catalogtool.production.stale import freshness, kept_parts
from catalogtool.training.model import Model, build_fresh_network, save_model

OBJECTS = 10


@pytest.fixture
def plan(real_config: RunConfig, tmp_path: Path) -> Plan:
    """Ten objects in units of four, one of them unreadable, all with votes in the first band."""
    (tmp_path / "cutouts/gal00004.fits").write_bytes(b"no FITS")
    changes = {"labels": str(tmp_path / "votes.csv"), "unit_objects": 4}
    return make_plan(real_config.model_copy(update=changes))


@pytest.fixture
def model(plan: Plan) -> Model:
    """A fresh network that claims to have learned from nothing here."""
    (spec,) = plan.trainings
    uri = plan.layout.model(spec.identity)
    return save_model(uri, build_fresh_network(spec), spec, {"labels": {}})


@pytest.fixture
def run(plan: Plan, model: Model) -> RunLayout:
    """A run whose units are all predicted."""
    run = plan.layout.run(run_id(plan, model_ids(RunModels(model), plan.kinds)))
    record = keep_record(run, new_record(plan, RunModels(model), threads=1))
    task = UnitTask(
        survey=plan.survey,
        input_format=plan.target.format_name,
        input_uri=plan.target.format.uri,
        labels_uri=plan.target.format.labels_uri,
        manifest=plan.target.manifest,
        model_uri=record.model_uri,
        kinds=plan.kinds,
        run_uri=run.uri,
        form="channels_last",
    )
    run_units(task, range(record.units), lambda _: None)
    return run


def expected_rmse(run: RunLayout, skipped: int) -> float:
    """Mean error of the first band's rows but for one object, computed row by row."""
    errors = []
    for unit in range(3):
        for row in pq.read_table(run.part("morphology", unit)).to_pylist():
            number = int(row["source_id"].removeprefix("gal"))
            if row["band"] == "f814w" and row["has_prediction"] and number != skipped:
                vote = np.eye(len(VOTES))[number % len(VOTES)]
                found = np.array([row[f"p_{name}"] for name in CLASSES])
                errors.append(np.sqrt(np.mean((found - vote) ** 2)))
    return float(np.mean(errors))


def test_figures_are_those_of_labelled_rows_with_a_prediction(
    plan: Plan, model: Model, run: RunLayout
) -> None:
    figures = evaluate_run(plan, model, run)
    assert figures.overall["count"] == OBJECTS - 1
    assert figures.overall["rmse"] == pytest.approx(expected_rmse(run, skipped=-1), abs=1e-6)
    assert figures.by_band["f814w"]["count"] == OBJECTS - 1
    assert figures.sentence().startswith("Mean per-sample RMSE on 9 labels that no training saw")


def test_labels_that_a_training_saw_do_not_count(plan: Plan, model: Model, run: RunLayout) -> None:
    ids = plan.target.manifest.read_unit(0).column("object_id").to_pylist()
    source = model.spec.source
    assert source is not None
    domain = source.model_copy(update={"manifest_identity": plan.target.manifest.identity})
    learned = replace(
        model,
        spec=model.spec.model_copy(update={"source": domain}),
        metrics={"labels": {"source": {"train_ids": ids[:1], "validation_ids": []}}},
    )
    assert seen_objects(plan, learned) == {ids[0]}
    figures = evaluate_run(plan, learned, run)
    assert figures.overall["count"] == OBJECTS - 2
    assert figures.overall["rmse"] == pytest.approx(expected_rmse(run, skipped=0), abs=1e-6)


def test_labels_of_another_survey_are_not_held_against_this_one(plan: Plan, model: Model) -> None:
    labels = {"source": {"train_ids": [1, 2], "validation_ids": [3]}}
    assert seen_objects(plan, replace(model, metrics={"labels": labels})) == frozenset()


def test_too_many_flagged_rows_end_a_run_with_the_counts(run: RunLayout) -> None:
    record = read_record(run)
    sums = check_flagged_share(run, record, limit=0.1)
    assert [(t.kind, t.rows_in, t.rows_flagged) for t in sums] == [
        ("morphology", 2 * OBJECTS, 2),
        ("morphology_wide", OBJECTS, 1),
    ]
    sentence = r"2 of 20 rows \(10\.0%\) .* allowed 9\.0%: unreadable 2"
    with pytest.raises(FlaggedShareError, match=sentence):
        check_flagged_share(run, record, limit=0.09)


def test_the_first_record_of_a_run_counts(plan: Plan, model: Model, run: RunLayout) -> None:
    first = read_record(run)
    assert keep_record(run, new_record(plan, RunModels(model), threads=7)) == first
    assert first.threads == 1
    assert not first.simulated_cutouts
    assert first.simulated_training


def test_a_run_bears_the_date_that_reproducible_builds_ask_for(
    plan: Plan, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert new_record(plan, RunModels(model), threads=1).created == "1970-01-02T00:00:00+00:00"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(ConfigError, match="SOURCE_DATE_EPOCH: expected whole seconds"):
        new_record(plan, RunModels(model), threads=1)


def test_a_damaged_record_is_named(run: RunLayout) -> None:
    Path(run.record).write_text('{"run_id": ')
    with pytest.raises(DataError, match=r"run\.json: damaged run record"):
        read_record(run)


def test_a_run_is_named_by_what_decides_its_rows(plan: Plan, tmp_path: Path) -> None:
    name = run_id(plan, {"morphology": "model"})
    assert run_id(make_plan(plan.config), {"morphology": "model"}) == name
    assert run_id(plan, {"morphology": "other"}) != name
    write_cutout(tmp_path / "cutouts/gal00004.fits", {"F814W": np.eye(32, dtype=np.float32)})
    assert run_id(make_plan(plan.config), {"morphology": "model"}) != name


def test_columns_are_old_when_their_model_would_be_another_one(
    plan: Plan, run: RunLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [one.reason for one in freshness(run)] == ["", ""]
    changed = plan.trainings[-1].model_copy(update={"seed": 99})
    later = replace(plan, trainings=(changed,))
    monkeypatch.setattr("catalogtool.production.stale.make_plan", lambda _: later)
    found = freshness(run)
    assert {one.reason for one in found} == {"its network would be another one today"}
    assert "object_id" not in found[0].columns
    assert "model_id" in found[0].columns


def test_other_inputs_make_every_column_old(
    plan: Plan, run: RunLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = replace(plan.target.manifest, identity="other")
    later = replace(plan, target=replace(plan.target, manifest=manifest))
    monkeypatch.setattr("catalogtool.production.stale.make_plan", lambda _: later)
    assert {one.reason for one in freshness(run)} == {"its inputs or labels have changed"}


def test_parts_of_the_newest_run_are_kept_where_they_are_still_good(
    plan: Plan, run: RunLayout
) -> None:
    assert kept_parts(plan) == (None, ())
    Path(run.commit).write_text("{}")
    latest = Path(plan.layout.latest(plan.survey.name))
    latest.parent.mkdir(parents=True, exist_ok=True)
    latest.write_text(json.dumps({"run": run.uri}))
    assert kept_parts(plan) == (run.uri, plan.kinds)
    changed = plan.trainings[-1].model_copy(update={"seed": 99})
    assert kept_parts(replace(plan, trainings=(changed,))) == (None, ())
