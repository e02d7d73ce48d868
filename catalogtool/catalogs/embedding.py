"""Embedding: what the network makes of an object before it names a class, for similarity search."""

import numpy as np
import pyarrow as pa

from catalogtool.catalogs._base import CatalogContext, CatalogKind, Predictions
from catalogtool.catalogs._common import (
    OBJECT_COLUMNS,
    QUALITY_COLUMNS,
    constant,
    object_arrays,
    usable,
    vectors,
)
from catalogtool.schema import Column, arrow_schema


def columns(context: CatalogContext) -> tuple[Column, ...]:
    """Declare the columns."""
    return (
        *OBJECT_COLUMNS,
        Column(
            "embedding",
            "float32",
            "Features of the network, the mean over the bands with a prediction; NaN without any",
            "stat.param",
            length=context.embedding_size,
        ),
        *QUALITY_COLUMNS,
    )


def finalize(context: CatalogContext, rows: pa.Table, predictions: Predictions) -> pa.Table:
    """Turn features into rows, one per object, in manifest order.

    Parameters
    ----------
    context : CatalogContext
        Says how many features there are.
    rows : pa.Table
        Manifest rows of N objects.
    predictions : Predictions
        With features of shape (N, D).

    Returns
    -------
    pa.Table
        N rows.
    """
    assert predictions.features is not None
    valid, flags = usable(rows, predictions)
    features = np.where(valid[:, None], predictions.features, np.float32(np.nan))
    arrays = [
        *object_arrays(rows, 1),
        vectors(features),
        pa.array(valid & np.isfinite(features).all(axis=1)),
        pa.array(flags),
        constant(context.model_id, rows.num_rows),
    ]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(columns(context)))


CATALOG = CatalogKind(
    title="Embedding",
    key=("object_id",),
    columns=columns,
    finalize=finalize,
    extends=True,
    maker="features",
)
