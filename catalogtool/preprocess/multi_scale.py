"""Cutouts at several scales: a fine centre and ever coarser surroundings, in a few pixels.

Level k is the cutout averaged k times over 2 x 2 pixels, of which the central 8 x 8 pixels are
kept: level 0 sees the centre at full resolution, the last level most of the field.

References
----------
Reyes-Jainaga et al. 2023, ApJL (arXiv:2304.13080); ``alercebroker/multiscale_stamps``.
"""

import itertools
import math
from typing import Literal

import torch
from torch.nn import functional

from catalogtool.errors import ConfigError

Scenario = Literal["cropped", "low_res", "multi_scale", "full"]
"""``cropped``: the central 16 x 16 pixels. ``low_res``: all of it, averaged over 4 x 4 pixels.
``multi_scale``: the levels. ``full``: the cutout as it is."""

LEVEL_PIX = 8
CROPPED_PIX = 16
_INNER_PIX = LEVEL_PIX // 2  # of a level, what the level before it covers
_RING_PIX = (LEVEL_PIX - _INNER_PIX) // 2
_FLOAT_BYTES = 4


def halve(images: torch.Tensor) -> torch.Tensor:
    """Means over 2 x 2 pixels; at an odd border over the pixels that there are.

    Parameters
    ----------
    images : Tensor, shape (B, C, H, W)

    Returns
    -------
    Tensor, shape (B, C, ceil(H / 2), ceil(W / 2))
    """
    return functional.avg_pool2d(images, 2, ceil_mode=True, count_include_pad=False)


def crop(images: torch.Tensor, size_pix: int) -> torch.Tensor:
    """The central pixels; where there is no middle, half a pixel towards the end of each axis.

    Parameters
    ----------
    images : Tensor, shape (B, C, H, W)
    size_pix : int
        Side of the result.
    """
    top, left = (crop_start(side, size_pix) for side in images.shape[2:])
    return images[:, :, top : top + size_pix, left : left + size_pix]


def crop_start(side_pix: int, size_pix: int) -> int:
    """First pixel of a central crop: ``ceil((n - m) / 2)``."""
    return -((size_pix - side_pix) // 2)


def level_sides(size_pix: int) -> tuple[int, ...]:
    """Sides in pixels of a cutout before the crop of each level: as long as 8 pixels are left.

    Cutouts of 63 pixels have four levels of 63, 32, 16 and 8 pixels.

    Raises
    ------
    ConfigError
        If the cutouts are smaller than 8 pixels.
    """
    check_size(size_pix, LEVEL_PIX)
    sides = [size_pix]
    while math.ceil(sides[-1] / 2) >= LEVEL_PIX:
        sides.append(math.ceil(sides[-1] / 2))
    return tuple(sides)


def levels(images: torch.Tensor) -> list[torch.Tensor]:
    """All levels of square cutouts, the finest first.

    Parameters
    ----------
    images : Tensor, shape (B, C, H, H)

    Returns
    -------
    list of Tensor, shape (B, C, 8, 8)
    """
    found = []
    for _ in level_sides(images.shape[-1]):
        found.append(crop(images, LEVEL_PIX))
        images = halve(images)
    return found


def reduce_cutouts(images: torch.Tensor, scenario: Scenario) -> torch.Tensor:
    """Cutouts as a scenario sees them.

    Parameters
    ----------
    images : Tensor, shape (B, C, H, H)
        Scaled cutouts, and channels of validity if there are any.
    scenario : {"cropped", "low_res", "multi_scale", "full"}

    Returns
    -------
    Tensor, shape (B, C', H', H')
        For 63 pixels: (B, C, 16, 16), (B, C, 16, 16), (B, 4 C, 8, 8) with the finest level first,
        or the cutouts themselves.

    Raises
    ------
    ConfigError
        If the cutouts are too small for the scenario.
    """
    if scenario == "full":
        return images
    if scenario == "multi_scale":
        return torch.cat(levels(images), dim=1)
    if scenario == "low_res":
        return halve(halve(images))
    check_size(images.shape[-1], CROPPED_PIX)
    return crop(images, CROPPED_PIX)


def check_size(size_pix: int, smallest_pix: int) -> None:
    """Refuse cutouts that are too small.

    Raises
    ------
    ConfigError
        If `size_pix` is smaller than `smallest_pix`.
    """
    if size_pix < smallest_pix:
        raise ConfigError(
            f"cutouts of {size_pix} pixels are too small for this scale: {smallest_pix} pixels or "
            "more are needed; set cutout_size_pix, or choose another scenario",
            size_pix=size_pix,
        )


def pack_levels(images: torch.Tensor) -> torch.Tensor:
    """The fewest numbers that hold all levels, as sums over blocks of pixels.

    The centre of a level follows from the level before it, so only its outer ring is stored: 208
    numbers for a cutout of 63 x 63 pixels.

    Parameters
    ----------
    images : Tensor, shape (B, C, H, H)
        Pixels in survey units.

    Returns
    -------
    Tensor, shape (B, C, 64 + 48 (L - 1))

    Raises
    ------
    ConfigError
        If the levels do not nest for this size of cutouts.
    """
    _check_nesting(images.shape[-1])
    stored = []
    for index in range(len(level_sides(images.shape[-1]))):
        level = crop(images, LEVEL_PIX).flatten(2)
        stored.append(level[..., _ring(level.device)] if index else level)
        images = _add_blocks(images)
    return torch.cat(stored, dim=2)


def unpack_levels(packed: torch.Tensor) -> list[torch.Tensor]:
    """All levels, as sums over blocks of pixels: exactly those that were packed.

    Parameters
    ----------
    packed : Tensor, shape (B, C, 64 + 48 (L - 1))

    Returns
    -------
    list of Tensor, shape (B, C, 8, 8)
    """
    ring = _ring(packed.device)
    borders = range(LEVEL_PIX**2, packed.shape[2], int(ring.sum()))
    first, *rings = packed.tensor_split(tuple(borders), dim=2)
    shape = (*packed.shape[:2], LEVEL_PIX, LEVEL_PIX)
    found = [first.reshape(shape)]
    for outer in rings:
        level = torch.empty_like(first)
        level[..., ring] = outer
        level[..., ~ring] = _add_blocks(found[-1]).flatten(2)
        found.append(level.reshape(shape))
    return found


def stored_pixels(scenario: Scenario | Literal["packed"], size_pix: int) -> int:
    """Numbers per image that a scenario needs; ``packed`` is the packed form of the levels."""
    if scenario == "full":
        return size_pix**2
    if scenario == "cropped":
        return CROPPED_PIX**2
    if scenario == "low_res":
        return math.ceil(math.ceil(size_pix / 2) / 2) ** 2
    further = len(level_sides(size_pix)) - 1
    inner = _INNER_PIX**2 if scenario == "packed" else 0
    return LEVEL_PIX**2 + further * (LEVEL_PIX**2 - inner)


def bytes_per_alert(
    scenario: Scenario | Literal["packed"], size_pix: int = 63, images: int = 3
) -> int:
    """Bytes of an alert's cutouts in float32, uncompressed; validity is NaN and costs none."""
    return images * stored_pixels(scenario, size_pix) * _FLOAT_BYTES


def _add_blocks(images: torch.Tensor) -> torch.Tensor:
    """Sums over 2 x 2 pixels, in one order whatever the size; beyond an odd border there is 0."""
    height, width = images.shape[2:]
    padded = functional.pad(images, (0, width % 2, 0, height % 2))
    rows = padded[:, :, ::2] + padded[:, :, 1::2]
    return rows[..., ::2] + rows[..., 1::2]


def _ring(device: torch.device) -> torch.Tensor:
    """Which pixels of a level the level before it does not cover, shape (64,), bool."""
    ring = torch.ones(LEVEL_PIX, LEVEL_PIX, dtype=torch.bool, device=device)
    inner = slice(_RING_PIX, _RING_PIX + _INNER_PIX)
    ring[inner, inner] = False
    return ring.flatten()


def _check_nesting(size_pix: int) -> None:
    starts = [crop_start(side, LEVEL_PIX) for side in level_sides(size_pix)]
    if any(fine != 2 * (coarse + _RING_PIX) for fine, coarse in itertools.pairwise(starts)):
        raise ConfigError(
            f"the levels of cutouts of {size_pix} pixels do not nest, as the packed form needs; "
            "cutouts of 63 or 64 pixels do",
            size_pix=size_pix,
        )
