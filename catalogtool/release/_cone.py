"""Circles on the sky: which partitions they touch and which rows are inside."""

from typing import Annotated

import numpy as np
import numpy.typing as npt
from astropy import units as u
from astropy.coordinates import Latitude, Longitude
from cdshealpix import nested
from pydantic import Field, field_validator

from catalogtool.config._base import Settings, build_settings
from catalogtool.errors import ConfigError
from catalogtool.release._tiling import ORDER, FloatArray, IntArray
from catalogtool.units import Angle

_EXAMPLE = "'150.1,2.2,10 arcmin': ICRS degrees, and a radius with its unit"
_COVERAGE_ORDER = 12
"""Cells of 52 arcsec, far smaller than partitions."""
_LARGEST_COVERAGE_DEG = 90.0
"""The coverage of cdshealpix 0.8 has holes for circles of more than about 120 degrees."""


class Cone(Settings):
    """All positions within a radius."""

    ra: Annotated[float, Field(allow_inf_nan=False)]
    """ICRS degrees."""
    dec: Annotated[float, Field(ge=-90, le=90)]
    radius: Angle

    @field_validator("radius")
    @classmethod
    def _radius_is_on_the_sky(cls, radius: u.Quantity) -> u.Quantity:
        if not 0 < radius.to_value(u.deg) <= 180:
            raise ValueError(f"is not between 0 and 180 deg: {radius}")
        return radius

    @classmethod
    def parse(cls, text: str) -> "Cone":
        """Read ``RA,DEC,RADIUS``.

        Raises
        ------
        ConfigError
            If it is not a circle on the sky.
        """
        parts = [part.strip() for part in text.split(",")]
        if len(parts) != 3:
            raise ConfigError(f"--cone {text!r}: expected {_EXAMPLE}")
        values = dict(zip(("ra", "dec", "radius"), parts, strict=True))
        return build_settings(cls, values, where=f"--cone {text!r}")

    @property
    def radius_deg(self) -> float:
        """Radius in degrees."""
        return float(self.radius.to_value(u.deg))

    def touches(self, orders: IntArray, pixels: IntArray) -> npt.NDArray[np.bool_]:
        """Which HEALPix cells the circle touches.

        A cell close to the circle may be said to be touched; none that is touched is left out. A
        circle of more than half of the sky is said to touch all.

        Parameters
        ----------
        orders, pixels : ndarray, shape (P,), int64
            Nested cells.
        """
        if self.radius_deg > _LARGEST_COVERAGE_DEG:
            return np.ones(len(pixels), dtype=np.bool_)
        cells, depths, _ = nested.cone_search(
            Longitude(self.ra % 360, unit="deg"),
            Latitude(self.dec, unit="deg"),
            radius=self.radius_deg * u.deg,
            depth=_COVERAGE_ORDER,
        )
        starts, ends = _ranges(depths.astype(np.int64), cells.astype(np.int64))
        rank = np.argsort(starts)
        starts, ends = starts[rank], ends[rank]
        first, last = _ranges(orders, pixels)
        # The covered ranges are disjoint: the first that ends behind a cell's start decides.
        nearest = np.searchsorted(ends, first, side="right")
        found = nearest < len(starts)
        touched: npt.NDArray[np.bool_] = found & (starts[np.where(found, nearest, 0)] < last)
        return touched

    def contains(self, ra: FloatArray, dec: FloatArray) -> npt.NDArray[np.bool_]:
        """Which positions are inside, the edge included; haversine formula."""
        lon, lat = np.radians(ra - self.ra), np.radians(dec)
        centre = np.radians(self.dec)
        half = np.sin((lat - centre) / 2) ** 2
        half += np.cos(lat) * np.cos(centre) * np.sin(lon / 2) ** 2
        distance = 2 * np.arcsin(np.sqrt(np.clip(half, 0, 1)))
        inside: npt.NDArray[np.bool_] = distance <= np.radians(self.radius_deg)
        return inside


def _ranges(orders: IntArray, pixels: IntArray) -> tuple[IntArray, IntArray]:
    """First cell at `ORDER` and the one behind the last."""
    shift = 2 * (ORDER - orders)
    return pixels << shift, (pixels + 1) << shift
