"""What satellites leave in an exposure: trails across the image, and trains of glints."""

from collections.abc import Callable

import numpy as np

from catalogtool.inputs._simulation.field import log_uniform
from catalogtool.inputs._simulation.light import POINTS_PER_FWHM, Light, Psf, join, points, segment
from catalogtool.surveys._simulated import CandidateKind

_SPACING_PIX = (6.5, 32.0)  # of glints; five in six are 8 to 30 pixels apart
_SPACING_JITTER = 0.02
_MOST_GLINTS = 7  # on either side of the one that is detected
_GLINT_SCATTER = 0.4  # of the natural logarithm of their brightness
_LONGEST_STREAK = 1.8  # of a glint, relative to the resolution
_STREAK_SHARE = 0.5

Maker = Callable[[float, Psf, int, np.random.Generator], Light]


def draw_trail(flux: float, psf: Psf, side: int, rng: np.random.Generator) -> Light:
    """Draw a satellite across the image: a steady trail, a close train of glints, or both."""
    fwhm = psf.fwhm_pix
    angle = rng.uniform(0, np.pi)
    length = 1.5 * side
    parts: list[Light] = []
    glints, steady = rng.random(2) < (0.6, 0.7)
    if steady or not glints:
        step = fwhm / POINTS_PER_FWHM
        parts.append(segment(flux * length / fwhm * rng.uniform(0.4, 1), length, angle, step))
    if glints:
        period = fwhm * rng.uniform(1.5, 5)
        along = np.arange(-length / 2, length / 2, period) + period * rng.random()
        bright = flux * np.exp(0.3 * rng.standard_normal(len(along)))
        parts.append(points(bright, along * np.cos(angle), along * np.sin(angle)))
    return join(*parts)


def draw_train(flux: float, psf: Psf, side: int, rng: np.random.Generator) -> Light:
    """Draw the glints of a satellite that tumbles, one of them on the central pixel.

    Parameters
    ----------
    flux : float
        Counts of the central glint; the others are about as bright.
    psf : Psf
        Of the exposure: a glint is a point, or a streak along the train that is not much longer.
    side : int
        Pixels of the image; glints beyond it are left out.
    rng : Generator

    Notes
    -----
    Flashes are as regular as the tumbling. A train may begin or end on the central pixel, and has
    at least two glints, though the second may be outside of the image.
    """
    angle = rng.uniform(0, np.pi)
    spacing = log_uniform(rng, *_SPACING_PIX)
    before, after = rng.integers(0, _MOST_GLINTS + 1, 2)
    number = np.arange(-before, max(after, 1 if before == 0 else 0) + 1)
    along = spacing * (number + _SPACING_JITTER * rng.standard_normal(len(number)))
    bright = flux * np.exp(_GLINT_SCATTER * rng.standard_normal(len(number)))
    along[number == 0], bright[number == 0] = 0.0, flux
    is_streak = rng.random() < _STREAK_SHARE
    length = psf.fwhm_pix * rng.uniform(0.5, _LONGEST_STREAK) * is_streak
    glint = segment(1.0, length, angle, psf.fwhm_pix / POINTS_PER_FWHM)
    seen = np.abs(along) < side
    return join(
        *(
            glint.scaled(one).moved(place * np.cos(angle), place * np.sin(angle))
            for place, one in zip(along[seen], bright[seen], strict=True)
        )
    )


SATELLITES: dict[CandidateKind, Maker] = {"satellite": draw_trail, "glints": draw_train}
"""Kinds of candidates that are satellites, and how their light in the science exposure is drawn."""
