"""Ecliptic and Galactic coordinates, to the few arc seconds that a simulation needs."""

import numpy as np
import numpy.typing as npt

from catalogtool.inputs._simulation.field import Floats

_OBLIQUITY = np.radians(23.4392911)  # J2000
ECLIPTIC: npt.NDArray[np.float64] = np.array(
    [
        [1, 0, 0],
        [0, np.cos(_OBLIQUITY), np.sin(_OBLIQUITY)],
        [0, -np.sin(_OBLIQUITY), np.cos(_OBLIQUITY)],
    ]
)
"""Turns ICRS directions to the ecliptic of J2000."""

GALACTIC: npt.NDArray[np.float64] = np.array(
    [
        [-0.0548755604, -0.8734370902, -0.4838350155],
        [0.4941094279, -0.4448296300, 0.7469822445],
        [-0.8676661490, -0.1980763734, 0.4559837762],
    ]
)
"""Turns ICRS directions to Galactic ones."""


def turned(ra: Floats, dec: Floats, frame: npt.NDArray[np.float64]) -> tuple[Floats, Floats]:
    """Longitude (0 to 360) and latitude in another frame, degrees; any shape."""
    alpha, delta = np.radians(ra), np.radians(dec)
    icrs = np.stack([np.cos(delta) * np.cos(alpha), np.cos(delta) * np.sin(alpha), np.sin(delta)])
    x, y, z = np.tensordot(frame, icrs, axes=1)
    return np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arcsin(np.clip(z, -1, 1)))
