"""Draw simulated galaxies: profiles from GalSim, all bands of an object at once.

The profile of a part (bulge, disk, clumps) is the same in every band, only its flux and the
point-spread function change. So each part is transformed once and every band costs a sum, a
product and one inverse transform.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from catalogtool.inputs._base import FloatArray
from catalogtool.inputs._simulation.field import Floats
from catalogtool.inputs._simulation.galaxies import Galaxies, Kind
from catalogtool.inputs._simulation.noise import MOFFAT_BETA

Complex = npt.NDArray[np.complex64]

_SIDE_LIMITS_PIX = (33, 201)
_GRIDS_PIX = (64, 96, 128, 192, 256, 320)
_BULGE_RADIUS = 0.25  # of a disk galaxy, relative to the whole
_ARM_KNOTS = 24
_CLUMP_WIDTH, _ARM_WIDTH = 0.16, 0.13  # Gaussian sigmas, relative to the half-light radius
_ARC_WIDTH = 0.1
_ARC_KNOTS = 40
_EINSTEIN_RADII = (1.7, 2.4)  # relative to the half-light radius of the lens


@dataclass(frozen=True)
class Camera:
    """What one survey does to light.

    Attributes
    ----------
    pixel_scale_arcsec : float
    psf_fwhm_arcsec : tuple of float
        Per band.
    """

    pixel_scale_arcsec: float
    psf_fwhm_arcsec: tuple[float, ...]

    def native_side(self, radius_arcsec: float) -> int:
        """Side of a cutout before it is resized: four Petrosian radii, an odd number of pixels.

        The Petrosian radius of a smeared galaxy is close to twice its half-light radius.
        """
        petrosian = 2 * np.hypot(radius_arcsec, 0.5 * max(self.psf_fwhm_arcsec))
        side = 2 * int(2 * petrosian / self.pixel_scale_arcsec) + 1
        return int(np.clip(side, *_SIDE_LIMITS_PIX))


def draw_parts(
    galaxy: Galaxies, fluxes: Floats, camera: Camera, rng: np.random.Generator
) -> FloatArray:
    """Draw one object without noise at the survey's pixel scale.

    Parameters
    ----------
    galaxy : Galaxies
        A single object (N = 1).
    fluxes : ndarray, shape (C, 3)
        Flux of bulge, disk and clumps per band, data units.
    camera : Camera
        Pixel scale and widths of the point-spread functions.
    rng : Generator
        Places the clumps.

    Returns
    -------
    ndarray, shape (C, n, n), float32
        Data units per pixel, the object's centre on the central pixel.
    """
    side = camera.native_side(float(galaxy.radius_arcsec[0]))
    grid = next(grid for grid in _GRIDS_PIX if grid >= 1.5 * side)
    parts = _transform_parts(galaxy, grid, camera.pixel_scale_arcsec, rng)
    rows = (2 * (np.arange(side) - side // 2)) % (2 * grid)
    image = np.empty((len(fluxes), side, side), dtype=np.float32)
    for band, fwhm in enumerate(camera.psf_fwhm_arcsec):
        flux = fluxes[band].astype(np.float32)
        light = sum(f * part for f, part in zip(flux, parts, strict=True) if f > 0)
        smeared = np.fft.irfft2(light * _transform_psf(fwhm, grid, camera.pixel_scale_arcsec))
        image[band] = 4 * smeared[rows[:, None], rows]  # a fine pixel is a quarter of a pixel
    return image


@cache
def _wave_numbers(grid: int, scale_arcsec: float) -> tuple[FloatArray, FloatArray]:
    """Wave numbers of a grid twice as fine as the pixels, which keeps aliasing out."""
    step = 2 * np.pi / (grid * scale_arcsec)
    along_y = np.fft.fftfreq(2 * grid, 1 / (2 * grid)) * step
    return along_y.astype(np.float32), (np.arange(grid + 1) * step).astype(np.float32)


def _transform_profile(profile: object, grid: int, scale_arcsec: float) -> Complex:
    import galsim

    bounds = galsim.BoundsI(0, grid, -grid, grid - 1)
    step = 2 * np.pi / (grid * scale_arcsec)
    drawn = galsim.ImageCF(bounds, scale=step)
    profile.drawKImage(image=drawn, recenter=False)  # type: ignore[attr-defined]
    return np.fft.ifftshift(drawn.array, axes=0)


@cache
def _transform_psf(fwhm_arcsec: float, grid: int, scale_arcsec: float) -> Complex:
    import galsim

    optics = galsim.Moffat(beta=MOFFAT_BETA, fwhm=fwhm_arcsec)
    return _transform_profile(
        galsim.Convolve(optics, galsim.Pixel(scale_arcsec)), grid, scale_arcsec
    )


def _transform_parts(
    galaxy: Galaxies, grid: int, scale_arcsec: float, rng: np.random.Generator
) -> list[Complex | float]:
    import galsim

    kind = galaxy.kind[0]
    if kind == Kind.POINT_SOURCE:
        return [1.0, 0.0, 0.0]
    radius, ratio = float(galaxy.radius_arcsec[0]), float(galaxy.axis_ratio[0])
    angle = float(galaxy.angle_rad[0]) * galsim.radians
    is_disk = kind in (Kind.DISK, Kind.IRREGULAR)
    bulge = galsim.DeVaucouleurs(half_light_radius=radius * (_BULGE_RADIUS if is_disk else 1.0))
    bulge = bulge.shear(q=ratio**0.3 if is_disk else ratio, beta=angle)
    disk = galsim.Exponential(half_light_radius=radius).shear(q=ratio, beta=angle)
    parts: list[Complex | float] = [
        _transform_profile(profile, grid, scale_arcsec) for profile in (bulge, disk)
    ]
    has_clumps = kind != Kind.SPHEROID
    parts.append(_transform_clumps(galaxy, grid, scale_arcsec, rng) if has_clumps else 0.0)
    return parts


def _transform_clumps(
    galaxy: Galaxies, grid: int, scale_arcsec: float, rng: np.random.Generator
) -> Complex:
    """Sum of Gaussian knots, each shared out among the four fine pixels around it."""
    x, y, weight, width = _draw_knots(galaxy, rng)
    radius, angle = float(galaxy.radius_arcsec[0]), float(galaxy.angle_rad[0])
    fine = 2 * radius / scale_arcsec
    across = fine * (x * np.cos(angle) - y * np.sin(angle))
    up = fine * (x * np.sin(angle) + y * np.cos(angle))
    cells = np.zeros((2 * grid, 2 * grid), dtype=np.float32)
    column, row = np.floor(across).astype(np.int64), np.floor(up).astype(np.int64)
    for step_up, step_across in ((0, 0), (0, 1), (1, 0), (1, 1)):
        near = (1 - np.abs(up - row - step_up)) * (1 - np.abs(across - column - step_across))
        np.add.at(
            cells,
            ((row + step_up) % (2 * grid), (column + step_across) % (2 * grid)),
            weight * near,
        )
    blur_up, blur_across = (
        np.exp(-0.5 * (k * width * radius) ** 2) for k in _wave_numbers(grid, scale_arcsec)
    )
    clumps: Complex = np.fft.rfft2(cells) * (blur_up[:, None] * blur_across)
    return clumps


def _draw_knots(galaxy: Galaxies, rng: np.random.Generator) -> tuple[Floats, Floats, Floats, float]:
    """Places, weights and width of the knots along the galaxy's axes, in half-light radii."""
    if galaxy.kind[0] == Kind.LENSED_ARC:
        return *_arc_knots(rng), _ARC_WIDTH
    if galaxy.kind[0] == Kind.IRREGULAR:
        (x, y, weight), width = _scatter_knots(rng), _CLUMP_WIDTH
    else:
        (x, y, weight), width = _arm_knots(rng), _ARM_WIDTH
    return x, y * float(galaxy.axis_ratio[0]), weight, width


def _scatter_knots(rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    count = int(rng.integers(3, 8))
    x, y = 0.9 * rng.standard_normal((2, count)) + 0.35 * rng.standard_normal((2, 1))
    weight = rng.exponential(1.0, count) + 0.2
    return x, y, weight / weight.sum()


def _arm_knots(rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Two logarithmic spiral arms in the plane of the disk, radii in half-light radii."""
    distance = np.tile(np.linspace(0.45, 2.1, _ARM_KNOTS), 2)
    winding = rng.choice((-1.0, 1.0)) / np.tan(np.radians(rng.uniform(14, 28)))
    start = rng.uniform(0, 2 * np.pi) + np.repeat((0.0, np.pi), _ARM_KNOTS)
    azimuth = start + winding * np.log(distance) + 0.08 * rng.standard_normal(2 * _ARM_KNOTS)
    weight = np.exp(-0.9 * distance) * distance * rng.gamma(4.0, 0.25, 2 * _ARM_KNOTS)
    return distance * np.cos(azimuth), distance * np.sin(azimuth), weight / weight.sum()


def _arc_knots(rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Arc around a lens and, more often than not, a shorter and fainter one on its other side."""
    einstein = rng.uniform(*_EINSTEIN_RADII)
    start = rng.uniform(0, 2 * np.pi)
    opening = np.radians(rng.uniform((70, 25), (150, 60)))
    has_counter_arc = rng.random() < 0.6
    along = np.linspace(-0.5, 0.5, _ARC_KNOTS)
    azimuth = start + np.concatenate([along * opening[0], np.pi + along * opening[1]])
    distance = einstein * np.repeat((1.0, 0.85), _ARC_KNOTS)
    brightness = np.repeat((1.0, 0.35 * has_counter_arc), _ARC_KNOTS)
    weight = brightness * np.tile(np.cos(np.pi * along) ** 2, 2) + 1e-9
    weight *= rng.gamma(4.0, 0.25, 2 * _ARC_KNOTS)
    return distance * np.cos(azimuth), distance * np.sin(azimuth), weight / weight.sum()


def resize(image: FloatArray, size: int) -> FloatArray:
    """Resize square images linearly, over wider neighbourhoods when shrinking.

    Parameters
    ----------
    image : ndarray, shape (C, n, n), float32
        Surface brightness is kept, not the sum.
    size : int
        The new side.

    Returns
    -------
    ndarray, shape (C, size, size), float32
    """
    # No matrix product: threaded ones wait for each other where workers share the processor.
    index, weight = _resize_taps(image.shape[-1], size)
    taps = list(zip(index, weight, strict=True))
    rows = np.sum([image[:, i] * w[:, None] for i, w in taps], axis=0)
    resized: FloatArray = np.sum([rows[:, :, i] * w for i, w in taps], axis=0)
    return resized


@cache
def _resize_taps(side: int, size: int) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Which T old pixels make up each new one, and their weights: shapes (T, size)."""
    factor = side / size
    width = max(factor, 1.0)
    centre = (np.arange(size) + 0.5) * factor - 0.5
    taps = np.floor(centre - width) + np.arange(1, int(2 * width) + 2)[:, None]
    weight = np.clip(1 - np.abs(taps - centre) / width, 0, None)
    weight[(taps < 0) | (taps >= side)] = 0
    index = np.clip(taps, 0, side - 1).astype(np.int64)
    return index, (weight / weight.sum(axis=0)).astype(np.float32)
