"""Simulated fields around transients: hosts of all sizes, what lies beside them, and empty ones.

Offsets of hosts that can be seen are distributed like those of 13,450 real transients.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from catalogtool.inputs._simulation.field import open_stream
from catalogtool.surveys._definition import Survey
from catalogtool.surveys._simulated import HostField

Floats = npt.NDArray[np.float64]

MEDIAN_OFFSET_ARCSEC = 1.8
OFFSET_SCATTER = 1.5
"""Of the natural logarithm. Nearer than the 2.2 of real transients, as hosts that turn out too
faint to be seen are small and near: what remains is distributed like real offsets."""
LIGHT_RADII = 2.0
"""What counts as a galaxy's radius, in half-light radii."""
KINDS = ("spheroid", "disk", "irregular")
_SMALLEST_ARCSEC, _LARGEST_ARCSEC = 0.35, 30.0  # half-light radii of hosts
_FARTHEST_ARCSEC = 55.0  # a host farther away would be outside of the cutout


@dataclass(frozen=True)
class Galaxy:
    """A galaxy in a scene.

    Attributes
    ----------
    x, y : float
        Centre in pixels of columns and rows.
    radius_arcsec : float
        Half-light radius along the major axis.
    axis_ratio, angle : float
        Minor over major axis; angle of the major axis from x towards y, radians.
    magnitude_ab : float
    kind : str
        One of `KINDS`.
    """

    x: float
    y: float
    radius_arcsec: float
    axis_ratio: float
    angle: float
    magnitude_ab: float
    kind: str


@dataclass(frozen=True)
class Scene:
    """A field around a transient, which is at its central pixel, rows upward.

    Attributes
    ----------
    host : Galaxy or None
        None: the transient has none that could be seen.
    galaxies : tuple of Galaxy
        All of them, the host among them.
    stars : ndarray, shape (S, 3)
        x, y and magnitude.
    """

    host: Galaxy | None
    galaxies: tuple[Galaxy, ...]
    stars: Floats


def draw_scene(survey: Survey, field: HostField, index: int) -> Scene:
    """Draw what is in the field of one transient."""
    rng = open_stream(survey.name, field.seed, "host-scene", index)
    size, scale = survey.cutout_size_pix, survey.pixel_scale_arcsec
    centre = size // 2
    host = None
    if rng.random() >= field.hostless_share:
        host = _draw_host(rng, centre, scale)
    others = _draw_field_galaxies(rng, size, scale, field)
    if host is not None:
        others += [*_draw_companions(rng, host, scale, field), host]
    stars = _draw_stars(rng, size, scale, field)
    if host is not None and host.magnitude_ab > field.magnitude_limit_value:
        host = None  # it is drawn, but nobody could tell that it is there
    return Scene(host, tuple(others), stars)


def _draw_host(rng: np.random.Generator, centre: int, scale: float) -> Galaxy:
    """A galaxy around a transient whose distance from it is like that of a real one."""
    drawn = MEDIAN_OFFSET_ARCSEC * np.exp(rng.normal(0, OFFSET_SCATTER))
    offset = min(drawn, _FARTHEST_ARCSEC)
    depth = np.clip(rng.gamma(2.0) / 1.678, 0.15, 3.0)  # half-light radii: where a disk's stars are
    axis_ratio = rng.uniform(0.25, 1.0)
    azimuth, angle = rng.uniform(0, 2 * np.pi, 2)
    shortened = np.hypot(np.cos(azimuth), axis_ratio * np.sin(azimuth))
    radius = float(np.clip(offset / (depth * shortened), _SMALLEST_ARCSEC, _LARGEST_ARCSEC))
    depth = offset / (radius * shortened)  # where no galaxy is as small or large as that
    along = depth * radius * np.cos(azimuth)
    across = depth * radius * axis_ratio * np.sin(azimuth)
    dx = (along * np.cos(angle) - across * np.sin(angle)) / scale
    dy = (along * np.sin(angle) + across * np.cos(angle)) / scale
    return _galaxy(rng, centre - dx, centre - dy, radius, axis_ratio, angle)


def _galaxy(
    rng: np.random.Generator, x: float, y: float, radius: float, axis_ratio: float, angle: float
) -> Galaxy:
    kind = str(rng.choice(KINDS, p=(0.25, 0.6, 0.15)))
    # Mean surface brightness within the half-light radius; smaller galaxies are farther, fainter.
    surface = rng.normal(22.2, 0.8) + 0.25 * np.log2(4 / radius)
    surface -= 0.6 * (kind == "spheroid")
    light = np.pi * radius**2 * axis_ratio * 2
    magnitude = surface - 2.5 * np.log10(light)
    return Galaxy(float(x), float(y), radius, axis_ratio, angle, float(magnitude), kind)


def _draw_field_galaxies(
    rng: np.random.Generator, size: int, scale: float, field: HostField
) -> list[Galaxy]:
    area = (size * scale / 60) ** 2
    found = []
    for _ in range(rng.poisson(field.galaxies_per_arcmin2 * area)):
        magnitude = field.magnitude_limit_value + np.log10(1 - rng.random()) / 0.4
        radius = 0.6 * 10 ** (-0.14 * (magnitude - 22)) * np.exp(rng.normal(0, 0.3))
        x, y = rng.uniform(0, size, 2)
        kind = str(rng.choice(KINDS, p=(0.35, 0.5, 0.15)))
        ratio, angle = rng.uniform(0.3, 1), rng.uniform(0, np.pi)
        found.append(Galaxy(x, y, float(min(radius, 20)), ratio, angle, float(magnitude), kind))
    return found


def _draw_companions(
    rng: np.random.Generator, host: Galaxy, scale: float, field: HostField
) -> list[Galaxy]:
    """Satellites beside the host, or the members of a group or cluster around it."""
    count = 0
    if rng.random() < field.companion_share:
        count = 1 + rng.poisson(0.7)
    spread = 3.0 * host.radius_arcsec
    if rng.random() < field.cluster_share:
        count, spread = int(rng.integers(6, 20)), 25.0
    found = []
    for _ in range(count):
        distance = abs(rng.normal(0, spread)) + 1.5 * host.radius_arcsec
        azimuth, angle = rng.uniform(0, 2 * np.pi, 2)
        x = host.x + distance * np.cos(azimuth) / scale
        y = host.y + distance * np.sin(azimuth) / scale
        radius = float(np.clip(host.radius_arcsec * rng.uniform(0.2, 0.9), 0.35, 15))
        found.append(_galaxy(rng, x, y, radius, rng.uniform(0.4, 1), angle))
    return found


def _draw_stars(rng: np.random.Generator, size: int, scale: float, field: HostField) -> Floats:
    density = field.stars_per_arcmin2 * np.exp(rng.normal(0, 0.7))
    count = rng.poisson(density * (size * scale / 60) ** 2)
    magnitude = np.clip(field.magnitude_limit_value + np.log10(1 - rng.random(count)) / 0.2, 13, 25)
    return np.column_stack([rng.uniform(0, size, (count, 2)), magnitude])


def tiled(scenes: Sequence[Scene], columns: int, size_pix: int) -> Scene:
    """Put scenes of one size beside each other, row by row, as one without a transient.

    Galaxies reach over the edges of their scenes.
    """
    galaxies: list[Galaxy] = []
    stars = [np.zeros((0, 3))]
    for index, scene in enumerate(scenes):
        row, column = divmod(index, columns)
        x, y = column * size_pix, row * size_pix
        galaxies += [replace(galaxy, x=galaxy.x + x, y=galaxy.y + y) for galaxy in scene.galaxies]
        stars.append(scene.stars + np.array([x, y, 0]))
    return Scene(None, tuple(galaxies), np.concatenate(stars))
