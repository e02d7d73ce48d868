"""From the cutouts of one packet to their place in a batch: size, masks and flags."""

from collections.abc import Sequence
from typing import Any, NamedTuple

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


class Edge(NamedTuple):
    """How the edge of a detector cut the cutouts of an alert off."""

    full_pix: int
    """Least side of whole cutouts."""
    sides: tuple[int, int]
    """For y and x: -1 where pixels lack at the start, 1 at the end, 0 on neither."""


def fill_cutouts(
    cutouts: Cutouts, index: int, images: Sequence[Image | None], edge: Edge | None = None
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
    edge : Edge or None
        Where whole cutouts would go on; None: the object is in the centre of the images.
    """
    planes = cutouts.images[index]
    for band, image in enumerate(images):
        try:
            flag = Flag.MISSING_BAND if image is None else _put(planes[band], image, edge)
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


def _put(plane: FloatArray, image: Image, edge: Edge | None) -> Flag:
    pixels = decode_image(image) if isinstance(image, bytes) else image
    if pixels.shape == plane.shape:
        _copy(plane, pixels)
        return Flag(0)
    if pixels.ndim != 2 or not pixels.size:
        return Flag.WRONG_SHAPE
    plane.fill(np.nan)
    full_pix = max(edge.full_pix, *pixels.shape) if edge else None
    (into_y, from_y), (into_x, from_x) = (
        _slices(size, full_pix or size, side, len(plane))
        for size, side in zip(pixels.shape, edge.sides if edge else (0, 0), strict=True)
    )
    _copy(plane[into_y, into_x], pixels[from_y, from_x])
    return Flag.PADDED


def _copy(plane: FloatArray, pixels: Pixels) -> None:
    if pixels.dtype.itemsize <= plane.dtype.itemsize:
        plane[...] = pixels
        return
    with np.errstate(over="ignore"):  # what overflows becomes infinite
        plane[...] = pixels


def _slices(size: int, full: int, side: int, wanted: int) -> tuple[slice, slice]:
    """Along one axis, where pixels go and which of them do: the centre of the whole to the centre.

    Parameters
    ----------
    size : int
        Pixels that there are.
    full : int
        Pixels of the whole, of which those on one side may lack.
    side : int
        Which side that is: -1, 0 (half on either) or 1.
    wanted : int
        Pixels of the result.
    """
    lacking = {-1: full - size, 0: (full - size) // 2, 1: 0}[side]
    start = lacking + (wanted - full) // 2
    first, last = max(start, 0), min(start + size, wanted)
    return slice(first, max(last, first)), slice(first - start, max(last, first) - start)
