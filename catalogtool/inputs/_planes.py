"""From whatever pixels an input holds to one plane of the survey's cutout size."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from catalogtool.errors import StorageError
from catalogtool.flags import Flag
from catalogtool.inputs._base import Cutouts, FloatArray

LARGEST_SIDE_PIX = 8192
"""Nothing larger is a cutout; a damaged header must not claim all memory."""


class Plane(NamedTuple):
    """One band of one object, at the survey's cutout size."""

    image: FloatArray
    """Shape (S, S); 0 where masked."""
    mask: npt.NDArray[np.bool_]
    """Shape (S, S); True excludes."""
    flags: Flag


def fit_plane(pixels: npt.NDArray[Any], size_pix: int) -> Plane | Flag:
    """Bring an image to the survey's size and find out what is wrong with it.

    Parameters
    ----------
    pixels : ndarray, shape (h, w), any real type and byte order
        Survey units; NaN and infinity are masked.
    size_pix : int
        Side S of the result. Other sizes are resized: pixels bilinearly, with the antialiasing
        that shrinking needs, from the valid pixels alone; the mask by nearest neighbour.

    Returns
    -------
    Plane or Flag
        A fatal flag stands for an image that holds nothing to classify.
    """
    if pixels.ndim != 2 or 0 in pixels.shape or max(pixels.shape) > LARGEST_SIDE_PIX:
        return Flag.WRONG_SHAPE
    with np.errstate(over="ignore"):
        image = np.array(pixels, dtype=np.float32)  # a copy, native byte order
    valid = np.isfinite(image)
    if not valid.any():
        return Flag.NO_VALID_PIXELS
    values = image[valid]
    if values.min() == values.max():
        return Flag.NO_SIGNAL
    flags = Flag(0)
    if not valid.all():
        flags |= Flag.PARTLY_MASKED
        # Resizing mixes neighbours: the median keeps holes from spreading as edges.
        image[~valid] = np.median(values)
    if image.shape != (size_pix, size_pix):
        flags |= Flag.RESAMPLED
        image = _resize(image, size_pix, Image.Resampling.BILINEAR)
        valid = _resize(valid.astype(np.float32), size_pix, Image.Resampling.NEAREST) > 0
    if not valid.any():
        return Flag.NO_VALID_PIXELS
    image[~valid] = 0
    return Plane(image, ~valid, flags)


def _resize(image: FloatArray, size_pix: int, how: Image.Resampling) -> FloatArray:
    resized = Image.fromarray(image).resize((size_pix, size_pix), how)  # float32 is mode "F"
    return np.array(resized)


def place(cutouts: Cutouts, index: int, band: int, plane: Plane | Flag) -> None:
    """Put one plane, or the reason for its absence, where it belongs."""
    if isinstance(plane, Flag):
        cutouts.flags[index, band] = plane
        return
    cutouts.images[index, band] = plane.image
    cutouts.mask[index, band] = plane.mask
    cutouts.flags[index, band] = plane.flags


def storage_flag(error: StorageError) -> Flag:
    """Flag of an object whose bytes cannot be read.

    Raises
    ------
    StorageError
        The same, if it is not the object's own trouble: the storage fails, the bucket is not
        there, or the credentials are not (or no longer) good.
    """
    if any(error.context.get(trouble) for trouble in ("transient", "no_bucket", "credentials")):
        raise error
    return Flag.MISSING_FILE if error.context.get("missing") else Flag.UNREADABLE
