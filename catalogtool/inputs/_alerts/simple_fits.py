"""Cutouts of alert packets: one small image in FITS, gzipped or not, decoded without a library.

Only the plainest header is read here; astropy reads everything else.
"""

import io
import re
import warnings
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from catalogtool.inputs._alerts.byte_source import DamagedError

LARGEST_SIDE_PIX = 1024
"""Nothing larger is a cutout of an alert; a damaged header must not claim all memory."""
_LARGEST_BYTES = 1 << 24
_BLOCK_BYTES = 2880
_CARD_BYTES = 80
_GZIP_MAGIC = b"\x1f\x8b"
_TILE_COMPRESSED = b"ZIMAGE  ="
_UNUSUAL = (b"BSCALE  ", b"BZERO   ", b"BLANK   ", b"GROUPS  ", b"PCOUNT  ", b"GCOUNT  ")
_START = re.compile(
    rb"SIMPLE  = {20}T.{50}"
    rb"BITPIX  = {18}-32.{50}"
    rb"NAXIS   = {20}2.{50}"
    rb"NAXIS1  =([ \d]{21}).{50}"
    rb"NAXIS2  =([ \d]{21}).{50}",
    re.DOTALL,
)


class _Image(NamedTuple):
    """Where the pixels of a plain image are."""

    shape: tuple[int, int]
    start: int


def inflated(data: bytes) -> bytes:
    """Bytes of a FITS file, of a bounded size.

    Raises
    ------
    DamagedError
        If they are damaged, or too many for a cutout.
    """
    if not data.startswith(_GZIP_MAGIC):
        if len(data) > _LARGEST_BYTES:
            raise DamagedError("too large for a cutout")
        return data
    decoder = isal_zlib.decompressobj(wbits=31)  # 31: with a gzip header
    try:
        raw: bytes = decoder.decompress(data, _LARGEST_BYTES)
    except isal_zlib.error as error:
        raise DamagedError(f"damaged gzip: {error}") from error
    if not decoder.eof:
        raise DamagedError("a gzip file that is cut off, or too large for a cutout")
    return raw


def decode_image(data: bytes) -> npt.NDArray[Any]:
    """Pixels of the first image.

    Parameters
    ----------
    data : bytes
        FITS file, gzipped or not.

    Returns
    -------
    ndarray, shape (h, w), float32 (big-endian) or what astropy makes of it
        Pixels; they may be read-only.

    Raises
    ------
    DamagedError
        If there is no image that can be read.
    """
    raw = inflated(data)
    image = _plain_image(raw[:_BLOCK_BYTES]) or _plain_image_of_long_header(raw)
    if image is None:
        return _decode_with_astropy(raw)
    (height, width), start = image
    if len(raw) < start + 4 * height * width:
        raise DamagedError("pixels that are cut off")
    return np.frombuffer(raw, ">f4", height * width, start).reshape(height, width)


@lru_cache(maxsize=256)
def _plain_image(header: bytes) -> _Image | None:
    """None if the header is not plain, or does not end in these bytes."""
    found = _START.match(header)
    if found is None or len(header) % _BLOCK_BYTES:
        return None
    for at in range(found.end(), len(header), _CARD_BYTES):
        keyword = header[at : at + 8]
        if keyword == b"END     ":
            break
        if keyword in _UNUSUAL or keyword.startswith(b"NAXIS"):
            return None
    else:
        return None
    try:
        width, height = (int(value) for value in found.groups())
    except ValueError:
        return None
    if not (0 < width <= LARGEST_SIDE_PIX and 0 < height <= LARGEST_SIDE_PIX):
        return None
    end = at + _CARD_BYTES
    return _Image((height, width), end + -end % _BLOCK_BYTES)


def _plain_image_of_long_header(raw: bytes) -> _Image | None:
    """As `_plain_image`, of a header longer than a block; such ones differ in every packet."""
    for block in range(1, 1 + len(raw) // _BLOCK_BYTES):
        end = raw.find(b"END     ", block * _BLOCK_BYTES, (block + 1) * _BLOCK_BYTES)
        if end >= 0 and end % _CARD_BYTES == 0:
            return _plain_image.__wrapped__(raw[: (block + 1) * _BLOCK_BYTES])
    return None


def _decode_with_astropy(raw: bytes) -> npt.NDArray[Any]:
    from astropy.io import fits

    if _TILE_COMPRESSED in raw:
        raise DamagedError("a tile-compressed image; expected a plain one")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong with a cutout becomes a flag
            with fits.open(io.BytesIO(raw), memmap=False, ignore_missing_simple=True) as file:
                hdu = next(hdu for hdu in file if hdu.is_image and hdu.header.get("NAXIS", 0) > 0)
                small = hdu.header["NAXIS"] == 2 and max(hdu.shape) <= LARGEST_SIDE_PIX
                pixels = np.asarray(hdu.data) if small else None
    # astropy meets damaged bytes with nearly every kind of exception.
    except Exception as error:
        raise DamagedError(f"{type(error).__name__}: {error}") from error
    if pixels is None:
        raise DamagedError("an image that is no cutout by its shape")
    return pixels
