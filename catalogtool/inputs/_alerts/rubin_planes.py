"""What Rubin's cutouts hold besides pixels: their WCS, variance and point-spread function."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from catalogtool.inputs._alerts.byte_source import DamagedError
from catalogtool.inputs._alerts.simple_fits import image_of, inflated, opened
from catalogtool.inputs._base import FloatArray

_VARIANCE, _PSF = "UNCERT", "PSFIMAGE"
_TANGENT_PLANE = ["RA---TAN", "DEC--TAN"]


@dataclass(frozen=True)
class Planes:
    """Companions of the cutouts of a few alerts.

    Attributes
    ----------
    variance : ndarray, shape (N, C, H, W), float32
        nJy squared, padded and cropped like the cutouts; NaN where unknown.
    psf : list of list of ndarray or None
        For each alert and band the image of a point source, of odd sides, summing to 1; None
        where there is none.
    """

    variance: FloatArray
    psf: list[list[FloatArray | None]]


def variance_and_psf(data: bytes) -> tuple[FloatArray | None, FloatArray | None]:
    """Companions of one cutout; None for what it does not have, or is damaged."""
    try:
        with opened(inflated(data)) as file:
            found = {
                hdu.name: image_of(hdu).astype(np.float32)
                for hdu in file
                if hdu.name in {_VARIANCE, _PSF}
            }
    except DamagedError:
        return None, None
    return found.get(_VARIANCE), found.get(_PSF)


def north_up(data: bytes) -> FloatArray:
    """Turn a cutout about its centre until north is up and east is left.

    Parameters
    ----------
    data : bytes
        FITS file with a WCS.

    Returns
    -------
    ndarray, shape (h, w), float32
        Bilinear between pixels of the same scale; NaN outside of the cutout, and beside NaN.

    Raises
    ------
    DamagedError
        If there is no such image.
    """
    from astropy.wcs import WCS
    from scipy.ndimage import map_coordinates

    with opened(inflated(data)) as file:
        pixels = image_of(file[0]).astype(np.float32)
        wcs = WCS(file[0].header)
        if "CRVAL1" not in file[0].header:
            raise ValueError("no WCS")
        if not any(wcs.wcs.ctype):  # Rubin's are linear about the source, in the tangent plane
            wcs.wcs.ctype = _TANGENT_PLANE
        y, x = _places(wcs, pixels.shape)
        turned: FloatArray = map_coordinates(pixels, [y, x], order=1, cval=np.nan)
    return turned


def _places(wcs: Any, shape: tuple[int, ...]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:  # noqa: ANN401
    """Where the pixels of a cutout with north up lie in the one that there is."""
    from astropy.wcs import WCS
    from astropy.wcs.utils import proj_plane_pixel_scales

    height, width = shape
    centre = ((width - 1) / 2, (height - 1) / 2)
    scale = float(np.sqrt(np.prod(proj_plane_pixel_scales(wcs))))
    target = WCS(naxis=2)
    target.wcs.ctype = _TANGENT_PLANE
    target.wcs.crval = wcs.celestial.wcs_pix2world([centre], 0)[0]
    target.wcs.crpix = [centre[0] + 1, centre[1] + 1]
    target.wcs.cdelt = [-scale, scale]
    y, x = np.mgrid[:height, :width]
    sky = target.wcs_pix2world(x.ravel(), y.ravel(), 0)
    from_x, from_y = wcs.celestial.wcs_world2pix(*sky, 0)
    return from_y.reshape(shape), from_x.reshape(shape)
