"""The candidates of simulated difference images: what they are, where, and how bright."""

from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from catalogtool.inputs._simulation.field import Floats, draw_positions, open_stream
from catalogtool.surveys._definition import Survey
from catalogtool.surveys._simulated import BogusKind, CandidateKind, DifferenceImaging, RealKind

BLOCK = 512
"""Candidates that are drawn together, always all of them: what a candidate is depends on its index
alone and never on its company."""

REAL_KINDS: tuple[RealKind, ...] = get_args(RealKind)
BOGUS_KINDS: tuple[BogusKind, ...] = get_args(BogusKind)

_SNR_SLOPE = 1.2  # candidates above a signal-to-noise fall with this power of it
_NOISE_PEAKS = 0.1  # peaks of the noise thin out that much faster
_SNR_RANGE = 60.0  # brightest candidates, relative to the limit


@dataclass(frozen=True)
class Candidates:
    """N candidates, one array per property.

    Attributes
    ----------
    kind : ndarray, shape (N,), str
        Values of `CandidateKind`.
    is_labelled : ndarray, shape (N,), bool
        Whether somebody looked at it.
    ra, dec : ndarray, shape (N,), float64
        ICRS degrees.
    snr : ndarray, shape (N,), float64
        Signal-to-noise in the difference that it is made for.
    """

    kind: npt.NDArray[np.str_]
    is_labelled: npt.NDArray[np.bool_]
    ra: Floats
    dec: Floats
    snr: Floats

    @property
    def is_real(self) -> npt.NDArray[np.bool_]:
        """Whether something in the sky changed or moved, shape (N,)."""
        return np.isin(self.kind, REAL_KINDS)


def is_real(kind: str) -> bool:
    """Whether candidates of this kind are something in the sky."""
    return kind in REAL_KINDS


def draw_candidates(survey: Survey, block: int) -> Candidates:
    """Draw the candidates ``block * BLOCK`` to ``(block + 1) * BLOCK - 1``.

    Notes
    -----
    Of every block, as exactly as whole numbers allow, `labelled_share` has labels and half of
    those are real; of the rest, `real_share` is. Candidates above a signal-to-noise s fall
    as s^-1.2.
    """
    settings = survey.difference_imaging
    assert settings is not None
    rng = open_stream(survey.name, settings.seed, "candidates", block)
    labelled = round(BLOCK * settings.labelled_share)
    real_labelled = labelled // 2
    real_others = round((BLOCK - labelled) * settings.real_share)
    place = rng.permutation(BLOCK)
    is_labelled = place < labelled
    real = np.where(is_labelled, place < real_labelled, place - labelled < real_others)
    kind = np.where(
        real, draw_kinds(settings, REAL_KINDS, rng), draw_kinds(settings, BOGUS_KINDS, rng)
    )
    ra, dec = draw_positions(settings, BLOCK, rng)
    snr = draw_snr(settings, kind, rng)
    return Candidates(kind=kind, is_labelled=is_labelled, ra=ra, dec=dec, snr=snr)


def draw_snr(
    settings: DifferenceImaging, kind: npt.NDArray[np.str_], rng: np.random.Generator
) -> Floats:
    """Draw the signal-to-noise of a block's candidates, of some kinds: shape (BLOCK,)."""
    brighter = (1 - rng.random(BLOCK)) ** (-1 / _SNR_SLOPE)
    brighter = np.where(kind == "noise_peak", brighter**_NOISE_PEAKS, brighter)
    snr: Floats = settings.snr_limit * np.minimum(brighter, _SNR_RANGE)
    return snr


def draw_kinds(
    settings: DifferenceImaging, kinds: tuple[CandidateKind, ...], rng: np.random.Generator
) -> npt.NDArray[np.str_]:
    """Draw a block of some kinds as often as the survey's shares say: shape (BLOCK,)."""
    shares = np.array([settings.shares.get(kind, 0.0) for kind in kinds])
    return rng.choice(np.array(kinds), BLOCK, p=shares / shares.sum())
