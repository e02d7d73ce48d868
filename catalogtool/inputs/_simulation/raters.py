"""A panel of raters: what people would call a galaxy in one band, and how they vote.

Opinions follow from physical parameters, signal-to-noise and resolution in the band. Nothing is
drawn for them, so that millions of objects can be listed with their labels.
"""

import numpy as np
import numpy.typing as npt

from catalogtool.inputs._simulation.field import Floats
from catalogtool.inputs._simulation.galaxies import Galaxies, Kind
from catalogtool.inputs._simulation.noise import flux_at_depth, psf_area_arcsec2
from catalogtool.surveys._definition import Survey

VOTE_CLASSES = ("spheroid", "disk", "irregular", "point_source", "unclassifiable")

_AGREEMENT = 9.0  # concentration of opinions on one cutout around the mean opinion
_LAPSES = 0.02  # share of raters who find any cutout unclassifiable
_LOST_SNR = 1.1  # half of the raters give up at this signal-to-noise


def signal_to_noise(galaxies: Galaxies, fluxes: Floats, survey: Survey) -> Floats:
    """Signal-to-noise of objects within the area that their light covers.

    The area is that of the point-spread function plus pi (2 r)^2 q for half-light radius r and
    axis ratio q; an unresolved object at the survey's depth has 5.

    Returns
    -------
    ndarray, shape (N, C), float64
    """
    covered = np.pi * (2 * galaxies.radius_arcsec) ** 2 * galaxies.axis_ratio
    area = psf_area_arcsec2(survey)
    spread = np.sqrt(1 + covered[:, None] / area)
    ratio: Floats = 5 * fluxes.sum(axis=-1) / flux_at_depth(survey) / spread
    return ratio


def opinions(galaxies: Galaxies, fluxes: Floats, survey: Survey) -> Floats:
    """Mean opinion on every cutout.

    Bulge light looks smooth, disk light shows features where it is resolved, clumps look
    irregular, and so does anything ragged with noise. An object that is lost in the noise is
    unclassifiable.

    Parameters
    ----------
    galaxies : Galaxies
        N objects.
    fluxes : ndarray, shape (N, C, 3)
        Flux of bulge, disk and clumps.
    survey : Survey
        C bands.

    Returns
    -------
    ndarray, shape (N, C, 5), float64
        Probabilities in the order of `VOTE_CLASSES`.
    """
    bulge, disk, clumps = np.moveaxis(fluxes / fluxes.sum(axis=-1, keepdims=True), -1, 0)
    snr = signal_to_noise(galaxies, fluxes, survey)
    fwhm = np.array([band.psf_fwhm.to_value("arcsec") for band in survey.bands])
    resolution = 2 * galaxies.radius_arcsec[:, None] / fwhm
    detail = resolution**2 / (1 + resolution**2) * _logistic(1.5 * np.log(snr / 10))
    is_irregular = (galaxies.kind == Kind.IRREGULAR)[:, None]
    is_point = (galaxies.kind == Kind.POINT_SOURCE)[:, None]
    elongated = (1 - galaxies.axis_ratio)[:, None]
    ragged = _logistic(2.0 * np.log(15 / snr)) * (1 - is_point)
    scores = np.stack(
        [
            1.0 + 1.7 * bulge * (1 - is_point) - 1.0 * detail,
            -0.5
            + (2.0 * disk * ~is_irregular + 1.6 * clumps * ~is_irregular) * (0.4 + detail)
            + 1.2 * elongated,
            -0.9 + 3.6 * clumps * is_irregular * (0.3 + detail) + 1.3 * ragged + 1.0 * clumps,
            -2.0 + 4.6 * is_point + 2.0 * np.exp(-(resolution**2)) * ~is_point,
        ],
        axis=-1,
    )
    seen = np.exp(scores - scores.max(axis=-1, keepdims=True))
    seen /= seen.sum(axis=-1, keepdims=True)
    lost = _LAPSES + (1 - _LAPSES) * _logistic(2.2 * np.log(_LOST_SNR / snr))[..., None]
    return np.concatenate([(1 - lost) * seen, lost], axis=-1)


def draw_votes(
    mean_opinions: Floats, raters: int, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Let a panel vote: a multinomial draw around opinions that differ from cutout to cutout.

    Parameters
    ----------
    mean_opinions : ndarray, shape (..., K)
        Probabilities.
    raters : int
        Size of the panel.
    rng : Generator
        Source of the draws.

    Returns
    -------
    ndarray, shape (..., K), float32
        Fractions, multiples of ``1 / raters`` that sum to 1.
    """
    opinion = rng.gamma(_AGREEMENT * mean_opinions + 1e-3)
    opinion /= opinion.sum(axis=-1, keepdims=True)
    return (rng.multinomial(raters, opinion) / raters).astype(np.float32)


def _logistic(x: Floats) -> Floats:
    value: Floats = 0.5 * (1 + np.tanh(0.5 * x))
    return value
