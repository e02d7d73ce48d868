"""Cutouts at several scales: every pixel is where the published geometry puts it."""

import numpy as np
import pytest
import torch

from catalogtool.errors import ConfigError
from catalogtool.preprocess.multi_scale import (
    bytes_per_alert,
    crop,
    crop_start,
    halve,
    level_sides,
    levels,
    pack_levels,
    reduce_cutouts,
    stored_pixels,
    unpack_levels,
)

SIZE_PIX = 63


def _columns() -> torch.Tensor:
    """A cutout whose pixels hold their own column."""
    return torch.arange(SIZE_PIX, dtype=torch.float64).expand(1, 1, SIZE_PIX, SIZE_PIX)


def _covered(reduced: torch.Tensor) -> list[tuple[int, int]]:
    """First and last source column of every output column, from a map of ones and zeros."""
    spans = []
    for column in range(reduced.shape[-1]):
        seen = torch.nonzero(reduced[:, 0, 0, column]).flatten()
        assert len(seen) == seen[-1] - seen[0] + 1
        spans.append((int(seen[0]), int(seen[-1])))
    return spans


def _index_maps() -> torch.Tensor:
    """One cutout per source column, which is 1 there and 0 elsewhere."""
    return torch.eye(SIZE_PIX)[:, None, None, :].expand(SIZE_PIX, 1, SIZE_PIX, SIZE_PIX)


def _blocks(first: int, size: int, count: int) -> list[tuple[int, int]]:
    spans = [(first + size * i, first + size * (i + 1) - 1) for i in range(count)]
    return [(low, min(high, SIZE_PIX - 1)) for low, high in spans]


@pytest.mark.parametrize(
    ("level", "spans"),
    [
        (0, _blocks(28, 1, 8)),  # 28..35
        (1, _blocks(24, 2, 8)),  # 24..39
        (2, _blocks(16, 4, 8)),  # 16..47
        (3, _blocks(0, 8, 8)),  # 0..62
    ],
)
def test_each_pixel_of_a_level_sees_the_published_source_pixels(
    level: int, spans: list[tuple[int, int]]
) -> None:
    assert _covered(levels(_index_maps())[level]) == spans
    assert _covered(levels(_index_maps().transpose(2, 3))[level].transpose(2, 3)) == spans


@pytest.mark.parametrize(
    ("scenario", "spans"),
    [
        ("cropped", _blocks(24, 1, 16)),
        ("low_res", _blocks(0, 4, 16)),
        ("full", _blocks(0, 1, 63)),
    ],
)
def test_each_pixel_of_the_other_scenarios_sees_the_published_source_pixels(
    scenario: str, spans: list[tuple[int, int]]
) -> None:
    assert _covered(reduce_cutouts(_index_maps(), scenario)) == spans


@pytest.mark.parametrize(
    ("scenario", "shape"),
    [
        ("cropped", (2, 6, 16, 16)),
        ("low_res", (2, 6, 16, 16)),
        ("multi_scale", (2, 24, 8, 8)),
        ("full", (2, 6, 63, 63)),
    ],
)
def test_tensors_have_the_published_shapes(scenario: str, shape: tuple[int, ...]) -> None:
    assert reduce_cutouts(torch.rand(2, 6, SIZE_PIX, SIZE_PIX), scenario).shape == shape


def test_levels_hold_means_of_their_source_pixels() -> None:
    images = torch.rand(2, 3, SIZE_PIX, SIZE_PIX, dtype=torch.float64)

    for index, level in enumerate(levels(images)[:3]):
        size, first = 2**index, (28, 24, 16)[index]
        block = images[..., first : first + 8 * size, first : first + 8 * size]
        means = block.unfold(2, size, size).unfold(3, size, size).mean(dim=(4, 5))
        torch.testing.assert_close(level, means)


def test_the_channels_of_a_level_stay_together_and_the_finest_comes_first() -> None:
    images = torch.rand(1, 2, SIZE_PIX, SIZE_PIX)

    reduced = reduce_cutouts(images, "multi_scale")

    torch.testing.assert_close(reduced[:, :2], images[..., 28:36, 28:36])
    torch.testing.assert_close(reduced[:, 2:4], levels(images)[1])


def test_an_odd_border_is_a_mean_over_the_pixels_that_there_are() -> None:
    halved = halve(torch.tensor([[[[1.0, 2.0, 3.0], [3.0, 4.0, 5.0], [7.0, 9.0, 11.0]]]]))

    torch.testing.assert_close(halved, torch.tensor([[[[2.5, 4.0], [8.0, 11.0]]]]))


@pytest.mark.parametrize(("side", "size", "start"), [(63, 8, 28), (63, 16, 24), (32, 8, 12)])
def test_crops_begin_at_half_the_difference_rounded_up(side: int, size: int, start: int) -> None:
    assert crop_start(side, size) == start


@pytest.mark.parametrize(
    ("size_pix", "sides"), [(63, (63, 32, 16, 8)), (80, (80, 40, 20, 10)), (30, (30, 15, 8))]
)
def test_there_are_levels_as_long_as_eight_pixels_are_left(
    size_pix: int, sides: tuple[int, ...]
) -> None:
    assert level_sides(size_pix) == sides


def test_cutouts_smaller_than_a_level_are_refused() -> None:
    with pytest.raises(ConfigError, match="7 pixels are too small for this scale: 8 pixels"):
        levels(torch.rand(1, 1, 7, 7))
    with pytest.raises(ConfigError, match="15 pixels are too small for this scale: 16 pixels"):
        reduce_cutouts(torch.rand(1, 1, 15, 15), "cropped")


@pytest.mark.parametrize("size_pix", [40, 63, 64, 80])
def test_packed_levels_are_sums_of_the_source(size_pix: int) -> None:
    images = torch.randn(2, 3, size_pix, size_pix)

    packed = pack_levels(images)
    found = unpack_levels(packed)

    assert packed.shape == (2, 3, stored_pixels("packed", size_pix))
    for index, (level, side) in enumerate(zip(found, level_sides(size_pix), strict=True)):
        start, size = crop_start(side, 8) * 2**index, 2**index
        padded = np.zeros((2, 3, size_pix + 8 * size, size_pix + 8 * size), dtype=np.float64)
        padded[..., :size_pix, :size_pix] = images
        block = padded[..., start : start + 8 * size, start : start + 8 * size]
        sums = block.reshape(2, 3, 8, size, 8, size).sum(axis=(3, 5))
        np.testing.assert_allclose(level, sums, rtol=1e-4, atol=1e-4)


def test_packed_levels_come_back_bit_by_bit() -> None:
    sums = torch.randn(2, 3, SIZE_PIX, SIZE_PIX)
    found = unpack_levels(pack_levels(sums))

    for level in found:
        assert torch.equal(level, crop(sums, 8))
        padded = torch.nn.functional.pad(sums, (0, sums.shape[-1] % 2, 0, sums.shape[-1] % 2))
        rows = padded[:, :, ::2] + padded[:, :, 1::2]
        sums = rows[..., ::2] + rows[..., 1::2]


def test_whole_numbers_survive_packing_bit_by_bit() -> None:
    images = torch.randint(0, 1000, (1, 1, SIZE_PIX, SIZE_PIX)).float()

    found = unpack_levels(pack_levels(images))

    means = levels(images.double())
    for index in range(3):  # no border within them: means are sums over equally many pixels
        assert torch.equal(found[index].double(), means[index] * 4**index)


def test_a_size_whose_levels_do_not_nest_cannot_be_packed() -> None:
    with pytest.raises(ConfigError, match="levels of cutouts of 57 pixels do not nest"):
        pack_levels(torch.rand(1, 1, 57, 57))


def test_scenarios_need_the_published_numbers_of_pixels() -> None:
    small = {name: stored_pixels(name, SIZE_PIX) for name in ("cropped", "low_res", "multi_scale")}

    assert small == dict.fromkeys(small, 256)
    assert stored_pixels("packed", SIZE_PIX) == 208
    assert stored_pixels("full", SIZE_PIX) == 3969
    assert bytes_per_alert("full") / bytes_per_alert("multi_scale") == pytest.approx(15.5, abs=0.01)
    assert bytes_per_alert("packed") == 2496


def test_columns_average_to_the_middle_of_what_they_cover() -> None:
    last = levels(_columns())[3][0, 0, 0]

    torch.testing.assert_close(last[:7], torch.arange(7, dtype=torch.float64) * 8 + 3.5)
