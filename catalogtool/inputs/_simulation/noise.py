"""What a survey's depth and resolution mean for its pixels."""

import numpy as np

from catalogtool.inputs._simulation.field import Floats
from catalogtool.surveys._definition import Survey

MOFFAT_BETA = 3.0
"""Slope of the wings of every simulated point-spread function."""


def psf_area_arcsec2(survey: Survey) -> Floats:
    """Noise-equivalent area of a point source, 1 / integral of the squared profile.

    For a Moffat profile of scale a and slope b it is pi a^2 (2 b - 1) / (b - 1)^2, with
    a = FWHM / (2 sqrt(2^(1/b) - 1)).

    Returns
    -------
    ndarray, shape (C,), float64
    """
    fwhm = np.array([band.psf_fwhm.to_value("arcsec") for band in survey.bands])
    scale = fwhm / (2 * np.sqrt(2 ** (1 / MOFFAT_BETA) - 1))
    area: Floats = np.pi * scale**2 * (2 * MOFFAT_BETA - 1) / (MOFFAT_BETA - 1) ** 2
    return area


def flux_at_depth(survey: Survey) -> Floats:
    """Flux of a point source at five sigma, in data units, per band: shape (C,)."""
    depth = np.array([float((band.depth - band.zeropoint).value) for band in survey.bands])
    flux: Floats = 10 ** (-0.4 * depth)
    return flux


def sky_sigma(survey: Survey) -> Floats:
    """Noise of a native pixel that makes the survey as deep as it says.

    The best estimate of a point source's flux has the error sigma sqrt(A / p^2), where A is
    `psf_area_arcsec2` and p the pixel scale; the depth is five times that.

    Returns
    -------
    ndarray, shape (C,), float64
        Data units.
    """
    pixels = psf_area_arcsec2(survey) / survey.pixel_scale_arcsec**2
    sigma: Floats = flux_at_depth(survey) / (5 * np.sqrt(pixels))
    return sigma
