"""From pixels of a cutout to the sky: orientation, offsets and positions."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Floats = npt.NDArray[np.float64]

ORIENTATION_FACTS = pa.schema(
    [  # arcsec to the east and to the north per pixel along columns (x) and rows (y)
        pa.field("east_x_arcsec", pa.float64()),
        pa.field("east_y_arcsec", pa.float64()),
        pa.field("north_x_arcsec", pa.float64()),
        pa.field("north_y_arcsec", pa.float64()),
    ]
)
"""What an input may say of every cutout."""


@dataclass(frozen=True)
class Orientation:
    """Which way pixels lie on the sky.

    Attributes
    ----------
    matrices : ndarray, shape (N, 2, 2)
        Arcsec to the east (first row) and to the north per pixel along x and y.
    """

    matrices: Floats

    @classmethod
    def of(cls, facts: pa.Table | None, count: int, scale_arcsec: float) -> Self:
        """Orientation of N cutouts: what the input says of them, or north up and east left."""
        upright = np.array([[-scale_arcsec, 0.0], [0.0, scale_arcsec]])
        matrices = np.broadcast_to(upright, (count, 2, 2)).copy()
        names = ORIENTATION_FACTS.names
        if facts is not None and {*names} <= {*facts.column_names}:
            values = [facts.column(name).to_numpy(zero_copy_only=False) for name in names]
            told = np.stack(values, axis=1).astype(np.float64).reshape(count, 2, 2)
            known = np.isfinite(told).all(axis=(1, 2))
            matrices[known] = told[known]
        return cls(matrices)

    def offsets_arcsec(self, pixels: Floats) -> Floats:
        """Offsets east and north (N, 2), of offsets x and y in pixels (N, 2)."""
        found: Floats = np.einsum("nij,nj->ni", self.matrices, pixels)
        return found

    def offsets_pix(self, arcsec: Floats) -> Floats:
        """Offsets x and y in pixels (N, 2), of offsets east and north (N, 2)."""
        found: Floats = np.einsum("nij,nj->ni", np.linalg.inv(self.matrices), arcsec)
        return found


def shifted(ra: Floats, dec: Floats, offsets_arcsec: Floats) -> tuple[Floats, Floats]:
    """Positions at offsets east and north (N, 2) in the tangent plane, degrees."""
    xi, eta = np.radians(offsets_arcsec.T / 3600)
    ra0, dec0 = np.radians(ra), np.radians(dec)
    forward = np.cos(dec0) - eta * np.sin(dec0)
    found_ra = ra0 + np.arctan2(xi, forward)
    found_dec = np.arctan2(np.sin(dec0) + eta * np.cos(dec0), np.hypot(xi, forward))
    return np.degrees(found_ra) % 360, np.degrees(found_dec)


def offsets_between(ra: Floats, dec: Floats, to_ra: Floats, to_dec: Floats) -> Floats:
    """Offsets east and north in arcsec (N, 2) in the tangent plane: the inverse of `shifted`."""
    ra0, dec0, ra1, dec1 = (np.radians(angle) for angle in (ra, dec, to_ra, to_dec))
    cosine = np.sin(dec0) * np.sin(dec1) + np.cos(dec0) * np.cos(dec1) * np.cos(ra1 - ra0)
    xi = np.cos(dec1) * np.sin(ra1 - ra0) / cosine
    eta = (np.cos(dec0) * np.sin(dec1) - np.sin(dec0) * np.cos(dec1) * np.cos(ra1 - ra0)) / cosine
    offsets: Floats = np.degrees(np.stack([xi, eta], axis=1)) * 3600
    return offsets
