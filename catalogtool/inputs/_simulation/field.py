"""Where and when simulated objects are seen, and the random numbers behind everything simulated."""

import hashlib
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalogtool.inputs._times import mjd_of
from catalogtool.nights import night_start
from catalogtool.surveys._simulated import SimulatedField

Floats = npt.NDArray[np.float64]

_DUSK_AFTER_NOON = timedelta(hours=8)
_SLOTS_PER_NIGHT = 1000
_SLOT_DAYS = 1 / 3000  # of 29 s: a night of 8 h


def open_stream(survey_name: str, seed: int, purpose: str, index: int) -> np.random.Generator:
    """Open the random numbers of one purpose and one index.

    They depend on the arguments and on nothing else.
    """
    text = f"{survey_name}:{seed}:{purpose}:{index}"
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16]))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def draw_positions(
    field: SimulatedField, count: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Positions spread evenly over the field: ra and dec, ICRS degrees, each of shape (count,)."""
    ra, dec, radius = (angle.to_value("rad") for angle in (field.ra, field.dec, field.radius))
    cosine = 1 - (1 - np.cos(radius)) * rng.random(count)
    sine = np.sqrt(1 - cosine**2)
    azimuth = rng.uniform(0, 2 * np.pi, count)
    east, north = sine * np.sin(azimuth), sine * np.cos(azimuth)
    forward = cosine * np.cos(dec) - north * np.sin(dec)
    up = cosine * np.sin(dec) + north * np.cos(dec)
    return np.degrees(ra + np.arctan2(east, forward)) % 360, np.degrees(np.arcsin(up))


def observed_mjd(field: SimulatedField, timezone: str, index: npt.NDArray[np.int64]) -> pa.Array:
    """Times of objects: one after the other from 20 h on, night after night in turn.

    Returns
    -------
    Array of float64
        MJD, UTC; null where the field has no first night.
    """
    if field.first_night is None:
        return pa.nulls(len(index), pa.float64())
    evenings = [
        night_start(field.first_night + timedelta(days=number), timezone)
        for number in range(field.nights)
    ]
    starts = np.array([mjd_of(evening + _DUSK_AFTER_NOON) for evening in evenings])
    turn, night = np.divmod(index, field.nights)
    return pa.array(starts[night] + turn % _SLOTS_PER_NIGHT * _SLOT_DAYS)
