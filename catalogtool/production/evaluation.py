"""How good a catalog is: its probabilities against the labels that no training saw."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.catalogs import load_kind
from catalogtool.config.training import DomainData
from catalogtool.inputs._base import votes_of
from catalogtool.layout import RunLayout
from catalogtool.production.domains import DomainInput
from catalogtool.production.plan import Plan
from catalogtool.training.metrics import evaluate, evaluate_by_band
from catalogtool.training.model import Model

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LabelledRows:
    """Catalog rows whose label is known and was not used.

    Attributes
    ----------
    probabilities, votes : ndarray, shape (M, K), float32
    band : ndarray, shape (M,), int64
        Index of the band; 0 where all bands have one row together.
    """

    probabilities: FloatArray
    votes: FloatArray
    band: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Figures:
    """Figures of merit of a run."""

    overall: dict[str, Any]
    by_band: dict[str, dict[str, Any]]
    label_kind: str

    def sentence(self) -> str:
        """The main figure in words."""
        count = self.overall["count"]
        if not count:
            return "No label is left to measure the catalog with."
        where = f"on {count} labels that no training saw"
        if self.label_kind == "votes":
            return f"Mean per-sample RMSE {where}: {self.overall['rmse']:.4f}."
        return f"Balanced accuracy {where}: {self.overall['balanced_accuracy']:.1%}."


def evaluate_run(plan: Plan, model: Model | None, run: RunLayout) -> Figures:
    """Compare a run's parts with the labels of its manifest.

    Parameters
    ----------
    plan, model : Plan, Model or None
        The run's; the model says which objects it learned from.
    run : RunLayout
        A run whose parts are written.
    """
    measurable = [kind for kind in plan.kinds if load_kind(kind).has_probabilities]
    if not measurable or model is None:
        return Figures({"count": 0}, {}, plan.survey.labels.kind)
    chunks = list(_unseen_rows(plan, run, measurable[0], seen_objects(plan, model)))
    classes = len(plan.survey.labels.classes)
    empty = LabelledRows(
        np.zeros((0, classes), np.float32), np.zeros((0, classes), np.float32), np.zeros(0, int)
    )
    chunks.append(empty)
    probabilities = np.concatenate([chunk.probabilities for chunk in chunks])
    votes = np.concatenate([chunk.votes for chunk in chunks])
    band = np.concatenate([chunk.band for chunk in chunks])
    by_band = {}
    if plan.survey.labels.per_band:
        by_band = evaluate_by_band(probabilities, votes, band, plan.survey.band_names)
    return Figures(evaluate(probabilities, votes), by_band, plan.survey.labels.kind)


def seen_objects(plan: Plan, model: Model) -> frozenset[int]:
    """Objects of the catalog whose labels trained or selected the model."""
    seen: set[int] = set()
    domains = {"source": model.spec.source, "target_labelled": model.spec.target}
    for name, labels in model.metrics["labels"].items():
        domain = domains[name]
        if domain and _overlaps(domain, plan.target):
            seen.update(labels["train_ids"], labels["validation_ids"])
    return frozenset(seen)


def _overlaps(domain: DomainData, target: DomainInput) -> bool:
    """Whether objects may be in both: a survey grows, and an increment is a part of it."""
    same_survey = domain.survey.name == target.survey.name
    same_format = domain.input_format == target.format_name
    same_manifest = domain.manifest_identity == target.manifest.identity
    return same_manifest or (same_survey and same_format)


def _unseen_rows(
    plan: Plan, run: RunLayout, kind: str, seen: frozenset[int]
) -> Iterator[LabelledRows]:
    survey = plan.survey
    names = [f"p_{name}" for name in survey.labels.classes]
    for unit in plan.target.manifest.labelled_units:
        rows = plan.target.manifest.read_unit(unit)
        votes = votes_of(rows, survey)
        votes[np.isin(rows.column("object_id").to_numpy(), list(seen))] = np.nan
        flat = votes.reshape(-1, len(names))
        if not np.isfinite(flat).any():
            continue
        with storage.open_input(run.part(kind, unit)) as source:
            part = pq.read_table(source, columns=names)
        probabilities = np.column_stack([part.column(n).to_numpy() for n in names])
        keep = np.isfinite(flat).all(axis=1) & np.isfinite(probabilities).all(axis=1)
        band = np.tile(np.arange(survey.rows_per_object), rows.num_rows)
        yield LabelledRows(probabilities[keep].astype(np.float32), flat[keep], band[keep])
