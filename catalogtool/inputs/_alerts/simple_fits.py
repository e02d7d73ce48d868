"""Cutouts of alert packets: one small image in FITS, gzipped or not, decoded without a library.

Only the plainest header is read here; astropy reads everything else.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from catalogtool.inputs._alerts.byte_source import DamagedError, InflateError

LARGEST_SIDE_PIX = 1024
"""Nothing larger is a cutout of an alert; a damaged header must not claim all memory."""
_LARGEST_BYTES = 1 << 24
_BLOCK_BYTES = 2880
_CARD_BYTES = 80
_LONGEST_HEADER_BYTES = 100 * _BLOCK_BYTES
_GZIP_MAGIC = b"\x1f\x8b"
_TILE_COMPRESSED = b"ZIMAGE  ="
_UNUSUAL = frozenset(
    {b"BSCALE", b"BZERO", b"BLANK", b"GROUPS", b"PCOUNT", b"GCOUNT"}
    | {b"SIMPLE", b"BITPIX", b"NAXIS", b"NAXIS1", b"NAXIS2", b"NAXIS3", b"CONTINUE"}
)
"""What changes the meaning of pixels, or contradicts the start of the header."""
_START = ((b"SIMPLE", b"T"), (b"BITPIX", b"-32"), (b"NAXIS", b"2"))
"""How a plain image begins; the two sides follow."""


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
    except InflateError as error:
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
    cards = [header[at : at + _CARD_BYTES] for at in range(0, len(header), _CARD_BYTES)]
    end = next((at for at, card in enumerate(cards) if card[:8] == b"END     "), 0)
    found = [_keyword_and_value(card) for card in cards[:end]]
    keywords = [keyword for keyword, _ in found]
    if (
        tuple(found[: len(_START)]) != _START
        or keywords[len(_START) : len(_START) + 2] != [b"NAXIS1", b"NAXIS2"]
        or any(keyword in _UNUSUAL for keyword in keywords[len(_START) + 2 :])
        or len(header) % _BLOCK_BYTES
    ):
        return None
    width, height = (_side(value) for _, value in found[len(_START) : len(_START) + 2])
    if not (0 < width <= LARGEST_SIDE_PIX and 0 < height <= LARGEST_SIDE_PIX):
        return None
    size = (end + 1) * _CARD_BYTES
    return _Image((height, width), size + -size % _BLOCK_BYTES)


def _keyword_and_value(card: bytes) -> tuple[bytes, bytes]:
    """Without its comment; the value of a card that has none is of no use and no harm."""
    value = card[10:].partition(b"/")[0].strip() if card[8:10] == b"= " else b""
    return card[:8].rstrip(), value


def _side(value: bytes) -> int:
    return int(value) if value.isdigit() else 0


def _plain_image_of_long_header(raw: bytes) -> _Image | None:
    """As `_plain_image`, of a header longer than a block; such ones differ in every packet."""
    for at in range(_BLOCK_BYTES, min(len(raw), _LONGEST_HEADER_BYTES), _CARD_BYTES):
        if raw.startswith(b"END     ", at):
            return _plain_image.__wrapped__(raw[: at - at % _BLOCK_BYTES + _BLOCK_BYTES])
    return None


def _decode_with_astropy(raw: bytes) -> npt.NDArray[Any]:
    with opened(raw) as file:
        return image_of(next(hdu for hdu in file if hdu.is_image and hdu.header["NAXIS"] > 0))


@contextmanager
def opened(raw: bytes) -> Iterator[Any]:
    """An astropy HDUList of the bytes of a small FITS file.

    Raises
    ------
    DamagedError
        Also for trouble inside the ``with`` block: damaged bytes show wherever they are touched.
    """
    from astropy.io import fits

    try:
        if _TILE_COMPRESSED in raw:
            raise ValueError("a tile-compressed image; expected a plain one")  # noqa: TRY301
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong with a cutout becomes a flag
            with fits.open(io.BytesIO(raw), memmap=False, ignore_missing_simple=True) as file:
                yield file
    # astropy meets damaged bytes with nearly every kind of exception.
    except Exception as error:
        raise DamagedError(f"{type(error).__name__}: {error}") from error


def image_of(hdu: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - an astropy HDU
    """Pixels of an HDU, if they are few; ValueError otherwise."""
    if hdu.header["NAXIS"] != 2 or max(hdu.shape) > LARGEST_SIDE_PIX:
        raise ValueError(f"shape {hdu.shape} is no cutout")
    pixels: npt.NDArray[Any] = np.asarray(hdu.data)
    return pixels
