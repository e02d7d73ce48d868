"""Objects that alerts belong to: one row per object, over all of its alerts in the catalog."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalogtool.catalogs._base import CatalogContext, SummaryKind
from catalogtool.catalogs._common import (
    OBJECT_COLUMNS,
    QUALITY_COLUMNS,
    SOURCE_CLASS,
    class_column,
    class_names,
    constant,
    nullable,
    probability_column,
)
from catalogtool.flags import FATAL
from catalogtool.identifiers import object_id_of
from catalogtool.schema import Column, arrow_schema

_WHERE = "on average over its alerts"
FloatArray = npt.NDArray[np.float64]


def columns(context: CatalogContext) -> tuple[Column, ...]:
    """Declare the columns."""
    return (
        *OBJECT_COLUMNS,
        Column("alerts", "int32", "Alerts of the object in this catalog", "meta.number"),
        Column("first_mjd", "float64", "Time of its first alert, MJD, UTC", "time.start", unit="d"),
        Column("last_mjd", "float64", "Time of its last alert, MJD, UTC", "time.end", unit="d"),
        Column(
            "brightest_mag_ab",
            "float32",
            "Brightest magnitude of a difference, AB",
            "phot.mag;stat.min",
            unit="mag",
        ),
        *(probability_column(f"p_{name}", name, _WHERE, SOURCE_CLASS) for name in context.classes),
        class_column("predicted_class", context, _WHERE, SOURCE_CLASS),
        Column(
            "confidence",
            "float32",
            "Mean probability of the most probable class",
            "stat.probability;stat.max",
        ),
        Column(
            "real_bogus", "float32", "Largest real/bogus score of its alerts", "stat.probability"
        ),
        *QUALITY_COLUMNS,
    )


def summarise(context: CatalogContext, alerts: pa.Table) -> pa.Table:
    """One row per object, in the order of their ids.

    Parameters
    ----------
    context : CatalogContext
        Classes and model.
    alerts : pa.Table
        All alerts of some objects, of the kind ``alert``; those without a position are left out.

    Returns
    -------
    pa.Table
        Positions are means of unit vectors, probabilities means over the alerts that have some,
        flags those of any alert, but fatal ones of them all.
    """
    alerts = alerts.filter(alerts.column("ra").is_valid())
    names = alerts.column("source_id").to_pylist()
    ids = np.array([object_id_of(name) for name in names], dtype=np.int64)
    unique, first, index = np.unique(ids, return_index=True, return_inverse=True)
    count = len(unique)
    ra, dec = _mean_positions(alerts, index, count)
    p, valid = _mean_probabilities(context, alerts, index, count)
    times = alerts.column("observed_mjd").to_numpy()
    arrays = [
        pa.array(unique),
        pa.array([names[i] for i in first], pa.string()),
        pa.array(ra),
        pa.array(dec),
        pa.array(np.bincount(index, minlength=count).astype(np.int32)),
        _extreme(np.fmin, times, index, count).cast(pa.float64()),
        _extreme(np.fmax, times, index, count).cast(pa.float64()),
        _extreme(np.fmin, alerts.column("magnitude_ab").to_numpy(), index, count),
        *(nullable(p[:, k].astype(np.float32), valid) for k in range(len(context.classes))),
        class_names(p.astype(np.float32), valid, context.classes),
        nullable(p.max(axis=1, initial=0).astype(np.float32), valid),
        _extreme(np.fmax, alerts.column("real_bogus").to_numpy(), index, count),
        pa.array(valid),
        pa.array(_flags(alerts, index, count)),
        constant(context.model_id, count),
    ]
    schema = arrow_schema(columns(context))
    return pa.Table.from_arrays(
        [array.cast(field.type) for array, field in zip(arrays, schema, strict=True)], schema=schema
    )


def _mean_positions(
    alerts: pa.Table, index: npt.NDArray[np.int64], count: int
) -> tuple[FloatArray, FloatArray]:
    """Directions of the mean unit vectors, degrees: right ascensions may be on both sides of 0."""
    ra, dec = (np.radians(alerts.column(name).to_numpy()) for name in ("ra", "dec"))
    vectors = (np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec))
    x, y, z = (np.bincount(index, weights=vector, minlength=count) for vector in vectors)
    return np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arctan2(z, np.hypot(x, y)))


def _mean_probabilities(
    context: CatalogContext, alerts: pa.Table, index: npt.NDArray[np.int64], count: int
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Means (O, K) over the alerts with a prediction, and which objects have one."""
    predicted = alerts.column("has_prediction").to_numpy(zero_copy_only=False)
    of_object = np.bincount(index, weights=predicted, minlength=count)
    p = np.full((count, len(context.classes)), np.nan)
    for k, name in enumerate(context.classes):
        values = np.where(predicted, alerts.column(f"p_{name}").to_numpy(), 0)
        sums = np.bincount(index, weights=values, minlength=count)
        np.divide(sums, of_object, out=p[:, k], where=of_object > 0)
    return p, of_object > 0


def _extreme(
    ufunc: np.ufunc, values: npt.NDArray[np.floating], index: npt.NDArray[np.int64], count: int
) -> pa.Array:
    """Smallest or largest known value of each object; null where none is known."""
    found = np.full(count, np.nan, dtype=values.dtype)
    ufunc.at(found, index, values)
    return pa.array(found, from_pandas=True)


def _flags(alerts: pa.Table, index: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int32]:
    bits = alerts.column("flags").to_numpy()
    some, every = np.zeros(count, dtype=np.int32), np.full(count, -1, dtype=np.int32)
    np.bitwise_or.at(some, index, bits)
    np.bitwise_and.at(every, index, bits)
    return some & (every | ~np.int32(FATAL))


SUMMARY = SummaryKind(
    name="alert_object",
    title="Objects of the alerts",
    key=("object_id",),
    by="source_id",
    columns=columns,
    summarise=summarise,
)
