"""Stars and galaxies of the sky, as chance neighbours and as hosts of what happens in them."""

from typing import NamedTuple

import numpy as np

from catalogtool.inputs._simulation.camera import Camera
from catalogtool.inputs._simulation.light import Light, galaxy, star

# Counts per square degree at high Galactic latitude: so many are brighter than a magnitude, and so
# steeply their logarithm rises with it.
_GALAXIES = (24.0, 8e4, 0.4)
_STARS = (21.0, 2.5e3, 0.2)
_RADIUS_ARCSEC, _RADIUS_SLOPE, _RADIUS_SCATTER = 0.35, 0.12, 0.16  # at 24 mag; dex per mag; dex
_ELLIPTICAL_SHARE = 0.35
_HOST_BRIGHTER = 0.5  # mag; hosts are at least that much brighter than the depth


class Source(NamedTuple):
    """Something that a catalog of the sky has.

    Attributes
    ----------
    light : Light
        Around one place.
    is_star : bool
        Whether its profile is a star's.
    """

    light: Light
    is_star: bool

    @property
    def place(self) -> tuple[float, float]:
        """Pixels to the right of and above the central pixel."""
        return float(self.light.x[0]), float(self.light.y[0])

    @property
    def flux(self) -> float:
        """Counts."""
        return float(self.light.flux.sum())

    def moved(self, x: float, y: float) -> "Source":
        """The same source somewhere else."""
        return Source(self.light.moved(x, y), self.is_star)


def draw_neighbours(camera: Camera, side: int, rng: np.random.Generator) -> list[Source]:
    """Chance stars and galaxies, down to the depth of the template."""
    limit = camera.depth_mag_ab[1]
    square_degrees = (side * camera.pixel_scale_arcsec / 3600) ** 2
    sources = []
    for at, count, slope in (_GALAXIES, _STARS):
        is_star = (at, count, slope) == _STARS
        density = count * 10 ** (slope * (limit - at))
        density *= camera.settings.star_density if is_star else 1.0
        for _ in range(rng.poisson(density * square_degrees)):
            mag = limit - rng.exponential(1 / (slope * np.log(10)))
            flux = camera.flux_counts(mag)
            light = star(flux) if is_star else galaxy_of_flux(camera, flux, rng)
            sources.append(Source(light.moved(*rng.uniform(-side / 2, side / 2, 2)), is_star))
    return sources


def draw_host(camera: Camera, rng: np.random.Generator) -> Light:
    """Draw a galaxy in which something can be seen to happen, on the central pixel."""
    mag = camera.depth_mag_ab[0] - _HOST_BRIGHTER - rng.gamma(2.0, 1.0)
    return galaxy_of_flux(camera, camera.flux_counts(mag), rng)


def galaxy_of_flux(camera: Camera, flux: float, rng: np.random.Generator) -> Light:
    """Draw a galaxy of some flux in counts, as large as galaxies of its magnitude are."""
    mag_ab = camera.zeropoint_mag_ab - 2.5 * np.log10(flux)
    slope = _RADIUS_SLOPE * (24 - mag_ab) + _RADIUS_SCATTER * rng.standard_normal()
    radius = _RADIUS_ARCSEC * 10**slope / camera.pixel_scale_arcsec
    is_elliptical = rng.random() < _ELLIPTICAL_SHARE
    bulge = 1.0 if is_elliptical else rng.beta(1.6, 5.0)
    ratio = rng.uniform(0.55, 1.0) if is_elliptical else rng.uniform(0.2, 1.0)
    return galaxy(flux, radius, bulge, ratio, rng.uniform(0, np.pi))
