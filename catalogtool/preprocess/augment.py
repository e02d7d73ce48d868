"""Random changes that leave a galaxy's class as it is: torch, on any device, seeded.

Geometry is one resampling however many changes are chosen, so that pixels are blurred once.
"""

import math

import torch

from catalogtool._discovery import check_name
from catalogtool.preprocess._draws import normal, resample, uniform

CHANGES = ("flip", "jitter", "rotate", "shift", "turn", "warp", "zoom")
_SHIFT = 0.05  # of the image's side
_ZOOM = 0.1
_WARP_RADIANS = math.radians(10)
_WARP_SCALE = (1.15, 0.25)  # centre and half width
_WARP_SHIFT = 0.1  # of the image's side
_GAIN_SIGMA = 0.25
_OFFSET_SIGMA = 0.1
_NOISE_SIGMA = 0.05
_GREY_SHARE = 0.3


def augment(
    images: torch.Tensor,
    changes: tuple[str, ...],
    generator: torch.Generator,
    bands: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Change cutouts at random, each by itself.

    Parameters
    ----------
    images : Tensor, shape (B, C, H, W), float32
        Prepared cutouts.
    changes : tuple of str
        ``flip`` at random, ``turn`` by quarters and ``shift`` by whole pixels, up to 5 % of the
        side, keep the noise as it is; ``rotate`` by any angle and ``zoom`` by a factor of 0.9 to
        1.1 smooth it. ``warp`` is for what has an upright: it turns and slants by up to 10
        degrees, enlarges by 0.9 to 1.4 and shifts by up to 10 % of the side. ``jitter``:
        per-channel gain (log-normal, 0.25), offset, noise, and in 30 % of the cutouts the mean of
        the channels in every channel.
    generator : Generator
        On the device of the images; the same state gives the same result.
    bands : int or None
        Channels that are bands; those after them say which pixels are valid, and have the geometry
        of the cutout but none of its jitter. None: all are bands.

    Returns
    -------
    images : Tensor, shape (B, C, H, W), float32
        Pixels from beyond the border are mirrored.
    is_mirrored : Tensor, shape (B,), bool
        Which cutouts show a mirror image.

    Raises
    ------
    UnknownNameError
        If a change has another name.
    """
    for change in changes:
        check_name(change, CHANGES, "augmentations")
    is_mirrored = torch.zeros(len(images), dtype=torch.bool, device=images.device)
    if set(changes) - {"jitter"}:
        affine, is_mirrored = _affine(images, changes, generator)
        images = resample(images, affine)
    if "jitter" in changes:
        jittered = _jitter(images[:, :bands], generator)
        images = jittered if bands is None else torch.cat([jittered, images[:, bands:]], dim=1)
    return images, is_mirrored


def _affine(
    images: torch.Tensor, changes: tuple[str, ...], generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Matrices from output to input coordinates, shape (B, 2, 3), and which of them mirror."""
    count = len(images)
    angle = uniform(count, math.pi, generator) if "rotate" in changes else images.new_zeros(count)
    if "turn" in changes:
        quarters = torch.randint(4, (count,), generator=generator, device=generator.device)
        angle = angle + math.pi / 2 * quarters
    scale = images.new_ones(count)
    if "zoom" in changes:
        scale = 1 / (1 + uniform(count, _ZOOM, generator))
    mirror = images.new_ones(count)
    if "flip" in changes:
        mirror = torch.sign(uniform(count, 1, generator))
    shift = images.new_zeros(count, 2)
    if "shift" in changes:
        side = images.shape[-1]
        parts = torch.stack([uniform(count, _SHIFT, generator) for _ in range(2)], dim=1)
        shift = 2 * torch.round(side * parts) / side  # from -1 to 1 the side is 2 long
    slant = images.new_zeros(count)
    if "warp" in changes:
        angle = angle + uniform(count, _WARP_RADIANS, generator)
        slant = uniform(count, _WARP_RADIANS, generator)
        centre, half_width = _WARP_SCALE
        scale = scale / (centre + uniform(count, half_width, generator))
        shifts = [uniform(count, 2 * _WARP_SHIFT, generator) for _ in range(2)]
        shift = shift + torch.stack(shifts, dim=1)
    cosine, sine = scale * torch.cos(angle), scale * torch.sin(angle)
    linear = torch.stack(
        [mirror * cosine, slant * cosine - sine, mirror * sine, slant * sine + cosine], dim=1
    )
    return torch.cat([linear.view(count, 2, 2), shift[:, :, None]], dim=2), mirror < 0


def _jitter(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    count, channels = images.shape[:2]
    gain = torch.exp(_GAIN_SIGMA * normal((count, channels, 1, 1), generator))
    offset = _OFFSET_SIGMA * normal((count, channels, 1, 1), generator)
    noise = _NOISE_SIGMA * normal(tuple(images.shape), generator)
    is_grey = uniform(count, 1, generator)[:, None, None, None] > 1 - 2 * _GREY_SHARE
    grey = images.mean(dim=1, keepdim=True).expand_as(images)
    return torch.where(is_grey, grey, images) * gain + offset + noise
