"""An index of embeddings, kept beside the run: nearest neighbours without reading all of them.

Vectors are divided among cells around centroids and stored with one byte per number (faiss); a
search looks into the nearest cells, and its candidates are ranked by their true distances. How many
of the true neighbours that finds is measured when the index is built.
"""

import json
import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import NonNegativeFloat, PositiveInt

from catalogtool import storage
from catalogtool.config._base import Settings, build_settings, canonical_json
from catalogtool.errors import ConfigError, StorageError
from catalogtool.similarity.embeddings import Embeddings, FloatArray, IntArray

log = logging.getLogger(__name__)

SMALL = 100_000
"""Embeddings up to which all are looked at."""
_PER_CELL_TAUGHT = 40
_PROBES = 48
_CANDIDATES = 10
"""Candidates per neighbour that is asked for."""
_MEASURED = 100
_MEASURED_TOP = 20
_SEED = 1
_VERSION = 1


class IndexRecord(Settings):
    """What an index says of itself."""

    identity: str
    version: int = _VERSION
    vectors: PositiveInt
    cells: PositiveInt
    recall: NonNegativeFloat
    """Share of the 20 nearest embeddings of 100 objects that a search finds."""


class Search:
    """Nearest neighbours among the embeddings of a run.

    Parameters
    ----------
    embeddings : Embeddings
    folder : str
        Where an index is kept.
    """

    def __init__(self, embeddings: Embeddings, folder: str) -> None:
        self.embeddings = embeddings
        self._folder = folder
        self.recall = 1.0
        self._index: Any = None
        if embeddings.rows > SMALL:
            self._index, self.recall = _open_index(embeddings, folder)

    @property
    def is_exact(self) -> bool:
        """Whether all embeddings are looked at."""
        return self._index is None

    def nearest(self, vector: FloatArray, count: int) -> tuple[IntArray, FloatArray]:
        """Rows and Euclidean distances of the nearest embeddings, nearest first.

        Parameters
        ----------
        vector : ndarray, shape (D,), float32
        count : int
            Most rows to return.
        """
        if self._index is None:
            rows, distances = exact(self.embeddings, vector[None], count)
            return rows[0], distances[0]
        _, found = self._index.search(vector[None], _CANDIDATES * count)
        rows = found[0][found[0] >= 0]
        if not len(rows):  # the cells that were looked into are empty
            return rows, np.zeros(0, dtype=np.float32)
        _, matrix = self.embeddings.take(rows)
        distances = _distances(matrix, vector[None])[0]
        order = np.lexsort((rows, distances))[:count]
        return rows[order], distances[order]


def exact(
    embeddings: Embeddings, vectors: FloatArray, count: int
) -> tuple[list[IntArray], list[FloatArray]]:
    """Rows and distances of the nearest embeddings of each vector (Q, D), by looking at all."""
    rows = [np.zeros(0, dtype=np.int64)] * len(vectors)
    distances = [np.zeros(0, dtype=np.float32)] * len(vectors)
    for numbers, matrix in embeddings.blocks():
        for place, found in enumerate(_distances(matrix, vectors)):
            merged = np.concatenate([distances[place], found])
            names = np.concatenate([rows[place], numbers])
            order = np.lexsort((names, merged))[:count]
            rows[place], distances[place] = names[order], merged[order]
    return rows, distances


def _distances(matrix: FloatArray, vectors: FloatArray) -> FloatArray:
    """Euclidean distances, shape (Q, M)."""
    return np.stack([np.sqrt(((matrix - vector) ** 2).sum(axis=1)) for vector in vectors])


def _open_index(embeddings: Embeddings, folder: str) -> tuple[Any, float]:
    """The index of these very embeddings: the one that is there, or a new one."""
    import faiss

    record_uri = storage.join(folder, "index.json")
    file_uri = storage.join(folder, "index.faiss")
    record = _read_record(record_uri, embeddings.identity)
    if record is not None:
        try:
            index: Any = faiss.deserialize_index(
                np.frombuffer(storage.read_bytes(file_uri), np.uint8)
            )
        except (RuntimeError, StorageError) as error:
            log.warning("%s: is built again: %s", file_uri, error)
        else:
            index.nprobe = _PROBES
            return index, record.recall
    index, made = build(embeddings)
    with tempfile.TemporaryDirectory(prefix="catalogtool-index-") as scratch:
        path = Path(scratch) / "index.faiss"
        faiss.write_index(index, str(path))
        storage.upload_file(path, file_uri)
    storage.write_bytes(record_uri, canonical_json(made.to_json()).encode())
    return index, made.recall


def _read_record(uri: str, identity: str) -> IndexRecord | None:
    """Record of an index of the embeddings with this identity, if there is a sound one."""
    if not storage.exists(uri):
        return None
    try:
        record = build_settings(IndexRecord, json.loads(storage.read_bytes(uri)), where=uri)
    except (ValueError, ConfigError) as error:
        log.warning("%s: is written again: %s", uri, error)
        return None
    is_same = (record.identity, record.version) == (identity, _VERSION)
    return record if is_same else None


def build(embeddings: Embeddings) -> tuple[Any, IndexRecord]:
    """Build an index in memory, and measure what it finds.

    Returns
    -------
    index : faiss.Index
    record : IndexRecord
    """
    import faiss

    cells = max(1, int(np.sqrt(embeddings.rows)))
    taught = _sample(embeddings, _PER_CELL_TAUGHT * cells)
    size = taught.shape[1]
    quantiser = faiss.IndexFlatL2(size)
    kind = faiss.ScalarQuantizer.QT_8bit
    index = faiss.IndexIVFScalarQuantizer(quantiser, size, cells, kind, faiss.METRIC_L2)
    index.cp.seed = _SEED
    index.train(taught)
    for numbers, matrix in embeddings.blocks():
        index.add_with_ids(np.ascontiguousarray(matrix), numbers)
    index.nprobe = _PROBES
    return index, IndexRecord(
        identity=embeddings.identity,
        vectors=index.ntotal,
        cells=cells,
        recall=_recall(index, embeddings, taught[:_MEASURED]),
    )


def _sample(embeddings: Embeddings, count: int) -> FloatArray:
    """Embeddings spread over all units, in a random order."""
    share = min(1.0, count / embeddings.rows)
    rng = np.random.default_rng(_SEED)
    chosen = [matrix[rng.random(len(matrix)) < share] for _, matrix in embeddings.blocks()]
    every = np.concatenate(chosen)
    sampled: FloatArray = np.ascontiguousarray(every[rng.permutation(len(every))])
    return sampled


def _recall(index: Any, embeddings: Embeddings, vectors: FloatArray) -> float:  # noqa: ANN401
    """Share of the nearest embeddings that are among the candidates of a search."""
    true = _true_neighbours(embeddings, vectors)
    _, found = index.search(vectors, _CANDIDATES * _MEASURED_TOP)
    hits = [np.isin(rows, candidates).mean() for rows, candidates in zip(true, found, strict=True)]
    return float(np.mean(hits))


def _true_neighbours(embeddings: Embeddings, vectors: FloatArray) -> list[IntArray]:
    """Rows of the nearest embeddings of each vector, by the distances that faiss computes."""
    import faiss

    rows = [np.zeros(0, dtype=np.int64)] * len(vectors)
    squares = [np.zeros(0, dtype=np.float32)] * len(vectors)
    for numbers, matrix in embeddings.blocks():
        near, places = faiss.knn(vectors, matrix, min(_MEASURED_TOP, len(matrix)))
        for query, (found, place) in enumerate(zip(near, places, strict=True)):
            merged = np.concatenate([squares[query], found])
            names = np.concatenate([rows[query], numbers[place]])
            order = np.lexsort((names, merged))[:_MEASURED_TOP]
            rows[query], squares[query] = names[order], merged[order]
    return rows
