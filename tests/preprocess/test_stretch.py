"""The scaling of pixels."""

import numpy as np
import numpy.typing as npt
import pytest

from catalogtool.preprocess.stretch import prepare
from catalogtool.surveys._recipe import Stretch

STRETCHES = ("minmax", "asinh", "band_asinh", "unit", "channel_minmax", "percentile")


def _cutouts(
    count: int = 5, channels: int = 2, size: int = 9
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    rng = np.random.default_rng(3)
    images = rng.normal(10, 4, (count, channels, size, size)).astype(np.float32)
    mask = rng.random(images.shape) < 0.1
    return images, mask


def test_minmax_maps_valid_pixels_linearly_to_zero_and_one() -> None:
    images = np.array([[[[2, 4], [6, 1000]]]], dtype=np.float32)
    mask = np.array([[[[False, False], [False, True]]]])

    prepared = prepare(images, mask, "minmax")

    np.testing.assert_array_equal(prepared, [[[[0, 0.5], [1, 0.5]]]])  # filled with the median


def test_unit_uses_fixed_numbers_only() -> None:
    images = np.array([[[[0, 255], [127.5, 51]]]], dtype=np.float32)

    prepared = prepare(images, np.zeros_like(images, dtype=bool), "unit")

    np.testing.assert_allclose(prepared, [[[[-2, 2], [0, -1.2]]]], atol=1e-6)


def test_channel_minmax_scales_every_channel_by_itself_and_leaves_zero_where_nothing_is() -> None:
    images = np.array([[[[2, 4], [6, 1000]], [[3, 3], [3, 3]], [[1, 2], [3, 5]]]], dtype=np.float32)
    mask = np.zeros(images.shape, dtype=bool)
    mask[0, 0, 1, 1] = True
    mask[0, 2] = True

    prepared = prepare(images, mask, "channel_minmax")

    np.testing.assert_array_equal(prepared[0, 0], [[0, 0.5], [1, 0]])
    assert not prepared[0, 1:].any()  # constant, and without a valid pixel


def test_band_asinh_says_how_far_above_the_noise_of_its_channel_a_pixel_is() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1, (2, 99, 99))
    images = (np.array([10, 200])[:, None, None] * noise + 500).astype(np.float32)[None]
    images[0, :, 0, 0] = 500 + np.array([1000, 20_000])
    mask = np.zeros(images.shape, dtype=bool)
    mask[0, :, 1, 1] = True

    prepared = prepare(images, mask, "band_asinh")

    np.testing.assert_allclose(prepared[0, :, 0, 0], np.arcsinh(100 / 3), rtol=0.01)
    np.testing.assert_allclose(np.median(prepared[0], axis=(1, 2)), 0, atol=1e-3)
    assert not prepared[0, :, 1, 1].any()


def test_percentile_equals_its_formula_and_adds_which_pixels_are_valid() -> None:
    images, mask = _cutouts(count=2)
    images[0, 0, 0, 0], images[0, 0, 0, 1] = np.nan, -500
    valid = np.isfinite(images) & ~mask

    prepared = prepare(images, mask, "percentile")

    assert prepared.shape == (2, 4, 9, 9)
    np.testing.assert_array_equal(prepared[:, 2:], valid)
    for image, good, scaled in zip(images[0], valid[0], prepared[0], strict=False):
        sizes = np.abs(image[good].astype(float))
        low, high = sizes.min(), np.percentile(sizes, 99)
        expected = np.clip((image[good] - low) / (high - low + 1e-8), -2, 2)
        np.testing.assert_allclose(scaled[good], expected, rtol=1e-5, atol=1e-6)
        assert not scaled[~good].any()


def test_asinh_equals_its_formula() -> None:
    images, mask = _cutouts(count=1, channels=1)
    values = images[~mask].astype(float)
    centre = np.median(values)
    sigma = 1.4826 * np.median(np.abs(values - centre))
    stretched = np.arcsinh((values - centre) / (3 * sigma))
    expected = (stretched - stretched.min()) / np.ptp(stretched)

    prepared = prepare(images, mask, "asinh")

    np.testing.assert_allclose(prepared[~mask], expected, atol=1e-5)


@pytest.mark.parametrize("stretch", STRETCHES)
def test_the_company_of_a_cutout_does_not_change_a_bit(stretch: Stretch) -> None:
    images, mask = _cutouts()

    together = prepare(images, mask, stretch)

    for index in range(len(images)):
        alone = prepare(images[index : index + 1], mask[index : index + 1], stretch)
        np.testing.assert_array_equal(alone[0], together[index])


@pytest.mark.parametrize("stretch", STRETCHES)
def test_nan_and_infinity_count_as_excluded(stretch: Stretch) -> None:
    images, mask = _cutouts()
    images[mask] = np.nan
    images[0, 0, 0, 0] = np.inf

    prepared = prepare(images, np.zeros_like(mask), stretch)

    assert np.isfinite(prepared).all()


@pytest.mark.parametrize("stretch", STRETCHES)
def test_a_cutout_without_valid_pixels_is_zero(stretch: Stretch) -> None:
    images, mask = _cutouts()

    prepared = prepare(images, np.ones_like(mask), stretch)

    np.testing.assert_array_equal(prepared, 0)


def test_a_constant_cutout_is_zero() -> None:
    images = np.full((1, 1, 4, 4), 7, dtype=np.float32)

    np.testing.assert_array_equal(prepare(images, np.zeros_like(images, dtype=bool), "minmax"), 0)


def test_the_range_of_float32_does_not_overflow() -> None:
    images = np.array([[[[-3e38, 3e38]]]], dtype=np.float32)

    prepared = prepare(images, np.zeros_like(images, dtype=bool), "minmax")

    np.testing.assert_array_equal(prepared, [[[[0, 1]]]])


def test_what_comes_in_is_not_changed() -> None:
    images, mask = _cutouts()
    before = images.copy()

    prepare(images, mask, "minmax")

    np.testing.assert_array_equal(images, before)


def test_every_band_can_have_the_unit_range_by_itself() -> None:
    rng = np.random.default_rng(6)
    images = rng.normal(size=(2, 3, 5, 5)).astype(np.float32) * np.array([1, 100, 0])[:, None, None]
    images = images.astype(np.float32)
    mask = np.zeros(images.shape, dtype=np.bool_)
    images[0, 1, 0, 0], mask[0, 1, 0, 0] = 1e6, True
    mask[1, 0] = True
    prepared = prepare(images, mask, "band_minmax")
    for index, band in ((0, 0), (0, 1), (1, 1)):
        assert prepared[index, band].min() == 0
        assert prepared[index, band].max() == 1
    assert not prepared[:, 2].any()
    assert not prepared[1, 0].any()
