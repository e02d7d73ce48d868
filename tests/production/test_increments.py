"""Increments of a series: its model, its objects, its nights."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from small_survey import write_survey

from catalogtool import storage
from catalogtool.config._base import build_settings
from catalogtool.config.run import RunConfig
from catalogtool.errors import ConfigError, ModelError
from catalogtool.inference.local import run_units
from catalogtool.inference.models import RunModels, model_ids
from catalogtool.inference.unit import UnitTask
from catalogtool.inputs.manifest import object_ids
from catalogtool.inputs.simulated import Format
from catalogtool.layout import RunLayout, SeriesLayout
from catalogtool.nights import observing_night
from catalogtool.production.describe import describe_plan
from catalogtool.production.evaluation import seen_objects
from catalogtool.production.increments import (
    IncrementRecord,
    Selection,
    append_run,
    commit_night,
    read_increments,
    select,
    settle_models,
    share_form,
    with_series_model,
)
from catalogtool.production.plan import Plan, make_plan
from catalogtool.production.record import keep_record, new_record, run_id
from catalogtool.release.series import Series
from catalogtool.release.verify import verify
from catalogtool.training.model import Model, build_fresh_network, save_model

FIRST = date(2026, 4, 3)  # the clock in Santiago changes in the night of the 4th
NIGHTS = [FIRST + timedelta(days=number) for number in range(3)]


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    """A simulated survey of three nights in Chile."""
    simulation = f'first_night = "{FIRST}"\nnights = 3'
    survey = write_survey(tmp_path, "nightly", "nightly", simulation=simulation)
    text = survey.read_text()
    survey.write_text(f'timezone = "America/Santiago"\n{text}')
    return RunConfig(survey=str(survey), output=str(tmp_path / "out"))


def changed(config: RunConfig, **changes: object) -> RunConfig:
    return config.model_copy(update=changes)


def save_fresh(plan: Plan, name: str = "") -> Model:
    import torch

    (spec,) = plan.trainings
    labels = {"source": {"train_ids": [0, 1, 2], "validation_ids": [3]}}
    uri = plan.model_uri if not name else str(Path(plan.layout.uri, "models", name))
    torch.manual_seed(len(name))
    return save_model(uri, build_fresh_network(spec), spec, {"labels": labels})


def run_locally(plan: Plan, model: Model) -> RunLayout:
    run = plan.layout.run(run_id(plan, model_ids(RunModels(model), plan.kinds)))
    record = keep_record(run, new_record(plan, RunModels(model), threads=1))
    task = UnitTask(
        survey=plan.survey,
        input_format=plan.target.format_name,
        input_uri=plan.target.format.uri,
        labels_uri=None,
        manifest=plan.target.manifest,
        model_uri=record.model_uri,
        kinds=plan.kinds,
        run_uri=run.uri,
        form="channels_last",
    )
    run_units(task, range(record.units), lambda _: None)
    return run


def add_increment(config: RunConfig) -> tuple[Selection, SeriesLayout]:
    """What `produce` does for an increment, in this process."""
    first = make_plan(changed(config, night=None, since_last=False))
    model = save_fresh(first)
    plan = make_plan(with_series_model(config))
    series = settle_models(plan, RunModels(model))
    committed = read_increments(series)
    selection = select(plan, committed)
    if selection.plan is not None:
        append_run(selection.plan, run_locally(selection.plan, model), series, committed)
    if config.night is not None:
        commit_night(plan, series)
    return selection, series


def test_objects_belong_to_the_night_that_the_scalar_function_says(config: RunConfig) -> None:
    plan = make_plan(config)
    rows = plan.target.manifest.read_unit(0)
    zero = datetime(1858, 11, 17, tzinfo=UTC)
    moments = [zero + timedelta(days=mjd) for mjd in rows.column("observed_mjd").to_pylist()]
    expected = [observing_night(moment, "America/Santiago") for moment in moments]
    assert sorted(set(expected)) == NIGHTS
    ids = rows.column("object_id").to_numpy()
    for night in NIGHTS:
        selection = select(replace(plan, config=changed(config, night=night)), [])
        assert selection.plan is not None
        chosen = object_ids(selection.plan.target.manifest.uri)
        assert chosen.tolist() == [i for i, n in zip(ids, expected, strict=True) if n == night]


def test_nights_grow_the_series_and_each_object_is_in_it_once(config: RunConfig) -> None:
    total = 0
    for night in NIGHTS:
        selection, series = add_increment(changed(config, night=night))
        assert selection.plan is not None
        total += selection.plan.target.manifest.objects
        layout = make_plan(config).layout
        commit = json.loads(storage.read_bytes(layout.night("nightly", night)))
        assert commit["objects"] == selection.plan.target.manifest.objects
        assert commit["night"] == night.isoformat()
    assert total == 48
    for kind, rows in (("morphology", 96), ("morphology_wide", 48)):
        uri = series.catalog("nightly", kind)
        assert verify(uri).passed
        assert sum(i.primary.rows for i in Series.open(uri).visible()) == rows
    again, _ = add_increment(changed(config, since_last=True))
    assert again == Selection(None, seen=48, undated=0)


def test_since_last_takes_what_nights_left_and_nights_take_what_it_left(
    config: RunConfig,
) -> None:
    add_increment(changed(config, night=NIGHTS[1]))
    rest, series = add_increment(changed(config, since_last=True))
    assert (rest.seen, rest.plan.target.manifest.objects) == (16, 32)  # type: ignore[union-attr]
    night, _ = add_increment(changed(config, night=NIGHTS[0]))
    assert night.plan is None
    assert night.seen == 16
    assert [r.objects for r in read_increments(series)] == [16, 32]
    where = make_plan(config).layout.night("nightly", NIGHTS[0])
    assert json.loads(storage.read_bytes(where))["objects"] == 0


def test_a_night_without_objects_is_committed_with_none(config: RunConfig) -> None:
    night = date(2020, 1, 1)
    selection, _ = add_increment(changed(config, night=night))
    assert selection.plan is None
    commit = json.loads(storage.read_bytes(make_plan(config).layout.night("nightly", night)))
    assert (commit["objects"], commit["run"]) == (0, None)


def test_a_kill_between_append_and_commit_of_the_night_keeps_the_count(config: RunConfig) -> None:
    _, series = add_increment(changed(config, night=NIGHTS[0]))
    layout = make_plan(config).layout
    storage.delete(layout.night("nightly", NIGHTS[0]))
    add_increment(changed(config, night=NIGHTS[0]))
    commit = json.loads(storage.read_bytes(layout.night("nightly", NIGHTS[0])))
    assert commit["objects"] == 16
    assert commit["run"] == read_increments(series)[0].run_id


def test_objects_of_no_known_night_wait_for_since_last(tmp_path: Path) -> None:
    survey = write_survey(tmp_path, "nightly", "nightly")
    config = RunConfig(survey=str(survey), output=str(tmp_path / "out"))
    plan = make_plan(config)
    assert plan.target.manifest.read_unit(0).column("observed_mjd").null_count == 48
    dated = select(replace(plan, config=changed(config, night=NIGHTS[0])), [])
    assert dated == Selection(None, seen=0, undated=48)
    assert "48 have no known night" in dated.sentence()
    assert select(replace(plan, config=changed(config, since_last=True)), []).plan is not None


def test_the_series_keeps_its_model_until_another_one_is_asked_for(config: RunConfig) -> None:
    _, old = add_increment(changed(config, night=NIGHTS[0]))
    plan = make_plan(config)
    other = save_fresh(plan, "other")
    nightly = changed(config, since_last=True, model=other.uri)
    assert with_series_model(config) == config
    assert with_series_model(nightly) == nightly
    assert with_series_model(changed(config, since_last=True)).model == plan.model_uri
    with pytest.raises(ConfigError, match="begin another series with --new-model"):
        settle_models(make_plan(nightly), RunModels(other))
    new = settle_models(make_plan(changed(nightly, new_model=True)), RunModels(other))
    assert new.uri != old.uri
    everything = select(make_plan(changed(nightly, new_model=True)), read_increments(new))
    assert everything.plan is not None
    assert everything.plan.target.manifest.objects == 48
    assert with_series_model(changed(config, since_last=True)).model == other.uri


def test_the_catalogs_of_a_series_stay_the_same(config: RunConfig) -> None:
    add_increment(changed(config, night=NIGHTS[0]))
    wide = changed(config, since_last=True, catalog="morphology_wide")
    plan = make_plan(wide)
    model = save_fresh(make_plan(config))
    with pytest.raises(ConfigError, match="has the catalogs morphology, morphology_wide"):
        settle_models(plan, RunModels(model))


def test_a_given_model_needs_no_training_but_has_to_fit(config: RunConfig, tmp_path: Path) -> None:
    model = save_fresh(make_plan(config))
    given = make_plan(changed(config, model=model.uri))
    assert given.model_uri == model.uri
    assert [spec.identity for spec in given.trainings] == [model.spec.identity]
    assert dict(describe_plan(given).facts)["model"].endswith(model.uri)
    larger = write_survey(tmp_path, "larger", "larger", size_pix=48)
    with pytest.raises(ModelError, match="does not fit the survey larger"):
        make_plan(changed(config, model=model.uri, survey=str(larger)))
    with pytest.raises(ModelError, match="holds no model"):
        make_plan(changed(config, model=str(tmp_path)))


def test_labels_that_trained_the_model_stay_unseen_in_increments(config: RunConfig) -> None:
    plan = make_plan(config)
    model = save_fresh(plan)
    selection = select(replace(plan, config=changed(config, night=NIGHTS[0])), [])
    assert selection.plan is not None
    assert seen_objects(selection.plan, model) == {0, 1, 2, 3}


def test_all_increments_share_the_form_of_the_first(tmp_path: Path) -> None:
    series, first, second = SeriesLayout(str(tmp_path / "s")), *_runs(tmp_path)
    share_form(series, first)
    assert not storage.exists(series.form)
    storage.write_bytes(first.form, b"compiled")
    share_form(series, first)
    share_form(series, second)
    assert storage.read_bytes(second.form) == b"compiled"


def _runs(folder: Path) -> tuple[RunLayout, RunLayout]:
    return RunLayout(str(folder / "a")), RunLayout(str(folder / "b"))


def test_seen_ids_are_found_whatever_their_order(config: RunConfig) -> None:
    plan = make_plan(changed(config, since_last=True))
    record = IncrementRecord(
        name="any-night-1",
        night=None,
        run_id="1",
        manifest=plan.target.manifest.uri.rsplit("/", 1)[-1],
        objects=48,
        created="2026-04-03",
    )
    assert select(plan, [record, record]).seen == 48


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"night": "2026-04-03", "since_last": True}, "exclude each other"),
        ({"new_model": True}, "needs night or since_last"),
        ({"night": "tonight"}, "night: Input should be a valid date"),
    ],
)
def test_contradicting_settings_are_refused(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        build_settings(RunConfig, {"survey": "a", "output": "b", **values}, where="test")


def test_simulated_nights_do_not_depend_on_the_number_of_objects(config: RunConfig) -> None:
    survey = make_plan(config).survey
    few, many = (next(Format(survey, f"simulated:{n}").list_objects()) for n in (10, 20))
    assert few.column("observed_mjd").null_count == 0
    assert few.column("observed_mjd").equals(many.column("observed_mjd").slice(0, 10))
