"""Morphology: class probabilities, one row per object and band."""

import numpy as np
import pyarrow as pa

from catalogtool.catalogs._base import CatalogContext, CatalogKind, Predictions
from catalogtool.catalogs._common import (
    CONFIDENCE,
    ENTROPY,
    OBJECT_COLUMNS,
    QUALITY_COLUMNS,
    class_column,
    class_names,
    constant,
    entropy_nat,
    nullable,
    object_arrays,
    predicted,
    probability_column,
    row_flags,
)
from catalogtool.schema import Column, arrow_schema

ALL_BANDS = "all"
"""Name in the column ``band`` of a prediction from all bands together."""


def columns(context: CatalogContext) -> tuple[Column, ...]:
    """Declare the columns."""
    where = "in this band" if context.per_band else "from all bands"
    width = max(len(name) for name in (*context.bands, ALL_BANDS))
    return (
        *OBJECT_COLUMNS,
        Column(
            "band",
            "string",
            f"Band that the prediction is for; {ALL_BANDS!r}: all together",
            "instr.bandpass",
            width=width,
        ),
        *(probability_column(f"p_{name}", name, where) for name in context.classes),
        class_column("predicted_class", context, where),
        CONFIDENCE,
        ENTROPY,
        *QUALITY_COLUMNS,
    )


def finalize(context: CatalogContext, rows: pa.Table, predictions: Predictions) -> pa.Table:
    """Turn predictions into rows: objects in manifest order, bands in survey order.

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
        ``N * R`` rows.
    """
    _, repeats, classes = predictions.probabilities.shape
    flags = row_flags(rows, predictions)
    valid = predicted(flags, predictions.probabilities).ravel()  # (N * R,)
    p = predictions.probabilities.reshape(-1, classes)  # (N * R, K)
    bands = context.bands if context.per_band else (ALL_BANDS,)
    arrays = [
        *object_arrays(rows, repeats),
        pa.array(np.tile(np.asarray(bands), rows.num_rows), pa.string()),
        *(nullable(p[:, index], valid) for index in range(classes)),
        class_names(p, valid, context.classes),
        nullable(p.max(axis=1, initial=0), valid),
        nullable(entropy_nat(p), valid),
        pa.array(valid),
        pa.array(flags.ravel()),
        constant(context.model_id, len(p)),
    ]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(columns(context)))


CATALOG = CatalogKind(
    title="Morphology",
    key=("object_id", "band"),
    columns=columns,
    finalize=finalize,
    has_probabilities=True,
)
