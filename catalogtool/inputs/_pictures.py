"""From one value of an image column to the planes of a cutout."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from catalogtool.flags import Flag
from catalogtool.inputs._base import Cutouts
from catalogtool.inputs._planes import LARGEST_SIDE_PIX, fit_plane, place

_CHANNELS = {"L": 1, "RGB": 3, "I;16": 1}
"""Modes of pictures whose numbers are brightness; palettes and transparency are not."""
_SIXTEEN_TO_EIGHT_BIT = np.float32(65535 / 255)


def fill_cutout(cutouts: Cutouts, index: int, value: pa.Scalar | Flag) -> None:
    """Put one value of an image column, or what is wrong with it, into a batch.

    Parameters
    ----------
    cutouts : Cutouts
        Batch to write to.
    index : int
        Place in the batch.
    value : Scalar or Flag
        JPEG or PNG bytes, whose brightness becomes 0..255; or numbers of shape (C, H, W), nested,
        as a tensor, or flat where (H, W) is square. Null counts as a missing file.
    """
    if isinstance(value, Flag):
        cutouts.flags[index] = value
    elif not value.is_valid:
        cutouts.flags[index] = Flag.MISSING_FILE
    elif pa.types.is_binary(value.type) or pa.types.is_large_binary(value.type):
        _fill_from_picture(cutouts, index, value.as_py())
    else:
        _fill_from_numbers(cutouts, index, value)


def _fill_from_picture(cutouts: Cutouts, index: int, data: bytes) -> None:
    _, channels, size_pix, _ = cutouts.images.shape
    try:
        picture: Image.Image = Image.open(io.BytesIO(data), formats=("JPEG", "PNG"))
        if _CHANNELS.get(picture.mode) != channels or max(picture.size) > LARGEST_SIDE_PIX:
            cutouts.flags[index] = Flag.WRONG_SHAPE
            return
        picture.load()
    # Pillow meets damaged bytes with OSError, SyntaxError, ValueError, struct.error and others.
    except Exception:  # noqa: BLE001 - whatever it is, this picture cannot be decoded
        cutouts.flags[index] = Flag.UNREADABLE
        return
    if picture.mode == "I;16":
        planes = [np.asarray(picture, dtype=np.float32) / _SIXTEEN_TO_EIGHT_BIT]
        _place_planes(cutouts, index, planes)
        return
    flags = Flag(0)
    if picture.size != (size_pix, size_pix):
        flags = Flag.RESAMPLED
        picture = picture.resize((size_pix, size_pix), Image.Resampling.BILINEAR)
    bands = picture.split()
    for band, plane in enumerate(bands):
        low, high = plane.getextrema()
        if low == high:
            cutouts.flags[index, band] = Flag.NO_SIGNAL
            continue
        cutouts.images[index, band] = np.asarray(plane)
        cutouts.mask[index, band] = False
        cutouts.flags[index, band] = flags


def _fill_from_numbers(cutouts: Cutouts, index: int, value: pa.Scalar) -> None:
    channels = cutouts.images.shape[1]
    try:
        numbers = value.to_numpy() if hasattr(value, "to_numpy") else _unnest(value.values)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, AttributeError):
        cutouts.flags[index] = Flag.WRONG_SHAPE
        return
    planes = _as_planes(numbers, channels)
    if planes is None or planes.dtype.kind not in "fiub":
        cutouts.flags[index] = Flag.WRONG_SHAPE
        return
    _place_planes(cutouts, index, list(planes))


def _unnest(array: pa.Array) -> npt.NDArray[Any]:
    """Array of the shape that nested lists of equal lengths have; ArrowInvalid if they differ."""
    shape = [len(array)]
    while pa.types.is_nested(array.type):
        lengths = set(array.value_lengths().to_pylist())
        if len(lengths) != 1 or None in lengths:
            raise pa.ArrowInvalid("ragged lists")
        shape.append(lengths.pop())
        array = array.flatten()
    numbers: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return numbers.reshape(shape)


def _as_planes(numbers: npt.NDArray[Any], channels: int) -> npt.NDArray[Any] | None:
    if numbers.ndim == 1:
        side = int(np.sqrt(numbers.size // channels))
        return numbers.reshape(channels, side, side) if numbers.size == channels * side**2 else None
    if numbers.ndim == 2 and channels == 1:
        return numbers[None]
    return numbers if numbers.ndim == 3 and len(numbers) == channels else None


def _place_planes(cutouts: Cutouts, index: int, planes: list[npt.NDArray[Any]]) -> None:
    for band, pixels in enumerate(planes):
        place(cutouts, index, band, fit_plane(pixels, cutouts.images.shape[-1]))
