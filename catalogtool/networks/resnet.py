"""Residual networks of any width and depth, for cutouts of any size.

References
----------
He et al. 2016, CVPR (arXiv:1512.03385).
"""

from typing import Annotated, Literal, Self

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import nn
from torch.nn import functional

from catalogtool.networks._base import Network as BaseNetwork
from catalogtool.networks._heads import HeadOptions, build_head


class Options(HeadOptions):
    """Options of a residual network.

    The defaults make a ResNet-10 for small cutouts; ResNet-18 is
    ``widths = [64, 128, 256, 512], blocks = [2, 2, 2, 2], stem = "large"``.
    """

    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (16, 32, 64, 128)
    """Channels of the stages; each stage after the first halves the image."""
    blocks: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (1, 1, 1, 1)
    """Residual blocks of the stages."""
    stem: Literal["small", "strided", "large"] = "small"
    """``small``: 3 x 3 at full size; ``strided``: every other pixel of it, an image of half the
    size, at a quarter of the cost; ``large``: 7 x 7 and pooling, an image of a quarter."""

    @model_validator(mode="after")
    def _as_many_blocks_as_widths(self) -> Self:
        if len(self.blocks) != len(self.widths):
            raise ValueError(f"blocks needs {len(self.widths)} numbers, one per width")
        return self


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions around a shortcut.

    Parameters
    ----------
    channels, width : int
        Channels that come in and go out.
    stride : int
        2 halves the image.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.stride = stride
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Feature maps of shape (B, width, H / stride, W / stride)."""
        # A strided 1 x 1 convolution would be the same, but in oneDNN the gradient of one with
        # fewer than 16 channels writes past its memory.
        every = maps[:, :, :: self.stride, :: self.stride]
        return functional.relu(self.body(maps) + self.shortcut(every))


class Network(BaseNetwork):
    """A residual network.

    Parameters
    ----------
    options : Options
        Widths, depths and head.
    channels, classes : int
        Bands seen at once and classes.
    size_pix : int
        Side of the cutouts; any size fits.
    """

    def __init__(self, options: Options, channels: int, classes: int, size_pix: int) -> None:  # noqa: ARG002 - the common signature
        super().__init__()
        self.stem = _stem(channels, options)
        stages: list[nn.Module] = []
        width_before = options.widths[0]
        for stage, (width, blocks) in enumerate(zip(options.widths, options.blocks, strict=True)):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                stages.append(ResidualBlock(width_before, width, stride))
                width_before = width
        self.stages = nn.Sequential(*stages)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = build_head(options, width_before, classes)
        self.apply(_initialise)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Embed cutouts of shape (B, C, H, W) as vectors of shape (B, last width)."""
        maps = self.stages(self.stem(images))
        embedded: torch.Tensor = self.pool(maps)
        return embedded

    def classify(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of shape (B, K)."""
        logits: torch.Tensor = self.head(features)
        return logits


def _stem(channels: int, options: Options) -> nn.Sequential:
    width = options.widths[0]
    size = 7 if options.stem == "large" else 3
    stride = 1 if options.stem == "small" else 2
    return nn.Sequential(
        nn.Conv2d(channels, width, size, stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        *([nn.MaxPool2d(3, stride=2, padding=1)] if options.stem == "large" else []),
    )


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
