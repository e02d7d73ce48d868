"""From an object, or a file of one, to those of a run that a network finds like it."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from catalogtool import storage
from catalogtool.errors import ConfigError, DataError
from catalogtool.inference.forms import REFERENCE
from catalogtool.inference.predictor import Predictor
from catalogtool.inputs import open_input_format
from catalogtool.layout import RunLayout
from catalogtool.production.record import read_record
from catalogtool.similarity.embeddings import Embeddings, FloatArray
from catalogtool.similarity.index import Search
from catalogtool.surveys import load_survey
from catalogtool.training.model import load_model

_FILE_ENDINGS = (".fits", ".fits.gz", ".fits.fz", ".fit", ".parquet", ".avro")


@dataclass(frozen=True)
class Similar:
    """The nearest objects of a run.

    Attributes
    ----------
    rows : list of dict
        ``object_id``, ``source_id``, ``ra``, ``dec`` and ``distance``, nearest first.
    recall : float
        Share of the true neighbours that a search finds, as measured when the index was built; 1
        where all embeddings were looked at.
    objects : int
        Among how many.
    is_exact : bool
        Whether all embeddings were looked at.
    """

    rows: list[dict[str, Any]]
    recall: float
    objects: int
    is_exact: bool


def find_similar(run: RunLayout, wanted: str, top: int) -> Similar:
    """Find the objects of a run whose embeddings are nearest to that of another one.

    Parameters
    ----------
    run : RunLayout
        A committed run with embeddings.
    wanted : str
        An object of the run, by id or name, which is left out of the result; or the file of a
        cutout, of the survey's bands and pixel scale.
    top : int
        How many.

    Raises
    ------
    DataError
        If there is no such object, or it has no embedding.
    ConfigError
        If the run has no embeddings.
    """
    embeddings = Embeddings(run)
    search = Search(embeddings, run.similarity)
    if _is_file(wanted):
        own = -1
        vector = _embed(run, wanted)
    else:
        own = embeddings.find(wanted)
        vector = embeddings.take(np.array([own]))[1][0]
    rows, distances = search.nearest(vector, top + 1)
    keep = rows != own
    rows, distances = rows[keep][:top], distances[keep][:top]
    if not len(rows):
        return Similar([], search.recall, embeddings.rows, search.is_exact)
    table, _ = embeddings.take(rows)
    found = [
        row | {"distance": distance}
        for row, distance in zip(table.to_pylist(), distances.tolist(), strict=True)
    ]
    return Similar(found, search.recall, embeddings.rows, search.is_exact)


def _is_file(wanted: str) -> bool:
    name = PurePosixPath(wanted).name.lower()
    return "://" in wanted or name.endswith(_FILE_ENDINGS)


def _embed(run: RunLayout, uri: str) -> FloatArray:
    """Embedding of the first object of a file, by the network of the run."""
    record = read_record(run)
    if record.model_uri is None:
        raise ConfigError(f"{run.uri}: has no network to look at {uri} with")
    source = open_input_format(load_survey(record.config.survey), storage.normalise(uri), None)
    rows = next(source.list_objects()).slice(0, 1)
    predictor = Predictor(load_model(record.model_uri), REFERENCE.name, 1, 1, with_features=True)
    features = predictor.predict(source.read(rows)).features
    assert features is not None
    if features.shape[1] == 0 or not np.isfinite(features[0]).all():
        raise DataError(f"{uri}: has no pixels that the network could use; give another cutout")
    embedding: FloatArray = features[0]
    return embedding
