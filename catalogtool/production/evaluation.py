"""How good a catalog is: its probabilities against the labels that no training saw."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.catalogs._base import CatalogContext
from catalogtool.inputs._base import votes_of
from catalogtool.inputs.manifest import Manifest
from catalogtool.layout import RunLayout
from catalogtool.surveys._definition import Survey

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LabelledRows:
    """Catalog rows whose label is known and was not used.

    Attributes
    ----------
    probabilities, votes : ndarray, shape (M, K), float32
    band_index : ndarray, shape (M,), int64
        Row within the object: the band where every band has its own.
    """

    probabilities: FloatArray
    votes: FloatArray
    band_index: npt.NDArray[np.int64]


def unseen_rows(
    run: RunLayout,
    manifest: Manifest,
    survey: Survey,
    context: CatalogContext,
    seen_ids: frozenset[int],
) -> LabelledRows:
    """Collect predictions and labels of objects that no training saw.

    Parameters
    ----------
    run : RunLayout
        A run whose ``morphology`` parts are written.
    manifest : Manifest
        Its objects.
    survey, context : Survey, CatalogContext
        Classes and rows per object.
    seen_ids : frozenset of int
        Objects whose labels trained or selected the model.
    """
    chunks = list(_unit_rows(run, manifest, survey, context, seen_ids))
    classes = len(context.classes)
    return LabelledRows(
        np.concatenate([c[0] for c in chunks] or [np.zeros((0, classes), np.float32)]),
        np.concatenate([c[1] for c in chunks] or [np.zeros((0, classes), np.float32)]),
        np.concatenate([c[2] for c in chunks] or [np.zeros(0, np.int64)]),
    )


def _unit_rows(
    run: RunLayout,
    manifest: Manifest,
    survey: Survey,
    context: CatalogContext,
    seen_ids: frozenset[int],
) -> Iterator[tuple[FloatArray, FloatArray, npt.NDArray[np.int64]]]:
    names = [f"p_{name}" for name in context.classes]
    for unit, rows in enumerate(manifest.iter_units()):
        votes = votes_of(rows, survey)
        votes[np.isin(rows.column("object_id").to_numpy(), list(seen_ids))] = np.nan
        flat = votes.reshape(-1, len(names))
        if not np.isfinite(flat).any():
            continue
        with storage.open_input(run.part("morphology", unit)) as source:
            part = pq.read_table(source, columns=names)
        probabilities = np.column_stack([part.column(n).to_numpy() for n in names])
        keep = np.isfinite(flat).all(axis=1) & np.isfinite(probabilities).all(axis=1)
        band_index = np.tile(np.arange(survey.rows_per_object), rows.num_rows)
        yield probabilities[keep].astype(np.float32), flat[keep], band_index[keep]


def figures(rows: LabelledRows, survey: Survey) -> dict[str, Any]:
    """Figures of merit of unseen rows, by the kind of the survey's labels.

    Returns
    -------
    dict
        ``rows``, and for votes ``mean_rmse`` (mean of per-sample RMSE) and ``global_rmse``; for
        classes ``balanced_accuracy`` and ``accuracy``; empty of figures where no row is labelled.
    """
    from catalogtool.training import metrics

    count = len(rows.votes)
    if not count:
        return {"rows": 0}
    return {"rows": count, **metrics.summarise(rows.probabilities, rows.votes, survey.labels.kind)}
