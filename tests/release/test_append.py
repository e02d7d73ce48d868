"""Nights appended one by one: valid at any time, and in the end equal to one run over all."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dask
import lsdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from append_samples import (
    INFO,
    KIND,
    append_night,
    append_nights,
    contents,
    field_positions,
    info_of,
    series_of,
    write_nights,
)
from hats import read_hats
from hats.io.validation import is_valid_collection

from catalogtool import storage
from catalogtool.errors import ReleaseError, VerificationError
from catalogtool.layout import RunLayout
from catalogtool.release._rows import RunParts, Shape
from catalogtool.release._tiling import DEEPEST_ORDER, Grid
from catalogtool.release.append import append
from catalogtool.release.assemble import assemble
from catalogtool.release.compact import compact
from catalogtool.release.series import Series
from catalogtool.release.show import summarise
from catalogtool.release.verify import verify

OBJECTS = 90
NIGHTS = 3
SMALL_FILES = 10
"""Files that every append writes or looks for, whatever the night."""
ONLY_PROPERTIES = {"hats.properties", "MANIFEST.sha256"}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("append")
    write_nights(folder, field_positions(OBJECTS), NIGHTS)
    append_nights(folder, [0, 1])
    return folder


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    """Three nights, of which two are appended."""
    return Path(shutil.copytree(pristine, tmp_path / "nights"))


def different(first: str, second: str) -> set[str]:
    a, b = contents(first), contents(second)
    assert a.keys() == b.keys()
    return {name.rsplit("/", 1)[-1] for name in a if a[name] != b[name]}


def test_thirty_nights_appended_and_folded_are_one_run_over_all(tmp_path: Path) -> None:
    positions = field_positions(900)
    positions[[5, 700]] = np.nan
    bulk, units = write_nights(tmp_path, positions, 30)
    series = append_nights(tmp_path, list(range(30)))
    one = assemble(bulk, KIND, units, INFO, bulk.catalog("toy", KIND))
    folded = compact(series)
    assert folded.rows == one.rows == 2 * 898
    assert folded.partitions == one.partitions > 12
    assert different(one.uri, folded.uri) == ONLY_PROPERTIES
    assert is_valid_collection(folded.uri, strict=True)


def test_every_append_leaves_a_valid_catalog_with_its_margin(folder: Path) -> None:
    series = series_of(folder)
    for night in range(2, NIGHTS):
        appended = append_night(folder, night, [f"night-{n:02d}" for n in range(night)])
    assert (appended.total_rows, appended.increments) == (2 * OBJECTS, NIGHTS)
    assert is_valid_collection(series, strict=True)
    report = verify(series)
    assert report.passed, report.failures
    opened = lsdb.open_catalog(series)
    assert opened.margin is not None
    assert len(opened) == len(opened.compute()) == 2 * OBJECTS
    bands = opened.query("band == 'f606w'")
    matched = bands.crossmatch(bands, radius_arcsec=1, suffixes=("_a", "_b")).compute()
    assert len(matched) == OBJECTS
    assert (matched["object_id_a"] == matched["object_id_b"]).all()
    assert len(summarise(series, 3).rows) == 3


def test_a_committed_night_appended_again_changes_nothing(folder: Path) -> None:
    before = contents(series_of(folder))
    again = append_night(folder, 1, ["night-00", "night-01"])
    assert contents(series_of(folder)) == before
    assert (
        again.rows
        == pq.read_metadata(folder / "night-01/parts/morphology/part-00000.parquet").num_rows
    )


def test_an_append_that_was_not_committed_is_done_over_with_the_same_bytes(folder: Path) -> None:
    before = contents(series_of(folder))
    append_night(folder, 1, ["night-00"])
    assert contents(series_of(folder)) == before


def test_a_night_that_was_never_committed_is_removed_by_the_next_one(folder: Path) -> None:
    expected = folder / "expected"
    expected.mkdir()
    for night in (0, 2):
        shutil.copytree(folder / f"night-{night:02d}", expected / f"night-{night:02d}")
    append_nights(expected, [0, 2])
    append_night(folder, 2, ["night-00"])
    assert contents(series_of(folder)) == contents(series_of(expected))


def test_the_first_night_may_be_done_over_with_other_objects(folder: Path) -> None:
    append_night(folder, 2, [])
    assert verify(series_of(folder)).passed
    assert [i.name for i in Series.open(series_of(folder)).visible()] == ["night-02"]


@pytest.mark.parametrize("night", [pytest.param(0, marks=pytest.mark.long), 2])
def test_a_kill_before_any_write_leaves_a_readable_catalog_that_a_rerun_completes(
    folder: Path, tmp_path: Path, night: int
) -> None:
    if night == 0:
        shutil.rmtree(folder / "series")
    quiet = tmp_path / "quiet"
    shutil.copytree(folder, quiet)
    append_night(quiet, night, [f"night-{n:02d}" for n in range(night)])
    expected = contents(series_of(quiet))
    old, new = _rows(folder) if night else set(), _rows(quiet)
    writes = len(expected) - len(contents(series_of(folder))) + (SMALL_FILES if night else 0)
    moments = [1, writes // 3, *range(writes - SMALL_FILES - 1, writes, 2)]
    victims = [Path(shutil.copytree(folder, tmp_path / f"victim-{n}")) for n in moments]
    assert kill(dict(zip(victims, moments, strict=True)), night) == {-signal.SIGKILL}
    for victim in victims:
        if night or Path(series_of(victim), "collection.properties").exists():
            assert old <= _rows(victim) <= new
        append_night(victim, night, [f"night-{n:02d}" for n in range(night)])
        assert contents(series_of(victim)) == expected


def kill(victims: dict[Path, int], night: int) -> set[int]:
    """Append to each folder until SIGKILL before the given write; returns the exit codes."""
    script = Path(__file__).with_name("killed_append.py")
    pairs = [f"{folder}:{moment}" for folder, moment in victims.items()]
    command = [sys.executable, str(script), str(night), *pairs]
    done = subprocess.run(command, check=True, env=os.environ, capture_output=True)
    return set(json.loads(done.stdout))


def _rows(folder: Path) -> set[tuple[int, str]]:
    """Keys of all rows that hats sees in the folder; each is there once."""
    catalog = read_hats(series_of(folder)).main_catalog
    keys = []
    for pixel in catalog.get_healpix_pixels():
        frame = catalog.read_pixel_to_pandas(pixel, columns=["object_id", "band"])
        keys += zip(frame["object_id"], frame["band"], strict=True)
    assert len(set(keys)) == len(keys)
    return set(keys)


def test_a_night_being_appended_is_not_yet_folded(folder: Path) -> None:
    assert kill({folder: 6}, night=2) == {-signal.SIGKILL}
    folded = compact(series_of(folder), str(folder / "folded" / "toy_morphology"))
    assert folded.rows == sum(i.primary.rows for i in Series.open(series_of(folder)).visible())
    assert [i.name for i in Series.open(series_of(folder)).visible()] == ["night-00", "night-01"]


@pytest.mark.parametrize("table", ["toy_morphology", "toy_morphology_margin"])
def test_a_lost_file_of_a_growing_catalog_is_found(folder: Path, table: str) -> None:
    victim = next(Path(series_of(folder), table).rglob("night-01.parquet"))
    victim.unlink()
    failed = {check.name for check in verify(series_of(folder)).failures}
    assert "hashes" in failed
    assert failed & {"row counts", "margin row counts"}


def test_rows_of_another_model_do_not_go_into_a_series(folder: Path) -> None:
    other = replace(info_of(2), context=replace(INFO.context, model_id="net-2"))
    shape = Shape(KIND, other)
    rows = RunParts(RunLayout(str(folder / "night-02")), KIND, 1, shape.part_schema)
    with pytest.raises(ReleaseError, match="a series keeps its kind, survey and model"):
        append(rows, shape, series_of(folder), "night-02", [])


def test_only_growing_catalogs_are_folded_and_not_into_themselves(folder: Path) -> None:
    with pytest.raises(ReleaseError, match="is not a catalog of increments"):
        compact(str(folder / "bulk"))
    with pytest.raises(ReleaseError, match="cannot be folded into itself"):
        compact(series_of(folder), series_of(folder))


def test_a_damaged_growing_catalog_is_not_folded(folder: Path) -> None:
    victim = next(Path(series_of(folder), "toy_morphology").rglob("night-01.parquet"))
    table = pq.ParquetFile(victim).read()
    pq.write_table(table.slice(0, table.num_rows - 1), victim)
    with pytest.raises((ReleaseError, VerificationError)):
        compact(series_of(folder))


def test_the_grid_suits_the_mean_density_within_its_bounds() -> None:
    cells = np.arange(4**DEEPEST_ORDER, dtype=np.int64)
    counts = np.ones(len(cells), dtype=np.int64)
    assert Grid.choose(cells, counts, 16, DEEPEST_ORDER).order == DEEPEST_ORDER - 2
    assert Grid.choose(cells, counts, len(cells), DEEPEST_ORDER).order == 3
    assert Grid.choose(cells, 9 * counts, 1, DEEPEST_ORDER).order == DEEPEST_ORDER


@pytest.mark.s3
def test_a_series_in_object_storage_has_the_same_bytes_and_folds(
    folder: Path, s3_bucket: str
) -> None:
    remote = f"{s3_bucket}/series/toy_morphology"
    for night in range(2):
        append_night(folder, night, [f"night-{n:02d}" for n in range(night)], remote)
    start = len(remote) + 1
    stored = {f.uri[start:]: storage.read_bytes(f.uri) for f in storage.list_files(remote)}
    assert stored == contents(series_of(folder))
    report = verify(remote)
    assert report.passed, report.failures
    folded = compact(remote)
    assert different_rows(folded.uri, compact(series_of(folder)).uri) == set()


def different_rows(first: str, second: str) -> set[str]:
    uris = (first, second)
    files = [{f.uri[len(u) + 1 :]: f.uri for f in storage.list_files(u)} for u in uris]
    assert files[0].keys() == files[1].keys()
    return {
        n for n in files[0] if storage.read_bytes(files[0][n]) != storage.read_bytes(files[1][n])
    }
