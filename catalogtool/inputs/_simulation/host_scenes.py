"""Simulated fields around transients: hosts of all sizes, what lies beside them, and empty ones.

Lengths are in arcsec and counts are those of the survey's band. Offsets follow those of real
transients: their logarithm is normal, with the median and the scatter of 13,450 of them.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from catalogtool.inputs._simulation.field import open_stream
from catalogtool.inputs._simulation.noise import MOFFAT_BETA, sky_sigma
from catalogtool.surveys._definition import HostField, Survey

Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]

MEDIAN_OFFSET_ARCSEC = 2.18
OFFSET_SCATTER = 1.35
"""Scatter of the natural logarithm of the offsets of real transients from their hosts."""
LIGHT_RADII = 2.0
"""What counts as a galaxy's radius, in half-light radii."""
KINDS = ("spheroid", "disk", "irregular")
_SMALLEST_ARCSEC, _LARGEST_ARCSEC = 0.35, 22.0  # half-light radii of hosts
_REACH = 8.0  # half-light radii beyond which a galaxy is not drawn


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
    offset = MEDIAN_OFFSET_ARCSEC * np.exp(rng.normal(0, OFFSET_SCATTER))
    depth = np.clip(rng.gamma(2.0) / 1.678, 0.15, 3.0)  # half-light radii: where a disk's stars are
    axis_ratio = rng.uniform(0.25, 1.0)
    azimuth, angle = rng.uniform(0, 2 * np.pi, 2)
    shortened = np.hypot(np.cos(azimuth), axis_ratio * np.sin(azimuth))
    radius = float(np.clip(offset / (depth * shortened), _SMALLEST_ARCSEC, _LARGEST_ARCSEC))
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


def render(survey: Survey, scene: Scene, rng: np.random.Generator) -> Image:
    """Draw a scene as the survey would see it.

    Returns
    -------
    ndarray, shape (size, size), float32
        Data units without a sky level.
    """
    size, scale = survey.cutout_size_pix, survey.pixel_scale_arcsec
    zeropoint = float(survey.bands[0].zeropoint.value)
    light = np.zeros((size, size))
    for galaxy in scene.galaxies:
        _add_galaxy(light, galaxy, scale, zeropoint, rng)
    _add_stars(light, scene.stars, zeropoint)
    transfer = _transfer(size, float(survey.bands[0].psf_fwhm.to_value("arcsec")) / scale)
    blurred = np.fft.irfft2(np.fft.rfft2(light) * transfer, s=(size, size))
    noise = rng.normal(0, float(sky_sigma(survey)[0]), (size, size))
    return (blurred + noise).astype(np.float32)


def _add_galaxy(
    light: Floats, galaxy: Galaxy, scale: float, zeropoint: float, rng: np.random.Generator
) -> None:
    """Add a galaxy's light before any blur; an exponential or a de Vaucouleurs profile."""
    radius = max(galaxy.radius_arcsec / scale, 0.6)
    flux = 10 ** (-0.4 * (galaxy.magnitude_ab - zeropoint))
    reach = int(_REACH * radius) + 2
    low = np.maximum([int(galaxy.y) - reach, int(galaxy.x) - reach], 0)
    high = np.minimum([int(galaxy.y) + reach + 1, int(galaxy.x) + reach + 1], light.shape)
    if (low >= high).any():
        return
    y, x = np.mgrid[low[0] : high[0], low[1] : high[1]]
    cosine, sine = np.cos(galaxy.angle), np.sin(galaxy.angle)
    along = (x - galaxy.x) * cosine + (y - galaxy.y) * sine
    across = (-(x - galaxy.x) * sine + (y - galaxy.y) * cosine) / galaxy.axis_ratio
    r = np.sqrt(along**2 + across**2 + 0.1) / radius
    if galaxy.kind == "spheroid":
        profile = np.exp(-7.669 * (r**0.25 - 1)) / (22.67 * galaxy.axis_ratio * radius**2)
    else:
        profile = np.exp(-1.678 * r) * 1.678**2 / (2 * np.pi * galaxy.axis_ratio * radius**2)
    window = light[low[0] : high[0], low[1] : high[1]]
    if galaxy.kind == "irregular" or (galaxy.kind == "disk" and radius > 12):
        profile = profile * _clumps(along / radius, across / radius, rng)
    window += flux * profile


def _clumps(u: Floats, v: Floats, rng: np.random.Generator) -> Floats:
    """Factor of a clumpy disk: knots of star formation, and less light between them."""
    factor = np.full(u.shape, 0.75)
    for _ in range(int(rng.integers(4, 12))):
        at, width = rng.normal(0, 0.9, 2), rng.uniform(0.08, 0.25)
        factor += rng.uniform(0.5, 3) * np.exp(
            -((u - at[0]) ** 2 + (v - at[1]) ** 2) / (2 * width**2)
        )
    return factor


def _add_stars(light: Floats, stars: Floats, zeropoint: float) -> None:
    """Add points of light, each divided among the four pixels around it."""
    size = len(light)
    for x, y, magnitude in stars:
        flux = 10 ** (-0.4 * (magnitude - zeropoint))
        column, row = int(x), int(y)
        if not (0 <= column < size - 1 and 0 <= row < size - 1):
            continue
        fx, fy = x - column, y - row
        light[row : row + 2, column : column + 2] += flux * np.outer((1 - fy, fy), (1 - fx, fx))


@cache
def _transfer(size: int, fwhm_pix: float) -> npt.NDArray[np.complex128]:
    """Fourier transform of the point-spread function, a Moffat profile."""
    distance = np.minimum(np.arange(size), size - np.arange(size)).astype(float)
    scale = fwhm_pix / (2 * np.sqrt(2 ** (1 / MOFFAT_BETA) - 1))
    profile = (1 + (distance[:, None] ** 2 + distance**2) / scale**2) ** -MOFFAT_BETA
    return np.fft.rfft2(profile / profile.sum())
