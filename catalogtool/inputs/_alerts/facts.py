"""Columns of numbers from what packets say, many packets at a time."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalogtool.inputs._alerts.sky import ecliptic, galactic

Numbers = npt.NDArray[np.float64]
Measurement = dict[str, Any]
"""What a packet says of one detection, under names that all surveys of a reader share."""

_SENTINELS = (-999.0, -99.0)
_LARGEST = 1e30


def numbers_of(measurements: Sequence[Measurement], names: Sequence[str]) -> Numbers:
    """Numbers of some fields.

    Returns
    -------
    ndarray, shape (len(names), N), float64
        NaN where there is none: no such field, null, no number, a sentinel or a fill value.
    """
    empty = dict.fromkeys(names)
    get = itemgetter(*names)
    rows = [get({**empty, **measurement}) for measurement in measurements]
    try:
        numbers = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        numbers = np.array([[_number(value) for value in row] for row in rows])
    numbers = numbers.reshape(len(measurements), len(names)).T
    numbers[np.isin(numbers, _SENTINELS) | ~(np.abs(numbers) < _LARGEST)] = np.nan
    return numbers


def _number(value: Any) -> float:  # noqa: ANN401 - whatever a packet holds
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def column(values: Numbers, kind: pa.DataType | None = None) -> pa.Array:
    """Column of float32, or of another type, with nulls for NaN."""
    unknown = np.isnan(values)
    with np.errstate(over="ignore", invalid="ignore"):
        plain = np.where(unknown, 0, values).astype(np.float32 if kind is None else np.float64)
    array = pa.array(plain, mask=unknown)
    return array if kind is None else array.cast(kind, safe=False)


def sky_columns(ra: Numbers, dec: Numbers) -> dict[str, pa.Array]:
    """Ecliptic and Galactic coordinates, in degrees."""
    ecl_long, ecl_lat = ecliptic(ra, dec)
    gal_long, gal_lat = galactic(ra, dec)
    return {
        "ecl_lat": column(ecl_lat),
        "ecl_long": column(ecl_long),
        "gal_lat": column(gal_lat),
        "gal_long": column(gal_long),
    }


def texts_of(measurements: Sequence[Measurement], name: str) -> pa.Array:
    """Column of texts; null where there is none."""
    values = (measurement.get(name) for measurement in measurements)
    return pa.array([v if isinstance(v, str) else None for v in values], pa.string())


def sign_of(value: object) -> float:
    """1 for ``t``, ``1`` or true, 0 for ``f``, ``0`` or false, NaN for anything else."""
    text = str(value).lower().removesuffix(".0")
    return 1.0 if text in {"t", "1", "true"} else 0.0 if text in {"f", "0", "false"} else np.nan
