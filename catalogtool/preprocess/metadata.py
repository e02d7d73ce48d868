"""Numbers that travel with a cutout: one extra last channel holds them, so a batch is one tensor.

The first pixels of that channel, row by row, are the numbers; NaN is unknown, the other pixels
are 0.
"""

from typing import Any, TypeVar, cast

import numpy as np

from catalogtool.errors import ConfigError

Array = TypeVar("Array", bound=Any)
"""A numpy array or a torch tensor."""


def pack(images: Array, values: Array) -> Array:
    """Put numbers into a channel of their own, behind the others.

    Parameters
    ----------
    images : ndarray or Tensor, shape (B, C, H, W), float32
    values : ndarray or Tensor, shape (B, F), float32
        NaN is unknown.

    Returns
    -------
    ndarray or Tensor, shape (B, C + 1, H, W), float32

    Raises
    ------
    ConfigError
        If a channel has fewer pixels than there are numbers.
    """
    batch, channels, height, width = images.shape
    check_room(values.shape[1], height * width)
    shape = (batch, channels + 1, height, width)
    is_numpy = isinstance(images, np.ndarray)
    packed: Any = np.zeros(shape, images.dtype) if is_numpy else images.new_zeros(shape)
    packed[:, :-1] = images
    rows, rest = divmod(values.shape[1], width)
    packed[:, -1, :rows] = values[:, : rows * width].reshape(batch, rows, width)
    if rest:
        packed[:, -1, rows, :rest] = values[:, rows * width :]
    return cast("Array", packed)


def unpack(packed: Array, count: int) -> tuple[Array, Array]:
    """Take the channel of numbers off again.

    Parameters
    ----------
    packed : ndarray or Tensor, shape (B, C + 1, H, W)
    count : int
        How many numbers there are.

    Returns
    -------
    images : ndarray or Tensor, shape (B, C, H, W)
    values : ndarray or Tensor, shape (B, count)
    """
    height, width = packed.shape[2:]
    return packed[:, :-1], packed[:, -1].reshape(-1, height * width)[:, :count]


def check_room(count: int, pixels: int) -> None:
    """Refuse more numbers than a channel has pixels.

    Raises
    ------
    ConfigError
        If `count` is larger than `pixels`.
    """
    if count > pixels:
        raise ConfigError(
            f"{count} numbers do not fit into a channel of {pixels} pixels; name fewer of them in "
            "metadata, or use larger cutouts",
            count=count,
            pixels=pixels,
        )
