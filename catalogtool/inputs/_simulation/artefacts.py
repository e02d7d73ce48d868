"""What detectors and optics add to an image that is no light from the sky."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from catalogtool.inputs._base import FloatArray
from catalogtool.inputs._simulation.light import Psf, render, star
from catalogtool.surveys._simulated import CandidateKind

Bools = npt.NDArray[np.bool_]

_STEPS_PER_PIXEL = 4  # of a cosmic ray's track
_GLOW_PIX = 1.5  # how far a detector's edge glows
_BLED_SHARE = 0.5  # of the charge above saturation that runs along the column


class Shape(NamedTuple):
    """What an artefact is drawn into.

    Attributes
    ----------
    flux : float
        Counts of a point source that is as significant as the artefact.
    psf : Psf
        Of a point source.
    side : int
        Pixels along each axis.
    """

    flux: float
    psf: Psf
    side: int


Maker = Callable[[Shape, np.random.Generator], FloatArray]


def draw_artefact(kind: CandidateKind, shape: Shape, rng: np.random.Generator) -> FloatArray:
    """Draw the counts that an artefact adds to the science exposure, near its centre.

    Returns
    -------
    ndarray, shape (side, side), float32
        All 0 for kinds that are no artefact of pixels.
    """
    if kind not in _MAKERS:
        return np.zeros((shape.side, shape.side), dtype=np.float32)
    return _MAKERS[kind](shape, rng).astype(np.float32)


def _cosmic_ray(shape: Shape, rng: np.random.Generator) -> FloatArray:
    """A track as sharp as the pixels."""
    length = np.exp(rng.uniform(0, np.log(12)))
    steps = int(length * _STEPS_PER_PIXEL) + 1
    angle = rng.uniform(0, 2 * np.pi) + np.cumsum(0.05 * rng.standard_normal(steps))
    start = rng.uniform(-1, 1, 2)
    track = start[:, None] + np.cumsum([np.cos(angle), np.sin(angle)], axis=1) / _STEPS_PER_PIXEL
    charge = rng.gamma(2.0, 0.5, steps) * shape.flux * rng.uniform(0.4, 1.2) / 2
    charge *= np.sqrt(length) / steps
    return _drop(track - track.mean(axis=1, keepdims=True) / 2, charge, shape.side)


def _bad_pixel(shape: Shape, rng: np.random.Generator) -> FloatArray:
    """One to three pixels, or a column, or the end of one; too bright or dead."""
    image = np.zeros((shape.side, shape.side), dtype=np.float32)
    centre = shape.side // 2
    sign = 1 if rng.random() < 0.75 else -1
    if rng.random() < 0.5:
        for _ in range(rng.integers(1, 4)):
            up, right = centre + rng.integers(-1, 2, 2)
            image[up, right] += sign * shape.flux / 2 * rng.uniform(0.3, 1.0)
        return image
    first = 0 if rng.random() < 0.5 else centre - rng.integers(0, 4)
    width = rng.integers(1, 3)
    image[first:, centre : centre + width] = sign * shape.flux / (2 * shape.psf.fwhm_pix)
    return image


def _ghost(shape: Shape, rng: np.random.Generator) -> FloatArray:
    """Edge of a wide disk or ring of light that was reflected out of focus."""
    radius = np.exp(rng.uniform(np.log(12), np.log(150)))
    angle = rng.uniform(0, 2 * np.pi)
    right, up = _grid(shape.side)
    distance = np.hypot(right - radius * np.cos(angle), up - radius * np.sin(angle))
    softness = rng.uniform(0.4, 1.5)
    light = _step(radius - distance, softness)
    if rng.random() < 0.5:
        inner = radius * rng.uniform(0.4, 0.9)
        light = light * _step(distance - inner, softness)
    # An edge through a point source's place has half of its area in the light.
    brightness = shape.flux / _area(shape.psf) * rng.uniform(0.7, 1.5)
    return (light * brightness).astype(np.float32)


def _edge(shape: Shape, rng: np.random.Generator) -> FloatArray:
    """Glow along the edge of the detector; to the left of the centre there is nothing."""
    del rng
    right, _ = _grid(shape.side)
    glow = np.exp(-np.clip(right, 0, None) / _GLOW_PIX)  # (1, side)
    return np.repeat(glow * shape.flux / (3 * shape.psf.fwhm_pix), shape.side, axis=0)


def _noise_peak(shape: Shape, rng: np.random.Generator) -> FloatArray:
    """A high peak of the noise: narrower than any point source.

    Gaussian noise whose filtered value is known to be high is noise plus the filter.
    """
    width = rng.uniform(0.25, 0.6)
    right, up = rng.uniform(-0.5, 0.5, 2)
    flux = shape.flux * rng.choice((1, 1, -1)) * (1 + width**2) / 2  # filtered, twice as high
    return render(star(flux, right, up), shape.psf.widened(width), shape.side)


_MAKERS: dict[CandidateKind, Maker] = {
    "cosmic_ray": _cosmic_ray,
    "bad_pixel": _bad_pixel,
    "ghost": _ghost,
    "edge": _edge,
    "noise_peak": _noise_peak,
}


def beyond_edge(side: int, distance_pix: float) -> Bools:
    """Pixels to the left of a detector's edge at some distance from the centre: (side, side)."""
    right, _ = _grid(side)
    return np.repeat(right < -distance_pix, side, axis=0)


def bleed(image: FloatArray, saturation: float) -> FloatArray:
    """Cut pixels off at saturation; part of what is above runs up and down the columns.

    Parameters
    ----------
    image : ndarray, shape (n, n), float32
        Counts.
    saturation : float
        Most counts that a pixel holds.
    """
    full = np.minimum(image, np.float32(saturation))
    excess = (image - full).sum(axis=0) * _BLED_SHARE
    for column in np.flatnonzero(excess):
        top = int(image[:, column].argmax())
        for way in (np.s_[top:, column], np.s_[top::-1, column]):
            room = saturation - full[way]
            full[way] += np.clip(excess[column] / 2 - (np.cumsum(room) - room), 0, room)
    return full


def _drop(
    places: npt.NDArray[np.float64], charge: npt.NDArray[np.float64], side: int
) -> FloatArray:
    """Drop charge into the pixels that it falls on; what misses the image is lost."""
    right, up = np.rint(places).astype(np.int64) + side // 2
    inside = (right >= 0) & (right < side) & (up >= 0) & (up < side)
    image = np.zeros((side, side), dtype=np.float32)
    np.add.at(image, (up[inside], right[inside]), charge[inside])
    return image


def _grid(side: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Pixels to the right of and above the centre: shapes (1, side) and (side, 1)."""
    along = np.arange(side, dtype=np.float64) - side // 2
    return along[None, :], along[:, None]


def _step(distance: npt.NDArray[np.float64], softness: float) -> npt.NDArray[np.float64]:
    step: npt.NDArray[np.float64] = 0.5 * (1 + np.tanh(distance / softness))
    return step


def _area(psf: Psf) -> float:
    """Noise-equivalent area of a point source, 1 / sum(P^2), for a Gaussian one: square pixels."""
    return 2.266 * psf.fwhm_pix**2
