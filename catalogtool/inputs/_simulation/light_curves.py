"""What was seen of a simulated alert's object before: detections and upper limits of 30 days."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalogtool.inputs._simulation.camera import Camera
from catalogtool.inputs._simulation.field import Floats, log_uniform

HISTORY_DAYS = 30.0

_VISITS_PER_NIGHT = 0.32  # of one band
_HOURS = 0.15  # days: scatter of the time of night
_DEPTH_SCATTER = 0.25  # of the natural logarithm of the noise
_RISE_DAYS, _FADE_DAYS, _OLDEST_DAYS = 16.0, 35.0, 70.0  # of supernovae
_PERIODS_DAYS = (0.2, 60.0)
_DAMPING_DAYS, _DAMPED_SCATTER = 100.0, 0.6  # of active nuclei, relative to the flux now
_RECURRING = ("dipole", "saturated", "ghost", "bad_pixel")
_RECURRING_SHARE = 0.3


@dataclass(frozen=True)
class History:
    """Earlier exposures of a place in the sky, in order of time; one array of shape (N,) each.

    Attributes
    ----------
    days : ndarray, float64
        Before the alert; negative.
    fid : ndarray, int64
        Filter: 1 is g, 2 is r.
    flux_counts, flux_error_counts : ndarray, float64
        In the difference; measured everywhere, but of interest only where it is detected.
    is_detected : ndarray, bool
        Where there was an alert.
    """

    days: Floats
    fid: npt.NDArray[np.int64]
    flux_counts: Floats
    flux_error_counts: Floats
    is_detected: npt.NDArray[np.bool_]


def draw_history(
    camera: Camera, kind: str, flux_counts: float, rng: np.random.Generator
) -> History:
    """Draw the earlier exposures.

    Parameters
    ----------
    camera : Camera
        Says what is detected in a typical exposure.
    kind : str
        Value of `CandidateKind`.
    flux_counts : float
        Of the alert; history leads to it.
    rng : Generator
    """
    nights = np.arange(-HISTORY_DAYS + 1, 0)
    visited = rng.random((2, len(nights))) < _VISITS_PER_NIGHT
    days = (nights + _HOURS * rng.standard_normal(visited.shape))[visited]
    fid = np.repeat([1, 2], visited.sum(axis=1))
    order = np.argsort(days)
    days, fid = np.clip(days[order], -HISTORY_DAYS, -1e-3), fid[order]
    error = camera.flux_error_counts * np.exp(_DEPTH_SCATTER * rng.standard_normal(len(days)))
    flux = flux_counts * _relative_flux(kind, days, rng) + error * rng.standard_normal(len(days))
    return History(days, fid, flux, error, np.abs(flux) >= camera.settings.snr_limit * error)


def _relative_flux(kind: str, days: Floats, rng: np.random.Generator) -> Floats:
    """Flux at some times relative to that at time 0."""
    if kind in ("transient", "hostless"):
        age = rng.uniform(1.0, _OLDEST_DAYS)
        return _supernova(age + days) / float(_supernova(np.array([age]))[0])
    if kind == "variable_star":
        period = log_uniform(rng, *_PERIODS_DAYS)
        phase = rng.uniform(0.25 * np.pi, 0.75 * np.pi)
        wave: Floats = np.sin(2 * np.pi * days / period + phase) / np.sin(phase)
        return wave
    if kind == "nuclear":
        return _damped(days, rng)
    if kind in _RECURRING and rng.random() < _RECURRING_SHARE:
        return rng.normal(0, 1, len(days))
    return np.zeros(len(days))


def _supernova(age_days: Floats) -> Floats:
    """A fireball until the peak, then an exponential decline; 0 before the explosion."""
    since_peak = age_days - _RISE_DAYS
    rising = np.clip(age_days / _RISE_DAYS, 0, 1) ** 2
    return rising * np.exp(-np.clip(since_peak, 0, None) / _FADE_DAYS)


def _damped(days: Floats, rng: np.random.Generator) -> Floats:
    """A damped random walk backwards in time from 1."""
    relative = np.empty(len(days))
    excess, later = 0.0, 0.0
    for place in range(len(days) - 1, -1, -1):
        memory = np.exp(-(later - days[place]) / _DAMPING_DAYS)
        scatter = _DAMPED_SCATTER * np.sqrt(1 - memory**2)
        excess = memory * excess + scatter * rng.standard_normal()
        relative[place], later = 1 + excess, days[place]
    return relative
