from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from small_run import (
    RunShape,
    make_small_run,
    make_survey,
    make_task,
    noisy_images,
    part_contents,
    positions_of,
    read_parts,
    write_table,
)

from catalogtool.errors import ConfigError, DataError
from catalogtool.flags import FATAL, Flag
from catalogtool.inference import local
from catalogtool.inference.unit import UnitTask, UnitWorker, chunk_objects, read_ahead
from catalogtool.inputs import load_format
from catalogtool.ledger import finished_units, read_ledger, totals
from catalogtool.preprocess.stretch import prepare
from catalogtool.training.model import load_model


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> UnitTask:
    task = make_small_run(tmp_path_factory.mktemp("small"))
    local.run_units(task, range(task.manifest.units), lambda _: None)
    return task


def test_rows_are_in_manifest_order_and_every_object_is_there_once(task: UnitTask) -> None:
    manifest_ids = np.concatenate([t.column("object_id") for t in task.manifest.iter_units()])
    assert read_parts(task).column("object_id").to_pylist() == manifest_ids.tolist()


def test_probabilities_equal_a_plain_float32_forward_pass(task: UnitTask) -> None:
    model = load_model(task.model_uri)
    source = load_format("image_table")(task.survey, task.input_uri)
    rows = task.manifest.read_unit(2)
    cutouts = source.read(rows)
    prepared = torch.from_numpy(prepare(cutouts.images, cutouts.mask, "minmax"))
    with torch.no_grad():
        expected = torch.softmax(model.network(prepared), dim=1).numpy()
    part = pq.read_table(task.run.part("morphology", 2))
    found = np.stack([part.column(f"p_{name}") for name in task.survey.labels.classes], axis=1)
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_ledger_closes_and_names_the_form(task: UnitTask) -> None:
    lines = read_ledger(task.run)
    assert sorted(lines) == list(range(task.manifest.units))
    assert {line.form for line in lines.values()} == {"channels_last"}
    sums = totals(lines.values(), "morphology")
    assert (sums.rows_in, sums.rows_written) == (task.manifest.objects, task.manifest.objects)


def test_same_run_in_another_folder_has_the_same_bytes(task: UnitTask, tmp_path: Path) -> None:
    again = replace(task, run_uri=str(tmp_path / "again"))
    local.run_units(again, reversed(range(task.manifest.units)), lambda _: None)
    assert part_contents(again) == part_contents(task)


def test_results_do_not_depend_on_how_units_are_cut(task: UnitTask, tmp_path: Path) -> None:
    other = make_small_run(tmp_path, RunShape(unit_objects=7))
    local.run_units(other, range(other.manifest.units), lambda _: None)
    assert read_parts(other).equals(read_parts(task))


def test_finished_units_are_those_with_whole_parts_and_ledger_line(
    task: UnitTask, tmp_path: Path
) -> None:
    task = replace(task, run_uri=str(tmp_path / "run"))
    local.run_units(task, range(4), lambda _: None)
    Path(task.run.part("morphology", 0)).unlink()
    truncated = Path(task.run.part("morphology_wide", 1))
    truncated.write_bytes(truncated.read_bytes()[:-1])
    Path(task.run.ledger_line(2)).unlink()
    assert list(finished_units(task.run, task.kinds)) == [3]
    assert list(finished_units(task.run, ("morphology",))) == []


def test_part_without_its_ledger_line_is_written_again_with_the_same_bytes(
    task: UnitTask, tmp_path: Path
) -> None:
    task = replace(task, run_uri=str(tmp_path / "run"))
    UnitWorker(task).process(1)
    part, line = Path(task.run.part("morphology", 1)), Path(task.run.ledger_line(1))
    before, told = part.read_bytes(), line.read_bytes()
    part.write_bytes(b"half of a")
    line.unlink()
    UnitWorker(task).process(1)
    assert (part.read_bytes(), line.read_bytes()) == (before, told)


def test_damaged_ledger_line_is_refused_with_its_address(task: UnitTask, tmp_path: Path) -> None:
    task = replace(task, run_uri=str(tmp_path / "run"))
    UnitWorker(task).process(1)
    Path(task.run.ledger_line(1)).write_text('{"unit": 1')
    with pytest.raises(DataError, match=r"unit-00001\.json: damaged ledger line"):
        finished_units(task.run, task.kinds)


def bad_images(size_pix: int) -> tuple[list[object], np.ndarray]:
    images, positions = noisy_images(32, size_pix), positions_of(32)
    images[3] = None
    images[5] = np.full(3 * size_pix**2, np.nan, dtype=np.float32)
    images[7] = np.full(3 * size_pix**2, 4.0, dtype=np.float32)
    images[9] = np.ones(5, dtype=np.float32)
    images[11][:100] = np.nan
    positions[13] = np.nan
    return images, positions


def test_bad_objects_are_flagged_rows_with_reasons_and_leave_the_others_alone(
    tmp_path: Path,
) -> None:
    shape = RunShape(objects=32)
    good, bad = tmp_path / "good.parquet", tmp_path / "bad.parquet"
    write_table(good, noisy_images(32, shape.size_pix), positions_of(32))
    write_table(bad, *bad_images(shape.size_pix))
    tables = []
    for name, table in (("good", good), ("bad", bad)):
        task = make_task(tmp_path / name, make_survey(shape), table, shape)
        local.run_units(task, range(task.manifest.units), lambda _: None)
        tables.append(read_parts(task))
        sums = totals(read_ledger(task.run).values(), "morphology")
    assert (sums.rows_in, sums.rows_written, sums.rows_flagged, sums.rows_unplaced) == (
        32,
        27,
        4,
        1,
    )
    assert sums.reasons["no_position"] == 1
    assert sum(sums.reasons.values()) >= 5
    flags = tables[1].column("flags").to_numpy()
    assert np.flatnonzero(flags & FATAL).tolist() == [3, 5, 7, 9]
    assert flags[13] & Flag.NO_POSITION
    assert flags[11] & Flag.PARTLY_MASKED
    p = tables[1].column("p_spiral")
    assert [index for index in range(32) if not p[index].is_valid] == [3, 5, 7, 9]
    untouched = [index for index in range(32) if index not in (3, 5, 7, 9, 11)]
    assert p.take(untouched).equals(tables[0].column("p_spiral").take(untouched))


def test_single_band_networks_give_a_row_per_object_and_band(tmp_path: Path) -> None:
    task = make_small_run(tmp_path, RunShape(objects=10, unit_objects=4, per_band=True))
    local.run_units(task, range(task.manifest.units), lambda _: None)
    assert read_parts(task).num_rows == 30
    assert read_parts(task, "morphology_wide").num_rows == 10
    sums = [totals(read_ledger(task.run).values(), kind).rows_in for kind in task.kinds]
    assert sums == [30, 10]


def test_form_is_chosen_once_and_followed_by_later_workers(task: UnitTask, tmp_path: Path) -> None:
    open_task = replace(task, form=None, run_uri=str(tmp_path / "run"))
    first = UnitWorker(open_task).form
    recorded = Path(open_task.run.form)
    recorded.write_text(recorded.read_text().replace(first, "float32"))
    assert UnitWorker(open_task).form == "float32"


def test_a_run_that_has_a_form_refuses_another_one(task: UnitTask, tmp_path: Path) -> None:
    pinned = replace(task, form="float32", run_uri=str(tmp_path / "run"))
    assert UnitWorker(pinned).form == "float32"
    assert UnitWorker(replace(pinned, form=None)).form == "float32"
    with pytest.raises(ConfigError, match="predicts as float32, not as channels_last"):
        UnitWorker(replace(pinned, form="channels_last"))


def test_reading_ahead_gives_all_chunks_in_order(task: UnitTask) -> None:
    source = load_format("image_table")(task.survey, task.input_uri)
    rows = task.manifest.read_unit(0)
    with ThreadPoolExecutor(1) as reader:
        chunks = list(read_ahead(reader, source, rows, 5))
    assert [len(chunk.flags) for chunk in chunks] == [5, 5, 5, 1]
    images = np.concatenate([chunk.images for chunk in chunks])
    assert np.array_equal(images, source.read(rows).images)


def test_chunks_are_bounded_in_bytes_and_whole_minibatches() -> None:
    survey = make_survey(RunShape(size_pix=128))
    assert chunk_objects(survey) % 16 == 0
    assert 3 * 128**2 * 5 * chunk_objects(survey) <= 16 << 20
