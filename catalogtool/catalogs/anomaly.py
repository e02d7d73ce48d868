"""Anomaly: how unlike the usual objects of its survey an object is."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalogtool.catalogs._base import CatalogContext, CatalogKind, Predictions, Ranking
from catalogtool.catalogs._common import (
    OBJECT_COLUMNS,
    QUALITY_COLUMNS,
    BoolArray,
    class_column,
    constant,
    object_arrays,
    usable,
    vectors,
)
from catalogtool.schema import Column, arrow_schema


def columns(context: CatalogContext) -> tuple[Column, ...]:
    """Declare the columns."""
    order = ", ".join(context.classes)
    return (
        *OBJECT_COLUMNS,
        Column(
            "anomaly_score",
            "float32",
            "Distance from the usual objects in the embedding; higher is more anomalous",
            "stat.param;src",
        ),
        Column(
            "anomaly_rank",
            "int64",
            "Place by score in this release, 1 is the most anomalous; 0 without a score, and in "
            "catalogs that grow",
            "stat.rank",
        ),
        Column(
            "anomaly_p_value",
            "float32",
            "Conformal p-value: probability that a usual object scores at least as high",
            "stat.probability;src",
        ),
        class_column("nearest_class", context, "in the embedding"),
        Column(
            "class_distances",
            "float32",
            f"Distance from the objects of each class, in the order {order}; NaN without a score",
            "stat.param;src",
            length=len(context.classes),
        ),
        *QUALITY_COLUMNS,
    )


def finalize(context: CatalogContext, rows: pa.Table, predictions: Predictions) -> pa.Table:
    """Turn scores into rows, one per object, in manifest order.

    Parameters
    ----------
    context : CatalogContext
        Classes and model.
    rows : pa.Table
        Manifest rows of N objects.
    predictions : Predictions
        With findings of the schema `FINDINGS`.

    Returns
    -------
    pa.Table
        N rows.
    """
    assert predictions.findings is not None
    findings = predictions.findings.combine_chunks()
    unflagged, flags = usable(rows, predictions)
    valid = unflagged & pc.is_valid(findings.column("score")).to_numpy()
    arrays = [
        *object_arrays(rows, 1),
        _where(valid, findings.column("score"), None),
        pa.array(np.zeros(rows.num_rows, dtype=np.int64)),
        _where(valid, findings.column("p_value"), None),
        _where(valid, findings.column("nearest_class"), ""),
        vectors(_distances(findings, valid, len(context.classes))),
        pa.array(valid),
        pa.array(flags),
        constant(context.model_id, rows.num_rows),
    ]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(columns(context)))


def _where(valid: BoolArray, values: pa.ChunkedArray, other: str | None) -> pa.Array:
    kept = pc.if_else(pa.array(valid), values, pa.scalar(other, values.type))
    return pa.concat_arrays(kept.chunks) if kept.num_chunks else pa.array([], values.type)


def _distances(findings: pa.Table, valid: BoolArray, classes: int) -> np.ndarray:
    """Distances of shape (N, K); NaN where not valid."""
    found = np.full((len(valid), classes), np.nan, dtype=np.float32)
    kept = pc.filter(findings.column("distances"), pa.array(valid))
    found[valid] = pc.list_flatten(kept).to_numpy().reshape(-1, classes)
    return found


FINDINGS = pa.schema(
    [
        pa.field("score", pa.float32()),
        pa.field("p_value", pa.float32()),
        pa.field("nearest_class", pa.string()),
        pa.field("distances", pa.list_(pa.float32())),
    ]
)
"""What a scorer says of each object."""

CATALOG = CatalogKind(
    title="Anomaly",
    key=("object_id",),
    columns=columns,
    finalize=finalize,
    extends=True,
    findings=FINDINGS,
    ranking=Ranking("anomaly_rank", by="anomaly_score"),
    maker="scorer",
)
