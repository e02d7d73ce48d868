"""Alerts: class probabilities and a real/bogus score, one row per alert; a summary per object."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pyarrow as pa

from catalogtool.catalogs import _alert_objects
from catalogtool.catalogs._base import CatalogContext, CatalogKind, Predictions
from catalogtool.catalogs._common import (
    CONFIDENCE,
    ENTROPY,
    OBJECT_COLUMNS,
    QUALITY_COLUMNS,
    SOURCE_CLASS,
    BoolArray,
    FloatArray,
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
from catalogtool.nights import MJD_ZERO, observing_night
from catalogtool.schema import Column, arrow_schema

BOGUS = "bogus"
_WHERE = "in this alert"
_NIGHT_WIDTH = 10

_ALERT_ID = Column(
    "object_id",
    "int64",
    "Identifier of the alert in its survey: candid, diaSourceId",
    "meta.id;meta.main",
)
_OBSERVED = (
    Column("observed_mjd", "float64", "Time of the exposure, MJD, UTC", "time.epoch", unit="d"),
    Column(
        "night",
        "string",
        "Observing night, by the local date of its evening; empty where the time is unknown",
        "meta.code",
        width=_NIGHT_WIDTH,
    ),
    Column(
        "band", "string", "Band of the exposure; empty where unknown", "instr.bandpass", width=8
    ),
)
FACTS = (
    Column(
        "magnitude_ab",
        "float32",
        "Magnitude of the difference, AB",
        "phot.mag;em.opt",
        unit="mag",
    ),
    Column(
        "magnitude_error", "float32", "Error of magnitude_ab", "stat.error;phot.mag", unit="mag"
    ),
    Column("survey_score", "float32", "Real/bogus score of the survey itself", "stat.probability"),
    Column(
        "detections",
        "float32",
        "Detections of the object so far, this one included",
        "meta.number;obs",
    ),
)
"""Numbers that the packet tells, beside what the network says."""


def columns(context: CatalogContext) -> tuple[Column, ...]:
    """Declare the columns."""
    return (
        _ALERT_ID,
        *OBJECT_COLUMNS[1:],
        *_OBSERVED,
        *FACTS,
        Column(
            "change_sign",
            "int8",
            "1: brighter than the template; -1: fainter; 0: unknown",
            "meta.code;phot.flux",
        ),
        *(probability_column(f"p_{name}", name, _WHERE, SOURCE_CLASS) for name in context.classes),
        class_column("predicted_class", context, _WHERE, SOURCE_CLASS),
        CONFIDENCE,
        Column(
            "real_bogus",
            "float32",
            "Probability that something in the sky changed: 1 - p_bogus; null without such a class",
            "stat.probability",
        ),
        ENTROPY,
        *QUALITY_COLUMNS,
    )


def finalize(context: CatalogContext, rows: pa.Table, predictions: Predictions) -> pa.Table:
    """Turn predictions into rows in manifest order.

    Parameters
    ----------
    context : CatalogContext
        Classes, bands and model.
    rows : pa.Table
        Manifest rows of N alerts.
    predictions : Predictions
        Probabilities of shape (N, 1, K), and the facts of the packets.

    Returns
    -------
    pa.Table
        N rows. Of a survey whose bands are predicted one by one, the mean over bands counts.
    """
    flags = row_flags(rows, predictions)  # (N, R)
    valid: BoolArray = np.all(predicted(flags, predictions.probabilities), axis=1)  # (N,)
    p = predictions.probabilities.mean(axis=1)  # (N, K)
    times = rows.column("observed_mjd").to_numpy()  # null becomes NaN
    facts = _facts(predictions.facts, rows.num_rows)
    arrays = [
        *object_arrays(rows, 1),
        pa.array(times, pa.float64(), from_pandas=True),
        pa.array(nights(times, context.timezone), pa.string()),
        facts["band"].fill_null("").cast(pa.string()),
        *(facts[column.name].cast(pa.float32()) for column in FACTS),
        _change_sign(facts["is_positive"]),
        *(nullable(p[:, index], valid) for index in range(len(context.classes))),
        class_names(p, valid, context.classes),
        nullable(p.max(axis=1, initial=0), valid),
        _real_bogus(p, valid, context.classes),
        nullable(entropy_nat(p), valid),
        pa.array(valid),
        pa.array(np.bitwise_or.reduce(flags, axis=1)),
        constant(context.model_id, rows.num_rows),
    ]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(columns(context)))


def nights(times_mjd: np.ndarray, timezone: str) -> list[str]:
    """Observing night of each time (MJD, UTC; NaN: unknown) as a text such as 2026-11-20."""
    known: dict[float, str] = {}
    # Exposures have many alerts, and calendars are slow.
    for time in np.unique(times_mjd[np.isfinite(times_mjd)]).tolist():
        moment = MJD_ZERO + timedelta(days=time)
        known[time] = observing_night(moment, timezone).isoformat()
    return [known.get(time, "") for time in times_mjd.tolist()]


def _facts(facts: pa.Table | None, count: int) -> dict[str, pa.Array]:
    """Columns of the packets, nulls where the input does not have them."""
    types = {"band": pa.string(), "is_positive": pa.bool_()}
    types |= {column.name: pa.float32() for column in FACTS}
    found = {name: pa.nulls(count, kind) for name, kind in types.items()}
    if facts is not None:
        for name in found.keys() & set(facts.column_names):
            found[name] = facts.column(name).combine_chunks()
    return found


def _change_sign(is_positive: pa.Array) -> pa.Array:
    signs = [0 if sign is None else 1 if sign else -1 for sign in is_positive.to_pylist()]
    return pa.array(signs, pa.int8())


def _real_bogus(p: FloatArray, valid: BoolArray, classes: Sequence[str]) -> pa.Array:
    if BOGUS not in classes:
        return pa.nulls(len(p), pa.float32())
    return nullable(1 - p[:, classes.index(BOGUS)], valid)


CATALOG = CatalogKind(
    title="Alerts",
    key=("object_id",),
    columns=columns,
    finalize=finalize,
    has_probabilities=True,
    summary=_alert_objects.SUMMARY,
)
