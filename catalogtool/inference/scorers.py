"""Scorers of unusual objects: fitted on what a trained network makes of a survey, and stored.

What is usual is what is common: objects of the survey itself are drawn at random, and each counts
as of the class of its label or, without one, of its most probable class.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from catalogtool.anomaly._scorer import AnomalyScorer
from catalogtool.catalogs._base import Predictions
from catalogtool.config.scorer import ScorerSpec
from catalogtool.config.training import DomainData
from catalogtool.errors import ConfigError, DataError
from catalogtool.inference.forms import default_minibatch
from catalogtool.inference.predictor import Predictor, join_predictions
from catalogtool.inputs import load_format
from catalogtool.inputs._base import votes_of
from catalogtool.training import stored
from catalogtool.training.model import load_model
from catalogtool.training.unlabelled import draw_unlabelled

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_FORM = "channels_last"
_WHAT = "scorer"
_CHUNK = 64
_FEWEST_PER_CLASS = 20
"""Objects of a class without which it says nothing of what is usual."""


@dataclass(frozen=True)
class StoredScorer:
    """A scorer and its record.

    Attributes
    ----------
    uri : str
        Its folder.
    model_id : str
        Method and a hash of weights and specification.
    spec : ScorerSpec
        How it was fitted.
    classes : tuple of str
        All classes of the survey; the scorer may know fewer.
    scorer : AnomalyScorer
        Fitted.
    objects : int
        Number of objects that it was fitted on.
    """

    uri: str
    model_id: str
    spec: ScorerSpec
    classes: tuple[str, ...]
    scorer: AnomalyScorer
    objects: int

    def apply(self, features: FloatArray) -> pa.Table:
        """Score features of shape (M, D); distances of classes that it does not know are NaN.

        Returns
        -------
        pa.Table
            M rows: ``score``, ``p_value``, ``nearest_class`` and ``distances`` (K).
        """
        table = self.scorer.apply(features)
        known = pc.list_flatten(table.column("distances")).to_numpy()
        distances = np.full((table.num_rows, len(self.classes)), np.nan, dtype=np.float32)
        places = [self.classes.index(name) for name in self.scorer.classes]
        distances[:, places] = known.reshape(table.num_rows, len(places))
        lists = pa.FixedSizeListArray.from_arrays(pa.array(distances.ravel()), len(self.classes))
        return table.set_column(
            table.column_names.index("distances"), "distances", lists.cast(_distances_type())
        )

    def describe(self) -> list[tuple[str, str]]:
        """The scorer in words."""
        return [
            ("unusual objects", f"{self.model_id}, fitted on {self.objects:,} objects"),
            ("usual classes", ", ".join(self.scorer.classes)),
        ]


def _distances_type() -> pa.DataType:
    return pa.list_(pa.float32())


def fit_scorer(spec: ScorerSpec, network_uri: str, domain: DomainData, uri: str) -> StoredScorer:
    """Fit a scorer on the features of objects of a survey, and store it.

    Parameters
    ----------
    spec : ScorerSpec
        What to fit.
    network_uri : str
        Folder of the model whose features it sees.
    domain : DomainData
        The survey.
    uri : str
        Folder of the scorer.

    Raises
    ------
    DataError
        If too few objects have a prediction.
    """
    predictor = Predictor(
        load_model(network_uri), _FORM, 1, default_minibatch(), with_features=True
    )
    limit = spec.objects * domain.survey.rows_per_object
    rows = draw_unlabelled(domain, limit, spec.seed).rows.table
    predictions = join_predictions(list(_predict(predictor, domain, rows)))
    assert predictions.features is not None
    index = _class_index(rows, predictions, domain)
    index[~np.isfinite(predictions.features).all(axis=1)] = -1
    classes = domain.survey.labels.classes
    counts = np.bincount(index[index >= 0], minlength=len(classes))
    kept = np.flatnonzero(counts >= _FEWEST_PER_CLASS)
    if not len(kept):
        raise DataError(
            f"{domain.input_uri or domain.survey.name}: none of the classes {', '.join(classes)} "
            f"has {_FEWEST_PER_CLASS} objects among {rows.num_rows} that were drawn; unusual "
            "objects cannot be told from so few"
        )
    usable = np.isin(index, kept)
    scorer = AnomalyScorer.fit(
        predictions.features[usable],
        np.searchsorted(kept, index[usable]),
        tuple(classes[place] for place in kept),
        spec.method,
        spec.options,
        spec.seed,
    )
    return _save(uri, scorer, spec, classes, int(usable.sum()))


def _predict(predictor: Predictor, domain: DomainData, rows: pa.Table) -> Iterator[Predictions]:
    source = load_format(domain.input_format)(domain.survey, domain.input_uri, domain.labels_uri)
    for start in range(0, rows.num_rows, _CHUNK):
        yield predictor.predict(source.read(rows.slice(start, _CHUNK)))


def _class_index(rows: pa.Table, predictions: Predictions, domain: DomainData) -> IntArray:
    """Class of the label, or else the most probable one, of each object."""
    votes = votes_of(rows, domain.survey)
    is_labelled = np.asarray(np.isfinite(votes).any(axis=(1, 2)))
    p = np.where(is_labelled[:, None, None], votes, predictions.probabilities)
    index: IntArray = np.nansum(p, axis=1).argmax(axis=1)
    return index


def _save(
    uri: str, scorer: AnomalyScorer, spec: ScorerSpec, classes: tuple[str, ...], objects: int
) -> StoredScorer:
    facts = {"classes": classes, "objects": objects}
    stored.write(uri, spec.method, spec, scorer.to_bytes(), facts)
    return load_scorer(uri)


def load_scorer(uri: str) -> StoredScorer:
    """Read a scorer and check it against its own record.

    Raises
    ------
    ModelError
        If there is none, or it is damaged.
    """
    record = _read_record(uri)
    weights = stored.read_weights(record, record.spec.method)
    try:
        scorer = AnomalyScorer.from_bytes(weights)
        classes, objects = tuple(record.facts["classes"]), record.facts["objects"]
    except (ValueError, KeyError, TypeError, ConfigError) as error:
        raise stored.damaged(uri, _WHAT, str(error)) from error
    return StoredScorer(uri, record.model_id, record.spec, classes, scorer, objects)


def read_scorer_spec(uri: str) -> ScorerSpec:
    """How a stored scorer was fitted.

    Raises
    ------
    ModelError
        If there is none, or it is damaged.
    """
    return _read_record(uri).spec


def _read_record(uri: str) -> stored.Record[ScorerSpec]:
    return stored.read_record(uri, ScorerSpec, ("classes", "objects"), _WHAT)
