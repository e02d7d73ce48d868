"""Numbers that travel with a cutout: one more channel, whose first pixels hold them row by row.

Networks, methods, forms and checkpoints go on seeing one tensor. What changes pixels (augmentation,
stretches) leaves the last channel of such a tensor alone.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


def pack(images: FloatArray, values: FloatArray) -> FloatArray:
    """Add the channel that holds some numbers per cutout.

    Parameters
    ----------
    images : ndarray, shape (B, C, H, W), float32
        Prepared cutouts.
    values : ndarray, shape (B, F), float32
        NaN where unknown; F is at most H * W.

    Returns
    -------
    ndarray, shape (B, C + 1, H, W), float32
        Pixels of the last channel after the first F are 0.
    """
    count, channels, height, width = images.shape
    packed = np.zeros((count, channels + 1, height, width), dtype=np.float32)
    packed[:, :channels] = images
    packed[:, channels].reshape(count, -1)[:, : values.shape[1]] = values
    return packed


def unpack(packed: Any, count: int) -> tuple[Any, Any]:  # noqa: ANN401 - of either library
    """Take cutouts and numbers apart again.

    Parameters
    ----------
    packed : array or Tensor, shape (B, C + 1, H, W), float32
        What `pack` made.
    count : int
        Number F of the values.

    Returns
    -------
    images : array or Tensor, shape (B, C, H, W), float32
    values : array or Tensor, shape (B, F), float32
    """
    plane = packed[:, -1]
    size = plane.shape[1] * plane.shape[2]
    return packed[:, :-1], plane.reshape(len(packed), size)[:, :count]
