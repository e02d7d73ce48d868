"""Sources in a wide cutout: where they are, and how large and bright."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import sep

FloatArray = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

MESH_PIX = 128
"""Side of the cells in which the background is measured."""
_FILTER_MESHES = 3
THRESHOLD_SIGMA = 1.5
_ELLIPSE = 3.0
"""A source's ellipse in units of its root-mean-square axes."""
_SMALLEST_AXIS_PIX = 0.5
_MEASURES = ("x", "y", "a", "b", "theta", "flux", "peak")


@dataclass(frozen=True)
class Sources:
    """Detected sources of one image, the brightest first.

    Attributes
    ----------
    x, y : ndarray, shape (S,)
        Centres in pixels, of columns and rows.
    a, b : ndarray, shape (S,)
        Root-mean-square axes in pixels.
    theta : ndarray, shape (S,)
        Angle of the major axis from x towards y, radians.
    flux, peak : ndarray, shape (S,)
        Of all pixels together and of the brightest one, data units.
    noise : float
        Standard deviation of a pixel of the background.
    """

    x: FloatArray
    y: FloatArray
    a: FloatArray
    b: FloatArray
    theta: FloatArray
    flux: FloatArray
    peak: FloatArray
    noise: float

    def __len__(self) -> int:
        return len(self.x)


class Detection(NamedTuple):
    """Sources of an image, and the image that they were found in."""

    sources: Sources
    image: Image
    """Shape (H, W), without its background; 0 where masked."""

    def ellipse_mask(self) -> BoolArray:
        """Pixels within any source's ellipse of three axes, shape (H, W)."""
        inside = np.zeros(self.image.shape, dtype=np.bool_)
        found = self.sources
        if len(found):
            sep.mask_ellipse(inside, found.x, found.y, found.a, found.b, found.theta, r=_ELLIPSE)
        return inside


def find_sources(image: Image, mask: BoolArray) -> Detection:
    """Detect sources above 1.5 times the noise of the background.

    Parameters
    ----------
    image : ndarray, shape (H, W), float32
        NaN and infinity are excluded like masked pixels.
    mask : ndarray, shape (H, W), bool
        True excludes a pixel.

    Returns
    -------
    Detection
        Without a source where nothing is valid, or nothing stands out.
    """
    unusable = mask | ~np.isfinite(image)
    excluded = unusable if unusable.any() else None  # detection is faster without a mask
    filled = np.where(unusable, 0, image).astype(np.float32)
    if filled.min() == filled.max():
        return _nothing(filled)
    mesh = min(MESH_PIX, *image.shape)
    settings = {"bw": mesh, "bh": mesh, "fw": _FILTER_MESHES, "fh": _FILTER_MESHES}
    background = sep.Background(filled, mask=excluded, **settings)
    flat = filled - background.back(dtype=np.float32)
    if excluded is not None:
        flat[excluded] = 0
    noise = float(background.globalrms)
    if not noise > 0:
        return _nothing(flat)
    found = extract(flat, THRESHOLD_SIGMA, noise, excluded)
    found = found[np.argsort(-found["flux"], kind="stable")]
    a, b = (np.maximum(found[name].astype(np.float64), _SMALLEST_AXIS_PIX) for name in ("a", "b"))
    angle = np.clip(found["theta"].astype(np.float64), -np.pi / 2, np.pi / 2)
    x, y, flux, peak = (found[name].astype(np.float64) for name in ("x", "y", "flux", "peak"))
    return Detection(Sources(x, y, a, b, angle, flux, peak, noise), flat)


def extract(
    image: npt.NDArray[np.floating], sigma: float, noise: float, excluded: BoolArray | None = None
) -> npt.NDArray[np.void]:
    """Rows of the library's table of sources above a threshold in units of the noise."""
    try:
        found = sep.extract(image, sigma, err=noise, mask=excluded)
    except Exception as error:
        # The library has no class of its own: a crowded image overflows a buffer of fixed size.
        if "pixel buffer full" not in str(error) and "overflow" not in str(error):
            raise
        found = sep.extract(image, 10 * sigma, err=noise, mask=excluded)
    # Moments of pixels near the largest float32 overflow.
    finite = np.isfinite(np.stack([found[name] for name in _MEASURES])).all(axis=0)
    kept: npt.NDArray[np.void] = found[finite]
    return kept


def _nothing(image: Image) -> Detection:
    empty = np.zeros(0)
    return Detection(Sources(empty, empty, empty, empty, empty, empty, empty, 0.0), image)


def directional_radius(sources: Sources, x: float, y: float) -> FloatArray:
    """Distance of a point from every source in units of the source's radius towards it.

    The directional light radius of Sullivan et al. (2006), Gupta et al. (2016): the separation
    divided by the radius of the ellipse in the direction of the point,
    ``sqrt((u / a)^2 + (v / b)^2)`` with u and v along the axes.

    Returns
    -------
    ndarray, shape (S,)
    """
    dx, dy = x - sources.x, y - sources.y
    return elliptical_radius(dx, dy, sources.a, sources.b, sources.theta)


def elliptical_radius(
    dx: FloatArray, dy: FloatArray, a: FloatArray, b: FloatArray, theta: FloatArray
) -> FloatArray:
    """Distances from centres of ellipses in units of the ellipses' radii towards them."""
    cosine, sine = np.cos(theta), np.sin(theta)
    along, across = dx * cosine + dy * sine, -dx * sine + dy * cosine
    return np.hypot(along / a, across / b)


def separation_pix(sources: Sources, x: float, y: float) -> FloatArray:
    """Distance of a point from every source's centre in pixels, shape (S,)."""
    return np.hypot(x - sources.x, y - sources.y)
