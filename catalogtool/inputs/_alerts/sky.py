"""Ecliptic and Galactic coordinates of many positions: two rotations."""

import numpy as np
import numpy.typing as npt

Degrees = npt.NDArray[np.float64]

# ICRS to Galactic: ESA 1997, The Hipparcos and Tycho Catalogues, volume 1, equation 1.5.11.
_GALACTIC = np.array(
    [
        [-0.0548755604162154, -0.8734370902348850, -0.4838350155487132],
        [+0.4941094278755837, -0.4448296299600112, +0.7469822444972189],
        [-0.8676661490190047, -0.1980763734312015, +0.4559837761750669],
    ]
)
_OBLIQUITY = np.deg2rad(84381.406 / 3600)  # at J2000: Capitaine et al. 2003, A&A 412, 567
_ECLIPTIC = np.array(
    [
        [1, 0, 0],
        [0, np.cos(_OBLIQUITY), np.sin(_OBLIQUITY)],
        [0, -np.sin(_OBLIQUITY), np.cos(_OBLIQUITY)],
    ]
)


def galactic(ra: Degrees, dec: Degrees) -> tuple[Degrees, Degrees]:
    """Galactic longitude and latitude of ICRS positions, degrees; NaN stays NaN."""
    return _rotated(ra, dec, _GALACTIC)


def ecliptic(ra: Degrees, dec: Degrees) -> tuple[Degrees, Degrees]:
    """Longitude and latitude in the mean ecliptic of J2000, degrees; NaN stays NaN."""
    return _rotated(ra, dec, _ECLIPTIC)


def _rotated(ra: Degrees, dec: Degrees, matrix: Degrees) -> tuple[Degrees, Degrees]:
    longitude, latitude = np.deg2rad(ra), np.deg2rad(dec)
    x, y, z = matrix @ np.stack(
        [
            np.cos(latitude) * np.cos(longitude),
            np.cos(latitude) * np.sin(longitude),
            np.sin(latitude),
        ]
    )
    return np.rad2deg(np.arctan2(y, x)) % 360, np.rad2deg(np.arctan2(z, np.hypot(x, y)))
