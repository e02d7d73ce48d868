"""From what a survey's input holds to what a network sees: crop, scale, add what else is known."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalogtool.preprocess.metadata import pack
from catalogtool.preprocess.stretch import BoolArray, FloatArray, prepare, stretched_channels
from catalogtool.surveys._recipe import Stretch

Pixel = TypeVar("Pixel", np.float32, np.bool_)


@dataclass(frozen=True)
class Preparation:
    """How the cutouts of a model are prepared.

    Attributes
    ----------
    size_pix : int
        Side of the central part that the network sees.
    stretch : str
        How pixels are scaled, `catalogtool.preprocess.stretch`.
    metadata : tuple of str
        Facts of the input that the network sees besides pixels.
    """

    size_pix: int
    stretch: Stretch
    metadata: tuple[str, ...] = ()

    def channels(self, bands: int) -> int:
        """Channels that the network sees of cutouts with some bands."""
        return stretched_channels(self.stretch, bands) + bool(self.metadata)

    def crop(self, pixels: npt.NDArray[Pixel]) -> npt.NDArray[Pixel]:
        """The central part of images or masks of shape (..., H, W), a view.

        Where the margins cannot be equal, the one above and to the left is the larger: a cutout
        of 63 pixels is cropped to 16 from pixel 24 on.
        """
        height, width = pixels.shape[-2:]
        up, left = ((side - self.size_pix + 1) // 2 for side in (height, width))
        return pixels[..., up : up + self.size_pix, left : left + self.size_pix]

    def apply(self, images: FloatArray, mask: BoolArray, facts: pa.Table | None) -> FloatArray:
        """Prepare cropped cutouts.

        Parameters
        ----------
        images : ndarray, shape (M, c, H, W), float32
            Cropped cutouts in survey units.
        mask : ndarray, shape (M, c, H, W), bool
            True excludes a pixel.
        facts : Table or None
            What the input says of each cutout, M rows; needed where there is metadata.

        Returns
        -------
        ndarray, shape (M, channels(c), H, W), float32
        """
        prepared = prepare(images, mask, self.stretch)
        if not self.metadata:
            return prepared
        return pack(prepared, metadata_values(facts, self.metadata, len(images)))


def metadata_values(facts: pa.Table | None, names: tuple[str, ...], count: int) -> FloatArray:
    """Some facts as numbers, shape (count, F), float32; NaN where the input does not know them."""
    values = np.full((count, len(names)), np.nan, dtype=np.float32)
    for index, name in enumerate(names):
        if facts is not None and name in facts.column_names:
            column = facts.column(name).cast(pa.float32())
            values[:, index] = column.to_numpy(zero_copy_only=False)  # null becomes NaN
    return values
