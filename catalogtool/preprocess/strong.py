"""Strong random changes: what another survey might have made of the same object.

For methods that compare a weakly and a strongly changed view of a cutout. Everything here leaves
the handedness of a galaxy alone, so that both views have the same class in every label scheme.
Noise and background are in units of the cutout's own standard deviation, whatever the stretch.
"""

import math

import torch

from catalogtool._discovery import check_name
from catalogtool.preprocess._draws import normal, resample, uniform

STRONG_CHANGES = ("background", "blur", "cutout", "gain", "noise", "rotate", "shift")

BLUR_SIGMA_PIX = (0.5, 1.5)
"""Smallest and largest standard deviation of the Gaussian, uniform."""
NOISE_MAX = 0.3
"""Largest standard deviation of the noise, uniform from 0, in units of the cutout's own."""
BACKGROUND_SIGMA = 0.3
"""Standard deviation of the offset of each band, in units of the cutout's own."""
GAIN_SIGMA = 0.3
"""Standard deviation of the logarithm of each band's gain."""
CUTOUT_SHARE = (0.2, 0.4)
"""Smallest and largest side of the square that is covered, in units of the cutout's side."""
SHIFT_SHARE = 0.1
"""Largest shift along each axis, in units of the cutout's side."""


def strengthen(
    images: torch.Tensor, changes: tuple[str, ...], generator: torch.Generator
) -> torch.Tensor:
    """Change cutouts strongly at random, each by itself.

    The order is that of nature, whatever the order of the names: the sky is turned and shifted
    (one resampling), blurred by the atmosphere, amplified, laid over a background, and measured
    with noise; at last a square is covered.

    Parameters
    ----------
    images : Tensor, shape (B, C, H, W), float32
        Prepared cutouts.
    changes : tuple of str
        ``rotate`` by any angle; ``shift`` by up to 10 % of the side; ``blur`` with a Gaussian of
        0.5 to 1.5 pixels, the same in all bands; ``gain`` of each band, log-normal with 0.3;
        ``background``: offset of each band; ``noise``, independent in every pixel; ``cutout``: a
        square of 20 to 40 % of the side holds the median of the cutout's border, in every band.
    generator : Generator
        On the device of the images; the same state gives the same result.

    Returns
    -------
    Tensor, shape (B, C, H, W), float32
        Pixels from beyond the border are mirrored. A cutout of one constant value gets no noise
        and no background.

    Raises
    ------
    UnknownNameError
        If a change has another name.
    """
    for change in changes:
        check_name(change, STRONG_CHANGES, "strong augmentations")
    if {"rotate", "shift"} & set(changes):
        images = resample(images, _affine(images, changes, generator))
    for name, change_images in _PIXEL_CHANGES.items():
        if name in changes:
            images = change_images(images, generator)
    return images


def _affine(
    images: torch.Tensor, changes: tuple[str, ...], generator: torch.Generator
) -> torch.Tensor:
    """Matrices from output to input coordinates, shape (B, 2, 3)."""
    count = len(images)
    angle, shift = images.new_zeros(count), images.new_zeros(count, 2)
    if "rotate" in changes:
        angle = uniform(count, math.pi, generator)
    if "shift" in changes:  # from -1 to 1 the side is 2 long
        shift = 2 * torch.stack([uniform(count, SHIFT_SHARE, generator) for _ in range(2)], dim=1)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    linear = torch.stack([cosine, -sine, sine, cosine], dim=1)
    return torch.cat([linear.view(count, 2, 2), shift[:, :, None]], dim=2)


def _blur(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    sigmas = _between(*BLUR_SIGMA_PIX, len(images), generator)
    rows, columns = (_spread(sigmas, side) for side in images.shape[-2:])
    return torch.einsum("bij,bcjk,blk->bcil", rows, images, columns)


def _spread(sigmas: torch.Tensor, side: int) -> torch.Tensor:
    """Matrices (B, side, side) that spread each pixel along a line; what leaves is mirrored.

    Mirrored at both borders, neither the flux of a cutout nor a constant background changes.
    """
    pixel = torch.arange(side, device=sigmas.device)
    to, of = pixel[:, None], pixel[None, :]
    distances = torch.stack([to - of, to + of + 1, 2 * side - 1 - to - of])  # (3, side, side)
    weights = torch.exp(-((distances / sigmas[:, None, None, None]) ** 2) / 2).sum(dim=1)
    return weights / weights.sum(dim=2, keepdim=True)


def _amplify(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return images * torch.exp(GAIN_SIGMA * normal((*images.shape[:2], 1, 1), generator))


def _raise(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    offset = normal((*images.shape[:2], 1, 1), generator)
    return images + BACKGROUND_SIGMA * _scatter(images) * offset


def _add_noise(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    sigma = _between(0, NOISE_MAX, len(images), generator)[:, None, None, None]
    return images + sigma * _scatter(images) * normal(tuple(images.shape), generator)


def _cover(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    size = torch.tensor(images.shape[-2:], device=images.device)
    share = _between(*CUTOUT_SHARE, len(images), generator)
    width = torch.round(share * size.min())[:, None]  # (B, 1)
    corner = torch.stack([_between(0, 1, len(images), generator) for _ in range(2)], dim=1)
    first = torch.round(corner * (size - width))  # (B, 2): the square is inside the cutout
    inside = []
    for axis, side in enumerate(images.shape[-2:]):
        pixel = torch.arange(side, device=images.device)
        inside.append((pixel >= first[:, axis, None]) & (pixel < first[:, axis, None] + width))
    is_covered = inside[0][:, None, :, None] & inside[1][:, None, None, :]  # (B, 1, H, W)
    return torch.where(is_covered, _border_level(images), images)


def _border_level(images: torch.Tensor) -> torch.Tensor:
    """Median of the outermost pixels of every band, shape (B, C, 1, 1)."""
    edges = (images[..., 0, :], images[..., -1, :], images[..., :, 0], images[..., :, -1])
    return torch.cat(edges, dim=-1).median(dim=-1).values[..., None, None]


def _scatter(images: torch.Tensor) -> torch.Tensor:
    """Standard deviation of every cutout over bands and pixels, shape (B, 1, 1, 1)."""
    return images.std(dim=(1, 2, 3), correction=0, keepdim=True)


def _between(low: float, high: float, count: int, generator: torch.Generator) -> torch.Tensor:
    """Numbers between low and high, shape (count,)."""
    return (low + high) / 2 + uniform(count, (high - low) / 2, generator)


_PIXEL_CHANGES = {
    "blur": _blur,
    "gain": _amplify,
    "background": _raise,
    "noise": _add_noise,
    "cutout": _cover,
}
