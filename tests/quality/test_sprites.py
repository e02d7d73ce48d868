import io

import numpy as np
import pytest
from PIL import Image

from catalogtool.quality._sprites import GREYS, MASKED, SheetLayout, scale_cutouts, shrink


def unmasked(images: np.ndarray) -> np.ndarray:
    return np.zeros(images.shape, dtype=np.bool_)


def test_tones_follow_the_quantiles_of_each_channel() -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(0, 3, (2, 3, 20, 20)).astype(np.float32)
    tones = scale_cutouts(images, unmasked(images))
    for channel, tone in zip(images.reshape(6, -1), tones.reshape(6, -1), strict=True):
        low, high = np.quantile(channel, (0.01, 0.998), method="nearest")
        share = np.clip((channel.astype(np.float64) - low) / (high - low), 0, 1)
        expected = np.arcsinh(8 * share) / np.arcsinh(8) * (GREYS - 1)
        assert np.abs(tone - expected).max() < 0.51


def test_units_and_offsets_do_not_matter() -> None:
    images = np.random.default_rng(1).normal(size=(1, 1, 16, 16)).astype(np.float32)
    tones = scale_cutouts(images, unmasked(images))
    moved = scale_cutouts(images * 64 + 512, unmasked(images))
    assert np.abs(tones.astype(int) - moved).max() <= 1


def test_masked_and_infinite_pixels_have_a_tone_of_their_own_and_scale_nothing() -> None:
    images = np.random.default_rng(2).normal(size=(1, 1, 16, 16)).astype(np.float32)
    spoiled, mask = images.copy(), unmasked(images)
    spoiled[..., 0, :] = 1e30
    mask[..., 0, :] = True
    spoiled[..., 1, :3] = np.nan, np.inf, -np.inf
    tones = scale_cutouts(spoiled, mask)
    assert (tones[..., 0, :] == MASKED).all()
    assert (tones[..., 1, :3] == MASKED).all()
    assert (tones[..., 2:, :] < GREYS).all()
    assert np.ptp(tones[..., 2:, :]) > GREYS // 2


@pytest.mark.filterwarnings("error")
def test_empty_and_constant_channels_are_drawn() -> None:
    images = np.full((2, 1, 4, 4), 7, dtype=np.float32)
    mask = unmasked(images)
    mask[0] = True
    tones = scale_cutouts(images, mask)
    assert (tones[0] == MASKED).all()
    assert (tones[1] == 0).all()


def test_small_pictures_are_not_shrunk() -> None:
    tones = np.zeros((1, 3, 21, 21), dtype=np.uint8)
    assert shrink(tones, 32) is tones


def test_shrunk_pixels_are_means_of_what_is_not_masked() -> None:
    rng = np.random.default_rng(3)
    tones = rng.integers(0, GREYS, (2, 3, 64, 64), dtype=np.uint8)
    tones[rng.random(tones.shape) < 0.3] = MASKED
    small = shrink(tones, 32)
    assert small.shape == (2, 3, 32, 32)
    for n, c, y, x in rng.integers(0, (2, 3, 32, 32), (300, 4)):
        block = tones[n, c, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
        seen = block[block != MASKED]
        expected = np.rint(np.float32(seen.mean())) if len(seen) > 2 else MASKED
        assert small[n, c, y, x] == expected


def test_odd_sides_keep_their_last_pixels() -> None:
    tones = np.zeros((1, 1, 63, 63), dtype=np.uint8)
    tones[..., -1, :] = 40
    small = shrink(tones, 32)
    assert small.shape == (1, 1, 32, 32)
    assert (small[..., -1, :] == 40).all()
    assert (small[..., :-1, :] == 0).all()


def test_objects_are_where_the_layout_says() -> None:
    rng = np.random.default_rng(4)
    tones = rng.integers(0, GREYS, (5, 3, 6, 6), dtype=np.uint8)
    layout = SheetLayout(columns=2, rows=3)
    sheet = Image.open(io.BytesIO(layout.draw(tones)))
    assert sheet.size == (2 * 3 * 6, 3 * 6)
    pixels = np.asarray(sheet)
    for place in range(5):
        top, left = place // 2 * 6, place % 2 * 18
        for channel in range(3):
            part = pixels[top : top + 6, left + 6 * channel : left + 6 * channel + 6]
            np.testing.assert_array_equal(part, tones[place, channel])
    assert (pixels[12:, 18:] == MASKED).all()


def test_masked_pixels_are_not_grey() -> None:
    tones = np.full((1, 1, 2, 2), MASKED, dtype=np.uint8)
    tones[..., 0, 0] = GREYS - 1
    sheet = Image.open(io.BytesIO(SheetLayout(1, 1).draw(tones))).convert("RGB")
    assert sheet.getpixel((0, 0)) == (255, 255, 255)
    red, green, blue = sheet.getpixel((1, 1))
    assert max(red, green, blue) - min(red, green, blue) > 50
