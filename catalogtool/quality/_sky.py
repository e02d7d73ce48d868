"""Great circles of the sky map: the Galactic plane and the ecliptic."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_GALACTIC_POLE_DEG = (192.85948, 27.12825)  # ra and dec; ESA 1997, The Hipparcos catalogue, 1.5.3
_OBLIQUITY_DEG = 23.4392911  # of J2000; Lieske et al. 1977, A&A 58, 1
_ECLIPTIC_POLE_DEG = (270.0, 90.0 - _OBLIQUITY_DEG)


def galactic_plane(points: int = 181) -> FloatArray:
    """Circle of zero Galactic latitude.

    Returns
    -------
    ndarray, shape (points, 2), float64
        ra and dec, ICRS degrees; the last point is the first one.
    """
    return _great_circle(*_GALACTIC_POLE_DEG, points)


def ecliptic(points: int = 181) -> FloatArray:
    """Circle of zero ecliptic latitude, as `galactic_plane`."""
    return _great_circle(*_ECLIPTIC_POLE_DEG, points)


def _great_circle(pole_ra_deg: float, pole_dec_deg: float, points: int) -> FloatArray:
    """Points at 90 degrees from a pole, from the ascending node on, towards larger ra."""
    ra, dec = np.radians((pole_ra_deg, pole_dec_deg))
    node = np.array([-np.sin(ra), np.cos(ra), 0.0])
    highest = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    angle = np.linspace(0, 2 * np.pi, points)[:, None]
    x, y, z = (node * np.cos(angle) + highest * np.sin(angle)).T
    lon = np.degrees(np.arctan2(y, x)) % 360
    return np.stack([lon, np.degrees(np.arcsin(np.clip(z, -1, 1)))], axis=1)
