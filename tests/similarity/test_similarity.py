"""Nearest neighbours among the embeddings of a run."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_run import make_small_run

from catalogtool.errors import ConfigError, DataError
from catalogtool.inference import local
from catalogtool.inference.unit import UnitTask
from catalogtool.similarity import index
from catalogtool.similarity.embeddings import Embeddings
from catalogtool.similarity.index import Search, exact


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> UnitTask:
    from dataclasses import replace

    task = make_small_run(tmp_path_factory.mktemp("embedded"))
    task = replace(task, kinds=("morphology", "embedding"))
    local.run_units(task, range(task.manifest.units), lambda _: None)
    return task


def all_of(embeddings: Embeddings) -> tuple[np.ndarray, np.ndarray]:
    blocks = list(embeddings.blocks())
    return np.concatenate([b[0] for b in blocks]), np.concatenate([b[1] for b in blocks])


def test_rows_are_counted_through_the_units(task: UnitTask) -> None:
    embeddings = Embeddings(task.run)
    rows, matrix = all_of(embeddings)
    assert rows.tolist() == list(range(task.manifest.objects))
    chosen = np.array([95, 3, 40, 3])
    names, vectors = embeddings.take(chosen)
    np.testing.assert_array_equal(vectors, matrix[chosen])
    ids = np.concatenate([t.column("object_id") for t in task.manifest.iter_units()])
    assert names.column("object_id").to_pylist() == ids[chosen].tolist()


def test_the_nearest_are_those_of_sorting_all_distances(task: UnitTask, tmp_path: Path) -> None:
    embeddings = Embeddings(task.run)
    _, matrix = all_of(embeddings)
    rows, distances = Search(embeddings, str(tmp_path)).nearest(matrix[7], 5)
    every = np.linalg.norm(matrix - matrix[7], axis=1)
    assert rows.tolist() == np.argsort(every, kind="stable")[:5].tolist()
    np.testing.assert_allclose(distances, np.sort(every)[:5], atol=1e-5)
    assert rows[0] == 7


def test_an_index_finds_what_it_says_and_is_kept(
    task: UnitTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "SMALL", 10)
    embeddings = Embeddings(task.run)
    _, matrix = all_of(embeddings)
    search = Search(embeddings, str(tmp_path))
    found, distances = search.nearest(matrix[11], 6)
    expected, true = exact(embeddings, matrix[11:12], 6)
    assert search.recall > 0.9
    assert found.tolist() == expected[0].tolist()
    np.testing.assert_allclose(distances, true[0])
    written = (tmp_path / "index.faiss").stat().st_mtime_ns
    assert Search(embeddings, str(tmp_path)).recall == search.recall
    assert (tmp_path / "index.faiss").stat().st_mtime_ns == written
    (tmp_path / "index.faiss").write_bytes(b"damaged")
    again, _ = Search(embeddings, str(tmp_path)).nearest(matrix[11], 6)
    assert again.tolist() == found.tolist()


def test_objects_are_found_by_id_and_by_name(task: UnitTask) -> None:
    embeddings = Embeddings(task.run)
    names, _ = embeddings.take(np.array([42]))
    row = names.to_pylist()[0]
    assert embeddings.find(row["source_id"]) == embeddings.find(str(row["object_id"])) == 42
    with pytest.raises(DataError, match="has no object galaxy-x"):
        embeddings.find("galaxy-x")


def test_an_object_without_embedding_is_told_from_an_unknown_one(
    task: UnitTask, tmp_path: Path
) -> None:
    import shutil

    from catalogtool.layout import RunLayout

    run = RunLayout(str(shutil.copytree(task.run_uri, tmp_path / "run")))
    path = run.part("embedding", 0)
    table = pq.read_table(path)
    known = [False, *[True] * (table.num_rows - 1)]
    place = table.column_names.index("has_prediction")
    table = table.set_column(place, table.schema.field(place), [known])
    pq.write_table(table, path)
    name = table.column("source_id")[0].as_py()
    with pytest.raises(DataError, match="has no embedding"):
        Embeddings(run).find(name)
    assert len(next(iter(Embeddings(run).blocks()))[0]) == table.num_rows - 1


def test_a_run_without_embeddings_says_how_to_get_some(tmp_path: Path) -> None:
    task = make_small_run(tmp_path)
    local.run_units(task, [0], lambda _: None)
    with pytest.raises(ConfigError, match="--catalog embedding"):
        Embeddings(task.run).identity  # noqa: B018 - reading it is the act
