"""Scale pixels for a network: each cutout by itself, so that its company never matters."""

import numpy as np
import numpy.typing as npt

from catalogtool.surveys._recipe import Stretch

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

_EIGHT_BIT_MAX = 255.0
_UNIT_OFFSET = 0.5
_UNIT_SCALE = 4.0  # images of galaxies have a scatter of about a quarter of the full range
_MAD_TO_SIGMA = 1.4826  # of a normal distribution
_HIGH_PERCENT = 99
_TINY = 1e-8
_CLIP = 2
_ASINH_KNEE_SIGMA = 3.0  # linear below three times the noise, logarithmic above


def prepare(images: FloatArray, mask: BoolArray, stretch: Stretch) -> FloatArray:
    """Scale cutouts to the range that networks are trained on.

    Parameters
    ----------
    images : ndarray, shape (M, c, H, W), float32
        Cutouts in survey units.
    mask : ndarray, shape (M, c, H, W), bool
        True excludes a pixel from the statistics; so do NaN and infinity.
    stretch : {"minmax", "band_minmax", "channel_minmax", "percentile", "asinh", "band_asinh", ...}
        ``minmax``: linear, valid pixels of a cutout to [0, 1]. ``band_minmax``: the same for
        every channel by itself. ``asinh``: like ``minmax`` after
        ``asinh((x - median) / (3 sigma))`` with sigma from the median absolute deviation.
        ``band_asinh``: that for every channel by itself, not scaled to a range, so that it says how
        far a pixel is above the noise; 0 in excluded pixels.
        ``unit``: ``(x / 255 - 0.5) * 4``, without any statistics. Two are those of stamp
        classifiers: ``channel_minmax`` (Carrasco-Davis et al. 2021) is ``band_minmax`` with 0 in
        excluded pixels. ``percentile`` (Reyes-Jainaga et al. 2023): every channel by itself is
        ``clip((x - low) / (high - low + 1e-8), -2, 2)`` with the smallest and the 99th percentile
        of ``|x|``, 0 in excluded pixels; as many channels follow, 1 where a pixel is valid.

    Returns
    -------
    ndarray, shape (M, stretched_channels(stretch, c), H, W), float32
        Where nothing else is said, excluded pixels hold the median of the valid ones, in every
        channel by itself; a channel without valid pixels holds 0, and so does a cutout of one
        constant value under ``minmax``, and a channel of one under ``band_minmax``.
    """
    count, channels, height, width = images.shape
    shape = (count, stretched_channels(stretch, channels), height, width)
    prepared = np.zeros(shape, dtype=np.float32)
    valid = np.isfinite(images) & ~mask
    for index in range(count):
        prepared[index] = _prepare_one(images[index], valid[index], stretch)
    return prepared


def stretched_channels(stretch: Stretch, bands: int) -> int:
    """Channels that a stretch makes of some bands."""
    return 2 * bands if stretch == "percentile" else bands


def _prepare_one(image: FloatArray, valid: BoolArray, stretch: Stretch) -> FloatArray:
    if stretch == "percentile":
        scaled = np.stack([_percentile(*band) for band in zip(image, valid, strict=True)])
        return np.concatenate([scaled, valid])
    if not valid.any():
        return np.zeros_like(image)
    if stretch == "channel_minmax":
        scaled = np.stack([_band_to_unit_range(*band) for band in zip(image, valid, strict=True)])
        return np.where(valid, scaled, np.float32(0))
    if stretch == "band_asinh":
        scaled = np.stack([_band_asinh(*band) for band in zip(image, valid, strict=True)])
        return np.where(valid, scaled, np.float32(0))
    if stretch == "unit":
        scaled = (image / np.float32(_EIGHT_BIT_MAX) - np.float32(_UNIT_OFFSET)) * np.float32(
            _UNIT_SCALE
        )
    elif stretch == "asinh":
        scaled = _to_unit_range(_asinh(image, valid), valid)
    elif stretch == "band_minmax":
        scaled = np.stack([_band_to_unit_range(*band) for band in zip(image, valid, strict=True)])
    else:
        scaled = _to_unit_range(image, valid)
    return _fill(scaled, valid)


def _to_unit_range(image: FloatArray, valid: BoolArray) -> FloatArray:
    values = image if valid.all() else image[valid]  # the copy costs more than the rest
    low, high = values.min(), values.max()
    # Half the range cannot overflow where the range itself would.
    half_range = high / 2 - low / 2
    if half_range == 0:
        return np.zeros_like(image)
    scaled: FloatArray = (image / 2 - low / 2) / half_range
    return scaled


def _band_to_unit_range(band: FloatArray, valid: BoolArray) -> FloatArray:
    return _to_unit_range(band, valid) if valid.any() else np.zeros_like(band)


def _band_asinh(band: FloatArray, valid: BoolArray) -> FloatArray:
    return _asinh(band, valid) if valid.any() else np.zeros_like(band)


def _percentile(band: FloatArray, valid: BoolArray) -> FloatArray:
    if not valid.any():
        return np.zeros_like(band)
    sizes = np.abs(band[valid])
    low, high = sizes.min(), np.percentile(sizes, _HIGH_PERCENT)
    scaled = (np.where(valid, band, low) - low) / np.float32(high - low + _TINY)
    return np.where(valid, np.clip(scaled, -_CLIP, _CLIP), 0).astype(np.float32)


def _asinh(image: FloatArray, valid: BoolArray) -> FloatArray:
    values = image[valid]
    centre = np.median(values)
    sigma = _MAD_TO_SIGMA * np.median(np.abs(values - centre))
    if sigma == 0:  # more than half of the pixels are equal: a clean simulation, or padding
        sigma = values.std() or 1.0
    knee = np.float32(_ASINH_KNEE_SIGMA * sigma)
    stretched: FloatArray = np.arcsinh((image - np.float32(centre)) / knee)
    return stretched


def _fill(image: FloatArray, valid: BoolArray) -> FloatArray:
    if valid.all():
        return image
    filled = image.copy()
    for channel, kept in zip(filled, valid, strict=True):
        channel[~kept] = np.median(channel[kept]) if kept.any() else 0
    return filled
