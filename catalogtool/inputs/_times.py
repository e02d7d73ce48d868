"""When an object was observed: Modified Julian Dates (UTC) from headers and table columns."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from catalogtool.errors import LabelError
from catalogtool.nights import MJD_ZERO

_UNIX_MJD = 40587.0
_MICROSECONDS_PER_DAY = 86_400e6
_LAST_MJD = 100_000.0  # in the year 2132; larger numbers are Julian Dates or no dates
_NUMBERS = ("MJD-OBS", "MJD_OBS", "MJD-BEG", "EXPSTART")
_DATES = ("DATE-OBS", "DATE-BEG")

Times = npt.NDArray[np.float64]


def mjd_of(moment: datetime) -> float:
    """Modified Julian Date of a moment; one without a time zone is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - MJD_ZERO) / timedelta(days=1)


def observed_mjd_of(header: Mapping[str, Any]) -> float | None:
    """Start of the exposure that a FITS header tells of.

    Parameters
    ----------
    header : mapping
        FITS keywords: ``MJD-OBS``, ``MJD-BEG``, ``EXPSTART``, or ``DATE-OBS`` (``DATE-BEG``) with
        the time of day in it or in ``TIME-OBS``. Time scales other than UTC differ from it by
        little more than a minute and are taken for it.

    Returns
    -------
    float or None
        MJD; None if no keyword tells, or only the date is known: a date alone does not decide
        the night.
    """
    for key in _NUMBERS:
        value = header.get(key)
        if isinstance(value, int | float) and _is_mjd(value):
            return float(value)
    for key in _DATES:
        mjd = _parse(str(header.get(key, "")).strip(), str(header.get("TIME-OBS", "")).strip())
        if mjd is not None:
            return mjd
    return None


def _parse(date: str, time: str) -> float | None:
    text = date if "T" in date else f"{date}T{time}"
    try:
        mjd = mjd_of(datetime.fromisoformat(text)) if text[-1:] != "T" else math.nan
    except (ValueError, OverflowError):
        return None
    return mjd if _is_mjd(mjd) else None


def _is_mjd(value: float) -> bool:
    return 0 < value < _LAST_MJD


def column_mjd(where: str, table: pa.Table, name: str | None) -> Times:
    """Times of table rows.

    Parameters
    ----------
    where : str
        The table, for the error.
    table : pa.Table
        Rows.
    name : str or None
        Column of MJDs, or of timestamps or ISO 8601 texts in UTC; None, or a column that the
        table lacks: all unknown.

    Returns
    -------
    ndarray, shape (N,), float64
        MJD, UTC; NaN where unknown or impossible.

    Raises
    ------
    LabelError
        If the column holds something else.
    """
    if name is None or name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    column = table.column(name)
    try:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = pc.replace_substring_regex(column, "Z$", "").cast(pa.timestamp("us"))
        if pa.types.is_timestamp(column.type):
            days = pc.cast(column.cast(pa.timestamp("us", column.type.tz)), pa.int64())
            times = days.cast(pa.float64(), safe=False).to_numpy() / _MICROSECONDS_PER_DAY
            times = times + _UNIX_MJD
        else:
            times = column.cast(pa.float64()).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise LabelError(
            f"{where}: column {name}: expected MJDs, timestamps or ISO 8601 texts: {error}"
        ) from error
    with np.errstate(invalid="ignore"):
        return np.where((times > 0) & (times < _LAST_MJD), times, np.nan)
