"""From the cutouts of one packet to their place in a batch: size, masks and flags."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from catalogtool.flags import Flag
from catalogtool.inputs._alerts.byte_source import DamagedError
from catalogtool.inputs._alerts.simple_fits import decode_image
from catalogtool.inputs._base import Cutouts, FloatArray

CUTOUT_BANDS = ("science", "template", "difference")
_LARGEST = np.float32(3.4e38)
"""What is larger is the fill value of a survey, or infinite."""

Pixels = npt.NDArray[Any]
Image = bytes | Pixels
"""FITS file, or the pixels themselves."""


def fill_cutouts(
    cutouts: Cutouts, index: int, images: Sequence[Image | None], cut: Sequence[int] = (0, 0)
) -> None:
    """Put the cutouts of one packet into a batch.

    Smaller images are padded, larger ones cut, and flagged; no pixel is resampled. Pixels that are
    NaN, infinite or a fill value are masked; whether enough are left is for others to judge.

    Parameters
    ----------
    cutouts : Cutouts
        Batch to write to.
    index : int
        Place in the batch.
    images : sequence of bytes, ndarray or None
        FITS file or pixels of each band; None where there is none.
    cut : (int, int)
        For y and x, on which side the edge of the detector cut the images off: -1 at the start, 1
        at the end, 0 on neither. It says where the object is in them.
    """
    planes = cutouts.images[index]
    for band, image in enumerate(images):
        try:
            flag = Flag.MISSING_BAND if image is None else _put(planes[band], image, cut)
        except DamagedError:
            flag = Flag.UNREADABLE
        if flag & ~Flag.PADDED:
            planes[band] = np.nan
        cutouts.flags[index, band] = flag
    mask = cutouts.mask[index]
    np.less(np.abs(planes), _LARGEST, out=mask)
    np.logical_not(mask, out=mask)
    if mask.any():
        planes[mask] = 0


def image_in(value: object) -> Image | None:
    """Cutout in a packet's field: bytes, alone or beside a file's name, or a table's numbers."""
    if isinstance(value, dict):
        value = value.get("stampData")
    if isinstance(value, list):
        try:
            return np.array(value, dtype=np.float32)
        except (TypeError, ValueError):
            return b""  # no image, but not none at all
    return value if isinstance(value, bytes) else None


def _put(plane: FloatArray, image: Image, cut: Sequence[int]) -> Flag:
    pixels = decode_image(image) if isinstance(image, bytes) else image
    if pixels.shape == plane.shape:
        _copy(plane, pixels)
        return Flag(0)
    if pixels.ndim != 2 or not pixels.size:
        return Flag.WRONG_SHAPE
    plane.fill(np.nan)
    (into_y, from_y), (into_x, from_x) = (
        _slices(size, len(plane), side) for size, side in zip(pixels.shape, cut, strict=True)
    )
    _copy(plane[into_y, into_x], pixels[from_y, from_x])
    return Flag.PADDED


def _copy(plane: FloatArray, pixels: Pixels) -> None:
    with np.errstate(over="ignore"):  # of 64-bit pixels, what overflows becomes infinite
        plane[...] = pixels


def _slices(size: int, wanted: int, side: int) -> tuple[slice, slice]:
    """Along one axis, where pixels go and which of them do."""
    if size >= wanted:
        start = (size - wanted + 1) // 2
        return slice(None), slice(start, start + wanted)
    missing = wanted - size
    start = {-1: missing, 0: missing // 2, 1: 0}[side]
    return slice(start, start + size), slice(None)
