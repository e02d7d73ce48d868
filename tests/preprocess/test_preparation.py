"""From what an input holds to what a network sees."""

import numpy as np
import pyarrow as pa
import torch

from catalogtool.preprocess.metadata import unpack
from catalogtool.preprocess.preparation import Preparation, metadata_values


def _images(size: int = 63) -> np.ndarray:
    return np.random.default_rng(0).random((4, 3, size, size), dtype=np.float32)


def test_the_central_part_of_a_cutout_is_cropped() -> None:
    images = _images()

    np.testing.assert_array_equal(
        Preparation(21, "minmax").crop(images), images[:, :, 21:42, 21:42]
    )
    np.testing.assert_array_equal(Preparation(63, "minmax").crop(images), images)
    # An even size has no centre: the published cutouts of 16 pixels begin at pixel 24.
    np.testing.assert_array_equal(
        Preparation(16, "minmax").crop(images), images[:, :, 24:40, 24:40]
    )


def test_facts_travel_in_a_channel_of_their_own_and_come_back() -> None:
    facts = pa.table({"fwhm": [1.5, None, 2.5, 3.0], "name": ["a"] * 4, "ndet": [1, 2, 3, None]})
    preparation = Preparation(9, "channel_minmax", ("ndet", "fwhm", "nowhere"))
    images = _images(9)

    prepared = preparation.apply(images, np.zeros(images.shape, dtype=bool), facts)

    assert prepared.shape[1] == preparation.channels(3) == 4
    pixels, values = unpack(torch.from_numpy(prepared), 3)
    assert pixels.shape == (4, 3, 9, 9)
    expected = [[1, 1.5, np.nan], [2, np.nan, np.nan], [3, 2.5, np.nan], [np.nan, 3, np.nan]]
    np.testing.assert_array_equal(values.numpy(), np.array(expected, dtype=np.float32))


def test_an_input_without_facts_gives_unknown_ones() -> None:
    assert np.isnan(metadata_values(None, ("fwhm", "ndet"), 3)).all()
    assert Preparation(9, "percentile", ("fwhm",)).channels(3) == 7
