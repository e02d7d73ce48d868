"""Multi-resolution pyramids of wide cutouts: 480 x 480 pixels as five images of 30 x 30.

Level k has the block medians of ``2^k x 2^k`` pixels, of which the central 30 x 30 are kept, so
that every level shows twice the field of the one before at half its resolution (Foerster et al.
2022).
"""

import numpy as np
import numpy.typing as npt

from catalogtool.hosts.sources import BoolArray, Detection, Image

LEVELS = 5
SIDE = 30
FIELD_PIX = SIDE * 2 ** (LEVELS - 1)
"""Side of the cutouts that pyramids are made of."""
BYTES = LEVELS * SIDE * SIDE * 4

Pyramid = npt.NDArray[np.float32]


def build_pyramid(found: Detection) -> Pyramid:
    """Pyramid of an image of which the sources are known.

    Pixels outside of all sources are 0; the others are scaled from 0 to 1 between the faintest and
    the brightest of them. Every level is then divided by its own maximum.

    Parameters
    ----------
    found : Detection
        In an image of `FIELD_PIX` pixels a side.

    Returns
    -------
    ndarray, shape (5, 30, 30), float32
        Axes of each level: x, then y.
    """
    levels = block_medians(normalise(found.image, found.ellipse_mask()))
    highest = levels.max(axis=(1, 2), keepdims=True)
    return np.where(highest > 0, levels / np.where(highest > 0, highest, 1), 0).transpose(0, 2, 1)


def normalise(image: Image, inside: BoolArray) -> Image:
    """Scale the pixels inside of sources to [0, 1]; all others are 0."""
    if not inside.any():
        return np.zeros_like(image)
    values = image[inside]
    low, high = values.min(), values.max()
    scaled = np.zeros_like(image)
    scaled[inside] = (values - low) / (high - low) if high > low else 0
    return scaled


def block_medians(image: Image) -> Pyramid:
    """Central windows of the block medians of an image, shape (5, 30, 30), axes y, then x.

    Only blocks that are kept are looked at.
    """
    levels = np.empty((LEVELS, SIDE, SIDE), dtype=np.float32)
    for level in range(LEVELS):
        block = 2**level
        start = (FIELD_PIX - SIDE * block) // 2
        window = image[start : start + SIDE * block, start : start + SIDE * block]
        blocks = window.reshape(SIDE, block, SIDE, block).transpose(0, 2, 1, 3)
        levels[level] = _median(blocks.reshape(SIDE * SIDE, block * block)).reshape(SIDE, SIDE)
    return levels


def _median(rows: Image) -> Image:
    """Median of each row; rows without light, which most are, are not sorted."""
    found = np.zeros(len(rows), dtype=np.float32)
    # More than half zeros, and no value is negative: the median is 0.
    lit = np.count_nonzero(rows, axis=1) * 2 >= rows.shape[1]
    if lit.any():
        middle = rows.shape[1] // 2
        some = rows[lit]
        if rows.shape[1] == 1:
            found[lit] = some[:, 0]
        else:
            parted = np.partition(some, (middle - 1, middle), axis=1)
            found[lit] = (parted[:, middle - 1] + parted[:, middle]) / 2
    return found


def centred(image: npt.NDArray[np.generic], fill: float) -> npt.NDArray[np.generic]:
    """Image of `FIELD_PIX` pixels a side around the same central pixel, cropped or filled up.

    Parameters
    ----------
    image : ndarray, shape (H, W)
        Its central pixel is (H // 2, W // 2).
    fill : float
        Value of pixels that the image does not have.
    """
    if image.shape == (FIELD_PIX, FIELD_PIX):
        return image
    found = np.full((FIELD_PIX, FIELD_PIX), fill, dtype=image.dtype)
    here, there = [], []
    for length in image.shape:
        shift = FIELD_PIX // 2 - length // 2
        there.append(slice(max(shift, 0), min(shift + length, FIELD_PIX)))
        here.append(slice(max(-shift, 0), max(-shift, 0) + there[-1].stop - there[-1].start))
    found[tuple(there)] = image[tuple(here)]
    return found
