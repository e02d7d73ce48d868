"""Sheets of small pictures: one PNG holds many cutouts, and a page shows a part of it."""

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Tones = npt.NDArray[np.uint8]

GREYS = 64
"""Tones of valid pixels, black to white: noise of more tones costs bytes that no eye sees."""
MASKED = GREYS
"""Tone of masked pixels."""

_MASKED_RGB = (92, 62, 138)  # violet: no grey, and told from grey by all kinds of colour vision
_LOW, _HIGH = 0.01, 0.998  # quantiles of the valid pixels that become black and white
_SOFTENING = 8.0
_RUN_LENGTH = 3  # of zlib's strategies the one that is fast on noise and no worse


def scale_cutouts(images: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> Tones:
    """Tones of cutouts for the eye: quantiles of each channel, inverse hyperbolic sine.

    Parameters
    ----------
    images : ndarray, shape (N, C, H, W), float32
        Pixels in any units.
    mask : ndarray, shape (N, C, H, W), bool
        True excludes a pixel; so does a value that is not finite.

    Returns
    -------
    ndarray, shape (N, C, H, W), uint8
        0 to ``GREYS - 1``, or `MASKED`. A channel of one value is black.
    """
    invalid = mask | ~np.isfinite(images)
    shape = images.shape
    flat = np.where(invalid, np.inf, images).reshape(*shape[:2], -1)
    ordered = np.sort(flat, axis=-1)  # masked pixels last
    last = np.isfinite(ordered).sum(axis=-1, keepdims=True) - 1  # of the valid ones
    low, high = (
        np.take_along_axis(ordered, np.rint(q * np.maximum(last, 0)).astype(np.intp), axis=-1)
        for q in (_LOW, _HIGH)
    )
    with np.errstate(invalid="ignore"):  # channels without a valid pixel
        span = np.where(high > low, high - low, np.inf)
        share = np.clip((flat - low) / span, 0, 1).reshape(shape)
        tones = np.arcsinh(_SOFTENING * share) / np.arcsinh(_SOFTENING) * (GREYS - 1)
    return np.where(invalid, MASKED, np.nan_to_num(np.rint(tones))).astype(np.uint8)


def shrink(tones: Tones, largest_pix: int) -> Tones:
    """Pictures of at most so many pixels a side: means of square blocks, without masked pixels.

    Parameters
    ----------
    tones : ndarray, shape (N, C, H, W), uint8
        As of `scale_cutouts`; H equals W.
    largest_pix : int
        Largest side of the result.

    Returns
    -------
    ndarray, shape (N, C, h, h), uint8
        A block is masked where half of it or more is. Where H is no multiple of the blocks, the
        pixels at the edges count twice or more.
    """
    count, channels, size = tones.shape[:3]
    factor = -(-size // largest_pix)
    if factor == 1:
        return tones
    side = -(-size // factor)
    before, after = (side * factor - size) // 2, -(-(side * factor - size) // 2)
    padded = np.pad(tones, ((0, 0), (0, 0), (before, after), (before, after)), mode="edge")
    blocks = padded.reshape(count, channels, side, factor, side, factor)
    valid = blocks != MASKED
    seen = valid.sum(axis=(3, 5))
    sums = np.where(valid, blocks, 0).sum(axis=(3, 5), dtype=np.float32)
    means = np.rint(sums / np.maximum(seen, 1)).astype(np.uint8)
    return np.where(2 * seen > factor**2, means, np.uint8(MASKED))


@dataclass(frozen=True)
class SheetLayout:
    """Where pictures are on a sheet.

    Attributes
    ----------
    columns, rows : int
        Places side by side and one below the other; an object takes one place.
    """

    columns: int
    rows: int

    @property
    def objects(self) -> int:
        """Objects on a full sheet."""
        return self.columns * self.rows

    def draw(self, tones: Tones) -> bytes:
        """PNG file of some objects, the channels of each side by side.

        Parameters
        ----------
        tones : ndarray, shape (N, C, H, W), uint8
            At most `objects`; the last row of places ends with the last object.
        """
        count, channels, height, width = tones.shape
        rows = -(-count // self.columns)
        places = np.full((rows * self.columns, height, channels * width), MASKED, dtype=np.uint8)
        places[:count] = tones.transpose(0, 2, 1, 3).reshape(count, height, channels * width)
        grid = places.reshape(rows, self.columns, height, channels * width)
        return _png(grid.transpose(0, 2, 1, 3).reshape(rows * height, -1))


def _png(tones: Tones) -> bytes:
    from PIL import Image

    greys = np.rint(np.linspace(0, 255, GREYS)).astype(int)
    picture = Image.fromarray(tones, mode="P")
    picture.putpalette([v for grey in greys.tolist() for v in (grey,) * 3] + list(_MASKED_RGB))
    sink = io.BytesIO()
    picture.save(sink, "PNG", compress_level=6, compress_type=_RUN_LENGTH)
    return sink.getvalue()
