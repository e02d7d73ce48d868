"""The trials of a comparison of anomaly methods: features, classes, and what is left out."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool._discovery import check_module
from catalogtool.anomaly import method_names
from catalogtool.anomaly._protocol import Labelled, split
from catalogtool.config._base import Settings, Specification, canonical_json
from catalogtool.config.anomaly import AnomalyCompareConfig
from catalogtool.errors import DataError, LabelError
from catalogtool.inputs._base import votes_of
from catalogtool.inputs._names import TABLE_ENDINGS
from catalogtool.layout import RunLayout
from catalogtool.production.record import read_record
from catalogtool.similarity.embeddings import Embeddings
from catalogtool.surveys import load_survey
from catalogtool.surveys._definition import Survey

CLASS_COLUMNS = ("class", "classification", "label", "type")
_FEWEST = 12
"""Objects of a class that is compared: fewer say nothing."""


class AnomalyTrial(Specification):
    """One method, without one class."""

    method: str
    left_out: str
    seed: int
    data: str
    """SHA-256 of features and classes."""
    test_share: float


class AnomalyFigures(Settings):
    """What came of one trial."""

    trial: AnomalyTrial
    auroc: float
    precision: dict[int, float]
    base_rate: float
    seconds: float


@dataclass(frozen=True)
class Objects:
    """Objects with features and classes; which of them are for the test, a seed decides."""

    labelled: Labelled
    sha256: str

    def of_seed(self, seed: int, test_share: float) -> Labelled:
        """The same objects, some of them for the test."""
        is_test = split(self.labelled.class_index, test_share, seed)
        return replace(self.labelled, is_test=is_test)


def plan_anomaly_trials(config: AnomalyCompareConfig, objects: Objects) -> tuple[AnomalyTrial, ...]:
    """All trials: every method, class and seed.

    Raises
    ------
    UnknownNameError
        If there is no such method.
    """
    methods = config.methods or method_names()
    for name in methods:
        check_module("catalogtool.anomaly", name)
    classes = objects.labelled.classes
    return tuple(
        AnomalyTrial(
            method=method,
            left_out=left_out,
            seed=seed,
            data=objects.sha256,
            test_share=config.test_share,
        )
        for method, left_out, seed in product(methods, classes, range(config.seeds))
    )


def read_objects(config: AnomalyCompareConfig) -> Objects:
    """Features and classes of a table, or of a run with embeddings.

    Raises
    ------
    DataError
        If there is no such table or run, or fewer than two classes have enough objects.
    """
    uri = storage.normalise(config.input)
    is_table = uri.lower().endswith((*TABLE_ENDINGS, ".csv"))
    features, names = _of_table(uri, config.labels) if is_table else _of_run(RunLayout(uri))
    found, counts = np.unique(names[names != ""], return_counts=True)
    classes = tuple(found[counts >= _FEWEST].tolist())
    if len(classes) < 2:
        told = ", ".join(f"{n} {c}" for n, c in zip(found, counts, strict=True)) or "none"
        raise DataError(
            f"{uri}: a class is left out and the others say what is usual, so two classes with "
            f"{_FEWEST} objects or more are needed; found: {told}"
        )
    chosen = np.isin(names, classes)
    index = np.searchsorted(classes, names[chosen])
    kept = np.ascontiguousarray(features[chosen], dtype=np.float32)
    digest = hashlib.sha256(kept.tobytes())
    digest.update(canonical_json([classes, index.tolist()]).encode())
    nobody = np.zeros(len(index), dtype=np.bool_)
    return Objects(Labelled(kept, index, classes, nobody), digest.hexdigest())


def _of_table(uri: str, labels_uri: str | None) -> tuple[np.ndarray, np.ndarray]:
    table = _read_table(uri)
    if labels_uri is not None:
        labels = _read_table(storage.normalise(labels_uri))
        shared = [
            name
            for name in labels.column_names
            if name in table.column_names and name not in CLASS_COLUMNS
        ]
        if not shared:
            raise LabelError(
                f"{labels_uri}: shares no column with {uri}; both need the objects' names"
            )
        keys = shared[:1]
        extra = [n for n in labels.column_names if n in CLASS_COLUMNS and n not in shared]
        table = table.join(labels.select([*keys, *extra]), keys, join_type="left outer")
        table = table.sort_by([(name, "ascending") for name in keys])
    name = next((n for n in table.column_names if n in CLASS_COLUMNS), None)
    if name is None:
        raise LabelError(
            f"{uri}: no column of classes; expected one of {', '.join(CLASS_COLUMNS)}, here or in "
            "the table that --labels names"
        )
    classes = pc.fill_null(pc.cast(table.column(name), pa.string()), "")
    numbers = [f.name for f in table.schema if f.name != name and _is_feature(f)]
    if not numbers:
        raise DataError(f"{uri}: has no columns of numbers, which features are")
    features = np.stack(
        [pc.fill_null(pc.cast(table.column(n), pa.float64()), float("nan")) for n in numbers],
        axis=1,
    )
    return _without_gaps(features, uri), np.asarray(classes.to_pylist(), dtype=np.str_)


def _is_feature(field: pa.Field) -> bool:
    """Whether a column holds numbers, and not the names of objects."""
    is_number = pa.types.is_floating(field.type) or pa.types.is_integer(field.type)
    return is_number and field.name != "" and not field.name.lower().endswith("id")


def _without_gaps(features: np.ndarray, uri: str) -> np.ndarray:
    """Features with the median in the place of what is missing."""
    features = np.where(np.isfinite(features), features, np.nan)
    empty = np.isnan(features).all(axis=0)
    if empty.all():
        raise DataError(f"{uri}: no feature has a value")
    features = features[:, ~empty]
    return np.where(np.isnan(features), np.nanmedian(features, axis=0), features)


def _read_table(uri: str) -> pa.Table:
    data = pa.BufferReader(storage.read_bytes(uri))
    try:
        is_parquet = uri.lower().endswith(TABLE_ENDINGS)
        return pq.read_table(data) if is_parquet else pyarrow.csv.read_csv(data)
    except pa.ArrowInvalid as error:
        raise DataError(f"{uri}: neither CSV nor Parquet: {error}") from error


def _of_run(run: RunLayout) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of a run's objects, and the classes of their labels."""
    record = read_record(run)
    survey = load_survey(record.config.survey)
    names = list(_label_names(record.manifest_uri, survey))
    every = np.concatenate(names)
    blocks = list(Embeddings(run).blocks())
    rows = np.concatenate([numbers for numbers, _ in blocks])
    return np.concatenate([matrix for _, matrix in blocks]), every[rows]


def _label_names(manifest_uri: str, survey: Survey) -> Iterator[np.ndarray]:
    classes = np.array(["", *survey.labels.classes])
    with storage.open_input(manifest_uri) as source:
        file = pq.ParquetFile(source)
        for unit in range(file.num_row_groups):
            votes = votes_of(file.read_row_group(unit), survey)
            mean = np.nan_to_num(votes).mean(axis=1)
            yield classes[np.where(mean.any(axis=1), 1 + mean.argmax(axis=1), 0)]
