"""Morphology, wide: one row per object, with the class probabilities of every band.

Where the network sees all bands together, there is one prediction per object, and this kind has
the columns of `morphology`.
"""

import numpy as np
import pyarrow as pa

from catalogtool.catalogs import morphology
from catalogtool.catalogs._base import CatalogContext, CatalogKind, Predictions
from catalogtool.catalogs._common import (
    OBJECT_COLUMNS,
    QUALITY_COLUMNS,
    BoolArray,
    IntArray,
    class_column,
    class_names,
    constant,
    nullable,
    object_arrays,
    object_flags,
    predicted,
    probability_column,
    row_flags,
)
from catalogtool.schema import Column, arrow_schema


def columns(context: CatalogContext) -> tuple[Column, ...]:
    """Declare the columns."""
    if not context.per_band:
        return morphology.columns(context)
    banded = (column for band in context.bands for column in _band_columns(context, band))
    count = Column(
        "predicted_bands",
        "int16",
        "Number of bands with a prediction",
        "meta.number;instr.bandpass",
    )
    return (*OBJECT_COLUMNS, *banded, count, *QUALITY_COLUMNS)


def _band_columns(context: CatalogContext, band: str) -> tuple[Column, ...]:
    where = f"in band {band}"
    return (
        *(probability_column(f"p_{name}_{band}", name, where) for name in context.classes),
        class_column(f"predicted_class_{band}", context, where),
        Column(f"flags_{band}", "int32", f"Sum of quality bits {where}", "meta.code.qual"),
    )


def finalize(context: CatalogContext, rows: pa.Table, predictions: Predictions) -> pa.Table:
    """Turn predictions into one row per object, in manifest order.

    Parameters
    ----------
    context : CatalogContext
        Classes, bands and model.
    rows : pa.Table
        Manifest rows of N objects.
    predictions : Predictions
        Probabilities of shape (N, R, K).

    Returns
    -------
    pa.Table
        N rows.
    """
    if not context.per_band:
        return morphology.finalize(context, rows, predictions)
    flags = row_flags(rows, predictions)  # (N, R)
    valid = predicted(flags, predictions.probabilities)  # (N, R)
    arrays = [
        *object_arrays(rows, 1),
        *_band_arrays(context, predictions, flags, valid),
        pa.array(valid.sum(axis=1, dtype=np.int16)),
        pa.array(valid.any(axis=1)),
        pa.array(object_flags(flags, valid)),
        constant(context.model_id, rows.num_rows),
    ]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(columns(context)))


def _band_arrays(
    context: CatalogContext, predictions: Predictions, flags: IntArray, valid: BoolArray
) -> list[pa.Array]:
    arrays = []
    for band in range(len(context.bands)):
        p, ok = predictions.probabilities[:, band], valid[:, band]  # (N, K), (N,)
        arrays += [nullable(p[:, index], ok) for index in range(len(context.classes))]
        arrays += [class_names(p, ok, context.classes), pa.array(flags[:, band].copy())]
    return arrays


CATALOG = CatalogKind(
    title="Morphology, one row per object", key=("object_id",), columns=columns, finalize=finalize
)
