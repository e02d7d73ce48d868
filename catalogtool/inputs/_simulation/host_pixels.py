"""Pixels of simulated fields: galaxies and stars as light, then one blur and one noise for all.

A blur of the whole image costs as much as one of a single galaxy, and light that was not blurred
yet fits into a window of a few half-light radii.
"""

from functools import cache

import numpy as np
import numpy.typing as npt
import scipy.fft

from catalogtool.inputs._simulation.field import Floats
from catalogtool.inputs._simulation.host_scenes import Galaxy, Scene
from catalogtool.inputs._simulation.noise import MOFFAT_BETA, sky_sigma
from catalogtool.surveys._definition import Survey

Image = npt.NDArray[np.float32]

_REACH = {"spheroid": 8.0, "disk": 5.0, "irregular": 5.0}
"""Half-light radii beyond which a galaxy is not drawn."""
_CLUMPY_FROM_PIX = 12.0
"""Half-light radius from which on knots of a disk can be told apart."""
_SMALLEST_PIX = 0.6
_CLUMP_REACH = 3.5  # standard deviations


def render(
    survey: Survey, scene: Scene, rng: np.random.Generator, size_pix: int | None = None
) -> Image:
    """Draw a scene as the survey would see it.

    Parameters
    ----------
    survey : Survey
        With one band.
    scene : Scene
    rng : Generator
        Of knots and noise.
    size_pix : int or None
        Side of the image; None: that of the survey's cutouts.

    Returns
    -------
    ndarray, shape (size, size), float32
        Data units without a sky level.
    """
    size, scale = size_pix or survey.cutout_size_pix, survey.pixel_scale_arcsec
    zeropoint = float(survey.bands[0].zeropoint.value)
    light = np.zeros((size, size), dtype=np.float32)
    for galaxy in scene.galaxies:
        _add_galaxy(light, galaxy, scale, zeropoint, rng)
    _add_stars(light, scene.stars, zeropoint)
    transfer = _transfer(size, float(survey.bands[0].psf_fwhm.to_value("arcsec")) / scale)
    image: Image = scipy.fft.irfft2(scipy.fft.rfft2(light) * transfer, s=light.shape)
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    image += np.float32(sky_sigma(survey)[0]) * noise
    return image


def _add_galaxy(
    light: Image, galaxy: Galaxy, scale: float, zeropoint: float, rng: np.random.Generator
) -> None:
    """Add a galaxy's light before any blur; an exponential or a de Vaucouleurs profile."""
    radius = max(galaxy.radius_arcsec / scale, _SMALLEST_PIX)
    reach = int(_REACH[galaxy.kind] * radius) + 2
    low = np.maximum([int(galaxy.y) - reach, int(galaxy.x) - reach], 0)
    high = np.minimum([int(galaxy.y) + reach + 1, int(galaxy.x) + reach + 1], light.shape)
    if (low >= high).any():
        return
    dy = np.arange(low[0], high[0], dtype=np.float32)[:, None] - np.float32(galaxy.y)
    dx = np.arange(low[1], high[1], dtype=np.float32) - np.float32(galaxy.x)
    cosine, sine = np.float32(np.cos(galaxy.angle)), np.float32(np.sin(galaxy.angle))
    along = dx * cosine + dy * sine
    across = (dy * cosine - dx * sine) / np.float32(galaxy.axis_ratio)
    r = np.sqrt(along**2 + across**2 + np.float32(0.1)) / np.float32(radius)
    if galaxy.kind == "spheroid":
        profile = np.exp(np.float32(-7.669) * (np.sqrt(np.sqrt(r)) - 1)) / np.float32(22.67)
    else:
        profile = np.exp(np.float32(-1.678) * r) * np.float32(1.678**2 / (2 * np.pi))
    if galaxy.kind == "irregular" or (galaxy.kind == "disk" and radius > _CLUMPY_FROM_PIX):
        profile *= _clumps(galaxy, radius, dx, dy, rng)
    flux = 10 ** (-0.4 * (galaxy.magnitude_ab - zeropoint))
    window = light[low[0] : high[0], low[1] : high[1]]
    window += profile * np.float32(flux / (galaxy.axis_ratio * radius**2))


def _clumps(galaxy: Galaxy, radius: float, dx: Image, dy: Image, rng: np.random.Generator) -> Image:
    """Factor of a clumpy disk: round knots of star formation, and less light between them.

    Parameters
    ----------
    dx, dy : ndarray, shapes (W,) and (H, 1)
        Pixels from the galaxy's centre.
    """
    factor = np.full((len(dy), len(dx)), 0.75, dtype=np.float32)
    cosine, sine = np.cos(galaxy.angle), np.sin(galaxy.angle)
    for _ in range(int(rng.integers(4, 12))):
        along, across = rng.normal(0, 0.9, 2) * (radius, radius * galaxy.axis_ratio)
        width, strength = rng.uniform(0.08, 0.25) * radius, rng.uniform(0.5, 3)
        x, y = along * cosine - across * sine, along * sine + across * cosine
        columns = _within(dx, x, _CLUMP_REACH * width)
        rows = _within(dy[:, 0], y, _CLUMP_REACH * width)
        bell_x = np.exp(-((dx[columns] - np.float32(x)) ** 2) / np.float32(2 * width**2))
        bell_y = np.exp(-((dy[rows] - np.float32(y)) ** 2) / np.float32(2 * width**2))
        factor[rows, columns] += np.float32(strength) * bell_y * bell_x
    return factor


def _within(places: Image, middle: float, reach: float) -> slice:
    """Which of the rising places are within reach of a middle."""
    return slice(*np.searchsorted(places, (middle - reach, middle + reach)).tolist())


def _add_stars(light: Image, stars: Floats, zeropoint: float) -> None:
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
def _transfer(size: int, fwhm_pix: float) -> npt.NDArray[np.complex64]:
    """Fourier transform of the point-spread function, a Moffat profile."""
    distance = np.minimum(np.arange(size), size - np.arange(size)).astype(float)
    scale = fwhm_pix / (2 * np.sqrt(2 ** (1 / MOFFAT_BETA) - 1))
    profile = (1 + (distance[:, None] ** 2 + distance**2) / scale**2) ** -MOFFAT_BETA
    return np.asarray(scipy.fft.rfft2(profile / profile.sum()), dtype=np.complex64)
