"""Light as a sum of Gaussians: profiles, point-spread functions and pixels in closed form.

Moffat, exponential and de Vaucouleurs profiles are close to sums of a few Gaussians. Smearing adds
covariances, shifts are exact, and an image costs one exponential per Gaussian and pixel that it
reaches.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalogtool.inputs._base import FloatArray
from catalogtool.inputs._simulation.field import Floats

# Least-squares fits of the enclosed light: widths and shares. The Moffat profile has a FWHM of 1
# and the slope `noise.MOFFAT_BETA`; the others have a half-light radius of 1.
_MOFFAT = ((0.3052, 0.1253), (0.4634, 0.4690), (0.7523, 0.3365), (1.4661, 0.0692))
_EXPONENTIAL = ((0.1250, 0.0090), (0.3389, 0.1037), (0.7098, 0.4432), (1.3282, 0.4441))
_DE_VAUCOULEURS = (
    (0.0242, 0.0211),
    (0.0848, 0.0691),
    (0.2217, 0.1484),
    (0.5189, 0.2305),
    (1.1747, 0.2736),
    (2.9506, 0.2573),
)
_BULGE_RADIUS = 0.25  # of a galaxy with a disk, relative to the whole
_PIXEL_VARIANCE = 1 / 12  # of the light of one point, spread over a pixel
FWHM_TO_SIGMA = 0.4247  # of a Gaussian
_REACH = 5.5  # standard deviations to which a Gaussian is drawn: to 3e-7 of its height
_REACHES_PIX = (5, 8, 12, 18, 27)  # Gaussians that reach about as far are drawn together
_SMALL_PIX = 41  # images in which it does not pay to draw less than all
POINTS_PER_FWHM = 2.5
"""How densely points make a trail that is smooth."""


@dataclass(frozen=True)
class Light:
    """N elliptical Gaussians on the sky, before any smearing.

    Attributes
    ----------
    flux, x, y : ndarray, shape (N,), float64
        Counts, and pixels to the right of and above the central pixel of an image.
    covariance : ndarray, shape (N, 3), float64
        Of x and x, x and y, y and y, in square pixels; 0 for points.
    """

    flux: Floats
    x: Floats
    y: Floats
    covariance: Floats

    def moved(self, x: float, y: float) -> "Light":
        """The same light somewhere else."""
        return Light(self.flux, self.x + x, self.y + y, self.covariance)

    def scaled(self, factor: float) -> "Light":
        """Brighter or fainter light."""
        return Light(self.flux * factor, self.x, self.y, self.covariance)

    def take(self, chosen: npt.NDArray[np.bool_]) -> "Light":
        """Some of the Gaussians."""
        return Light(self.flux[chosen], self.x[chosen], self.y[chosen], self.covariance[chosen])


def join(*lights: Light) -> Light:
    """All of some lights together; none of them is darkness."""
    parts = (points(np.zeros(0), np.zeros(0), np.zeros(0)), *lights)
    return Light(
        np.concatenate([part.flux for part in parts]),
        np.concatenate([part.x for part in parts]),
        np.concatenate([part.y for part in parts]),
        np.concatenate([part.covariance for part in parts]),
    )


def points(flux: Floats, x: Floats, y: Floats) -> Light:
    """Some stars."""
    return Light(flux, x, y, np.zeros((len(flux), 3)))


def star(flux: float, x: float = 0.0, y: float = 0.0) -> Light:
    """One star."""
    return points(np.array([flux]), np.array([x]), np.array([y]))


def segment(flux: float, length_pix: float, angle_rad: float, step_pix: float) -> Light:
    """A straight trail around the central pixel, evenly bright, made of points."""
    count = max(2, int(np.ceil(length_pix / step_pix)) + 1)
    along = np.linspace(-length_pix / 2, length_pix / 2, count)
    return points(
        np.full(count, flux / count), along * np.cos(angle_rad), along * np.sin(angle_rad)
    )


def galaxy(
    flux: float, radius_pix: float, bulge_share: float, axis_ratio: float, angle_rad: float
) -> Light:
    """A bulge and a disk on the central pixel.

    Parameters
    ----------
    flux : float
        Counts.
    radius_pix : float
        Half-light radius of the disk along its major axis.
    bulge_share : float
        Share of the flux in the bulge; 1 is an elliptical galaxy, as large as the disk would be.
    axis_ratio, angle_rad : float
        Minor over major axis, and position angle of the major axis.
    """
    bulge_radius = radius_pix * (_BULGE_RADIUS if bulge_share < 1 else 1.0)
    bulge, disk = np.array(_DE_VAUCOULEURS), np.array(_EXPONENTIAL)
    width = np.concatenate([bulge[:, 0] * bulge_radius, disk[:, 0] * radius_pix])
    share = np.concatenate([bulge[:, 1] * bulge_share, disk[:, 1] * (1 - bulge_share)])
    kept = share > 0
    width, share = width[kept], share[kept]
    nowhere = np.zeros(len(width))
    shape = _ellipse(axis_ratio, angle_rad)
    return Light(flux * share, nowhere, nowhere, width[:, None] ** 2 * shape)


def draw_place(light: Light, rng: np.random.Generator) -> tuple[float, float]:
    """Draw a place where light is, as likely as it is bright: x and y in pixels."""
    index = rng.choice(len(light.flux), p=light.flux / light.flux.sum())
    xx, xy, yy = light.covariance[index]
    place = rng.multivariate_normal(
        (light.x[index], light.y[index]), ((xx, xy), (xy, yy)), method="cholesky"
    )
    return float(place[0]), float(place[1])


@dataclass(frozen=True)
class Psf:
    """A Moffat-like point-spread function.

    Attributes
    ----------
    fwhm_pix : float
    axis_ratio, angle_rad : float
        Minor over major axis, and position angle of the major axis.
    """

    fwhm_pix: float
    axis_ratio: float = 1.0
    angle_rad: float = 0.0

    def widened(self, factor: float) -> "Psf":
        """The same shape, wider or narrower."""
        return Psf(self.fwhm_pix * factor, self.axis_ratio, self.angle_rad)

    @property
    def gaussians(self) -> tuple[Floats, Floats]:
        """Shares, shape (4,), and covariances, shape (4, 3), in square pixels."""
        width, share = np.array(_MOFFAT).T
        # The area of the ellipse is that of the circle.
        shape = _ellipse(self.axis_ratio, self.angle_rad) / self.axis_ratio
        return share, (width[:, None] * self.fwhm_pix) ** 2 * shape


def render(light: Light, psf: Psf, side: int) -> FloatArray:
    """Draw light as a camera sees it.

    Parameters
    ----------
    light : Light
        N Gaussians.
    psf : Psf
        What the atmosphere does.
    side : int
        Pixels along each axis, an odd number.

    Returns
    -------
    ndarray, shape (side, side), float32
        Counts per pixel.
    """
    share, smear = psf.gaussians
    spread = light.covariance[:, None] + smear + np.array([1, 0, 1]) * _PIXEL_VARIANCE
    gaussians = Light(
        (light.flux[:, None] * share).reshape(-1),
        np.repeat(light.x, len(share)),
        np.repeat(light.y, len(share)),
        spread.reshape(-1, 3),
    )
    corner = np.full((2, len(gaussians.flux)), -(side // 2))
    if side <= _SMALL_PIX:
        together: FloatArray = np.einsum("nij->ij", _windows(gaussians, corner, side))
        return together
    reach = np.ceil(_REACH * np.sqrt(gaussians.covariance[:, [0, 2]].max(axis=1, initial=0.0)))
    group = np.searchsorted(_REACHES_PIX, reach)
    image = np.zeros((side, side), dtype=np.float32)
    for number in np.unique(group):
        here = group == number
        size = 2 * int(reach[here].max()) + 1
        if size < side:
            _add_windows(image, gaussians.take(here), size)
        else:
            image += np.einsum("nij->ij", _windows(gaussians.take(here), corner[:, here], side))
    return image


def _add_windows(image: FloatArray, gaussians: Light, size: int) -> None:
    """Add Gaussians to an image, each in a window around its centre."""
    half = len(image) // 2
    corner = np.rint([gaussians.y, gaussians.x]).astype(np.int64) - size // 2
    in_rows, in_columns = (corner > -half - size) & (corner <= half)
    seen = in_rows & in_columns
    windows = _windows(gaussians.take(seen), corner[:, seen], size)
    around = np.zeros(np.add(image.shape, 2 * size), dtype=np.float32)
    places = (corner[:, seen] + half + size).T.tolist()
    for window, (bottom, left) in zip(windows, places, strict=True):
        around[bottom : bottom + size, left : left + size] += window
    image += around[size:-size, size:-size]


def _windows(gaussians: Light, corner: npt.NDArray[np.int64], size: int) -> FloatArray:
    """Draw N Gaussians, each in a window of its own.

    Parameters
    ----------
    gaussians : Light
    corner : ndarray, shape (2, N), int64
        Lowest and leftmost pixels, relative to the central pixel of the image.
    size : int
        Pixels along each axis.

    Returns
    -------
    ndarray, shape (N, size, size), float32
    """
    up, across = (
        first[:, None] + np.arange(size) - centre[:, None]
        for first, centre in zip(corner, (gaussians.y, gaussians.x), strict=True)
    )  # each (N, size)
    xx, xy, yy = gaussians.covariance.T[..., None]
    determinant = xx * yy - xy**2
    height = gaussians.flux[:, None] / (2 * np.pi * np.sqrt(determinant))
    # Terms of one axis are cheap: only their sum is as large as the windows.
    along_x = (yy / determinant * across**2).astype(np.float32) * np.float32(-0.5)
    along_y = (xx / determinant * up**2).astype(np.float32) * np.float32(-0.5)
    light: FloatArray = along_x[:, None] + along_y[..., None]
    if xy.any():
        tilt = (xy / determinant * across).astype(np.float32)
        light += tilt[:, None] * up.astype(np.float32)[..., None]
    np.exp(light, out=light)
    light *= height.astype(np.float32)[..., None]
    return light


def smooth(image: FloatArray, kernel: FloatArray) -> FloatArray:
    """Smooth along both axes; beyond the border there is nothing.

    Parameters
    ----------
    image : ndarray, shape (n, n), float32
    kernel : ndarray, shape (n, n), float32
        A matrix of `gaussian_kernel`, or its square.
    """
    # Without a matrix product: threaded ones wait for each other where workers share a processor.
    rows = np.einsum("ij,jk->ik", kernel, image)
    smoothed: FloatArray = np.einsum("ij,kj->ik", rows, kernel)
    return smoothed


def gaussian_kernel(sigma_pix: float, side: int) -> FloatArray:
    """Matrix that smooths one axis with a Gaussian; the identity for no width.

    Returns
    -------
    ndarray, shape (side, side), float32
        Symmetric; its rows sum to 1 away from the border.
    """
    distance = np.subtract.outer(np.arange(side), np.arange(side))
    profile = np.exp(-0.5 * (distance / max(sigma_pix, 1e-3)) ** 2)
    reach = np.arange(-4 * side, 4 * side + 1)
    total = np.exp(-0.5 * (reach / max(sigma_pix, 1e-3)) ** 2).sum()
    kernel: FloatArray = (profile / total).astype(np.float32)
    return kernel


def _ellipse(axis_ratio: float, angle_rad: float) -> npt.NDArray[np.float64]:
    """Covariance of an ellipse with a major axis of 1: shape (3,)."""
    cosine, sine, minor = np.cos(angle_rad), np.sin(angle_rad), axis_ratio**2
    return np.array(
        [
            cosine**2 + minor * sine**2,
            (1 - minor) * cosine * sine,
            sine**2 + minor * cosine**2,
        ]
    )
