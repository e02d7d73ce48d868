"""What random changes of cutouts are made of."""

import torch
from torch.nn import functional


def uniform(count: int, limit: float, generator: torch.Generator) -> torch.Tensor:
    """Numbers between -limit and limit, shape (count,)."""
    unit = torch.rand(count, generator=generator, device=generator.device)
    return (2 * unit - 1) * limit


def normal(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Numbers of mean 0 and standard deviation 1."""
    return torch.randn(shape, generator=generator, device=generator.device)


def resample(images: torch.Tensor, affine: torch.Tensor) -> torch.Tensor:
    """Cutouts (B, C, H, W) seen through matrices (B, 2, 3) from output to input coordinates.

    Interpolation is bilinear; pixels from beyond the border are mirrored.
    """
    grid = functional.affine_grid(affine, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
