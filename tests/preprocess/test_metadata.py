"""Numbers in a channel of their own."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from catalogtool.errors import ConfigError
from catalogtool.preprocess.metadata import pack, unpack


@given(
    batch=st.integers(0, 3),
    channels=st.integers(1, 3),
    size=st.integers(2, 6),
    count=st.integers(0, 4),
    seed=st.integers(0, 100),
)
def test_what_is_packed_comes_back(
    batch: int, channels: int, size: int, count: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(batch, channels, size, size)).astype(np.float32)
    values = rng.normal(size=(batch, count)).astype(np.float32)
    values[rng.random(values.shape) < 0.3] = np.nan

    packed = pack(images, values)

    assert packed.shape == (batch, channels + 1, size, size)
    np.testing.assert_array_equal(unpack(packed, count)[0], images)
    np.testing.assert_array_equal(unpack(packed, count)[1], values)
    as_torch = pack(torch.from_numpy(images), torch.from_numpy(values))
    np.testing.assert_array_equal(as_torch, packed)
    np.testing.assert_array_equal(unpack(as_torch, count)[1], values)


def test_the_first_pixels_row_by_row_are_the_numbers_and_the_others_are_zero() -> None:
    packed = pack(np.ones((1, 2, 3, 3), np.float32), np.array([[1, 2, 3, 4]], np.float32))

    np.testing.assert_array_equal(packed[0, 2], [[1, 2, 3], [4, 0, 0], [0, 0, 0]])


def test_more_numbers_than_pixels_are_refused() -> None:
    with pytest.raises(ConfigError, match="5 numbers do not fit into a channel of 4 pixels"):
        pack(np.zeros((1, 1, 2, 2), np.float32), np.zeros((1, 5), np.float32))
