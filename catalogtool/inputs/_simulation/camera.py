"""What a survey does to light between the sky and a difference image."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from catalogtool.inputs._simulation.light import Light, Psf, render
from catalogtool.inputs._simulation.noise import flux_at_depth, sky_sigma
from catalogtool.surveys._definition import Survey
from catalogtool.surveys._simulated import DifferenceImaging

BANDS = ("science", "template", "difference")
"""Channels of a cutout, and names of the survey's bands."""

SCIENCE, TEMPLATE, DIFFERENCE = range(3)

_POISSON = 4 / 3
"""A point source of flux F adds F times this over the gain to the variance of its own fitted flux:
sum(P^3) / sum(P^2)^2 for a Gaussian profile P."""


@dataclass(frozen=True)
class Camera:
    """Numbers that follow from a survey; counts are those of a science exposure.

    Attributes
    ----------
    settings : DifferenceImaging
    pixel_scale_arcsec, zeropoint_mag_ab : float
    fwhm_pix, depth_mag_ab, sky_counts : (float, float)
        Of science and template; the sky is what a pixel gets of it.
    exposures : (float, float)
        How many science exposures science and template are worth, in photons.
    flux_error_counts : float
        Of a faint point source in the difference.
    """

    settings: DifferenceImaging
    pixel_scale_arcsec: float
    zeropoint_mag_ab: float
    fwhm_pix: tuple[float, float]
    depth_mag_ab: tuple[float, float]
    sky_counts: float
    exposures: tuple[float, float]
    flux_error_counts: float

    @classmethod
    def of(cls, survey: Survey) -> Self:
        """Work out the numbers.

        Notes
        -----
        The noise of science and template follows from their depths; what the readout does not
        explain is the sky's. The template is as deep as the mean of several science exposures,
        and that many electrons make up one of its own.
        """
        settings = survey.difference_imaging
        assert settings is not None
        science, template = survey.bands[SCIENCE], survey.bands[TEMPLATE]
        sigma = sky_sigma(survey)
        gain = settings.gain_electrons_per_count
        readout = settings.read_noise_electrons / gain
        sky = (sigma[SCIENCE] ** 2 - readout**2) * gain
        return cls(
            settings=settings,
            pixel_scale_arcsec=survey.pixel_scale_arcsec,
            zeropoint_mag_ab=float(science.zeropoint.value),
            fwhm_pix=(
                float((science.psf_fwhm / survey.pixel_scale).to_value("")),
                float((template.psf_fwhm / survey.pixel_scale).to_value("")),
            ),
            depth_mag_ab=(float(science.depth.value), float(template.depth.value)),
            sky_counts=float(max(sky, 0.0)),
            exposures=(1.0, float((sigma[SCIENCE] / sigma[TEMPLATE]) ** 2)),
            flux_error_counts=float(np.hypot(*flux_at_depth(survey)[:2]) / 5),
        )

    def flux_counts(self, mag_ab: float) -> float:
        """Counts of a magnitude."""
        return float(10 ** (-0.4 * (mag_ab - self.zeropoint_mag_ab)))

    def unsaturated_flux(self, psf: Psf) -> float:
        """Counts of the brightest star that does not saturate."""
        peak = float(render(_UNIT_STAR, psf, 1)[0, 0])
        return max(self.settings.saturation_counts - self.sky_counts, 0.0) / peak

    def variance(self, counts: np.ndarray, exposures: float) -> np.ndarray:
        """Variance of pixels that expect some counts, sky included."""
        gain = self.settings.gain_electrons_per_count
        electrons = np.maximum(counts, 0.0) * gain + self.settings.read_noise_electrons**2
        variance: np.ndarray = electrons / (gain**2 * exposures)
        return variance

    def flux_of_snr(self, snr: float, behind: float, own: float) -> float:
        """Flux of a point source in the difference that has a signal-to-noise.

        Parameters
        ----------
        snr : float
        behind : float
            Variance at the source relative to that of the empty sky.
        own : float
            Light that comes with the source, relative to its flux: 1 for a source by itself, more
            for one that stands on a star of its own.
        """
        gain = self.settings.gain_electrons_per_count
        half = snr**2 * _POISSON * own / gain / 2
        return float(half + np.hypot(half, snr * self.flux_error_counts * np.sqrt(behind)))


_UNIT_STAR = Light(np.ones(1), np.zeros(1), np.zeros(1), np.zeros((1, 3)))
