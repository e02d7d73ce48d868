"""Simulated difference imaging: a candidate's science, template and difference cutouts.

Two exposures of a scene are taken, the sharper one is smeared to match the wider one, and the
template is subtracted, a little shifted, too wide and too bright. What the pixels got besides light
through the atmosphere (noise, artefacts, saturation) takes the same way. Everything but the noise
is in closed form, so that images of any size are made at the speed of their pixels.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from catalogtool.inputs._base import FloatArray
from catalogtool.inputs._simulation.artefacts import Shape, beyond_edge, bleed, draw_artefact
from catalogtool.inputs._simulation.camera import DIFFERENCE, SCIENCE, TEMPLATE, Camera
from catalogtool.inputs._simulation.candidates import is_real
from catalogtool.inputs._simulation.light import (
    FWHM_TO_SIGMA,
    Psf,
    gaussian_kernel,
    render,
    smooth,
    star,
)
from catalogtool.inputs._simulation.neighbours import Source
from catalogtool.inputs._simulation.scenes import Conditions, Scene, draw_scene
from catalogtool.surveys._simulated import CandidateKind

Bools = npt.NDArray[np.bool_]

_MARGIN_PIX = 5  # around a cutout while it is made
_POINT_WANDERS_PIX = 1  # how far from a source its detection may be
_ATTEMPTS = 4
_BRIGHTER = 1.6  # from one attempt to the next
_EDGE_SHARE = 0.03  # of all candidates that have a detector's edge in their cutout
_KERNEL_STEP = 0.02  # widths of kernels are rounded to this many pixels


@dataclass(frozen=True)
class Difference:
    """One detected candidate.

    Attributes
    ----------
    images : ndarray, shape (3, side, side), float32
        Science, template and difference, counts; the first two with their sky. 0 where masked.
    mask : ndarray, shape (3, side, side), bool
        True excludes a pixel.
    flux_counts, flux_error_counts : float
        Flux in the difference of a point source at the central pixel, with the error that noise
        without correlation would give it.
    fwhm_pix : (float, float)
        Of a point source in the science exposure and in the difference.
    sources : tuple of Source
        Stars and galaxies that are always there, relative to the central pixel.
    """

    images: FloatArray
    mask: Bools
    flux_counts: float
    flux_error_counts: float
    fwhm_pix: tuple[float, float]
    sources: tuple[Source, ...]

    @property
    def snr(self) -> float:
        """Signal-to-noise in the difference; negative for what faded."""
        return self.flux_counts / self.flux_error_counts


def draw_difference(
    camera: Camera, kind: CandidateKind, snr: float, side: int, rng: np.random.Generator
) -> Difference:
    """Draw a candidate as a pipeline would have found it.

    Parameters
    ----------
    camera : Camera
        The survey.
    kind : str
        What it is.
    snr : float
        Signal-to-noise that it is made for.
    side : int
        Pixels of the cutouts, an odd number.
    rng : Generator
        Source of everything random.

    Returns
    -------
    Difference
        Centred on the most significant pixel near the candidate.

    Notes
    -----
    What turns out fainter than the survey's limit is drawn again, brighter, a few times: a
    pipeline would not have reported it.
    """
    for attempt in range(_ATTEMPTS):
        pair = _draw_pair(camera, kind, snr * _BRIGHTER**attempt, side + 2 * _MARGIN_PIX, rng)
        found = _detect(pair, side, _wanders_pix(kind))
        if abs(found.snr) >= camera.settings.snr_limit:
            break
    return found


def _wanders_pix(kind: CandidateKind) -> int:
    return _POINT_WANDERS_PIX if is_real(kind) or kind == "glints" else _MARGIN_PIX


@dataclass(frozen=True)
class _Pair:
    """Two exposures and their difference, before anything is detected.

    Attributes
    ----------
    images : ndarray, shape (3, n, n), float32
    mask : ndarray, shape (3, n, n), bool
    variance : ndarray, shape (n, n), float32
        Of the difference.
    scene : Scene
        What was exposed.
    """

    images: FloatArray
    mask: Bools
    variance: FloatArray
    scene: Scene

    @property
    def matched(self) -> Psf:
        """The point-spread function of the difference."""
        return self.scene.conditions.matched


def _draw_pair(
    camera: Camera, kind: CandidateKind, snr: float, side: int, rng: np.random.Generator
) -> _Pair:
    scene = draw_scene(camera, kind, snr, side, rng)
    conditions = scene.conditions
    flux = camera.flux_of_snr(snr, 1, 1)
    artefact = draw_artefact(kind, Shape(flux, conditions.psf[SCIENCE], side), rng)
    mask, artefact = _draw_edges(kind, artefact, rng)
    seen = [
        render(light, psf, side)
        for light, psf in zip((scene.science, scene.template), conditions.psf, strict=True)
    ]
    exposed = [seen[SCIENCE] + artefact, seen[TEMPLATE]]
    variance = [
        camera.variance(np.maximum(light, 0) + camera.sky_counts, exposures)
        for light, exposures in zip(exposed, camera.exposures, strict=True)
    ]
    raw = [
        _read_out(light, noise, camera, rng) for light, noise in zip(exposed, variance, strict=True)
    ]
    difference = _expected_difference(scene, seen[SCIENCE], side)
    for epoch, sign in ((SCIENCE, 1), (TEMPLATE, -1)):
        besides = raw[epoch] - np.float32(camera.sky_counts) - seen[epoch]
        difference += np.float32(sign) * _match(besides * ~mask[epoch], conditions, epoch)
    return _Pair(
        images=np.stack([raw[SCIENCE], raw[TEMPLATE], difference]) * ~mask,
        mask=mask,
        variance=np.asarray(variance[SCIENCE] + variance[TEMPLATE], dtype=np.float32),
        scene=scene,
    )


def _read_out(
    light: FloatArray, variance: np.ndarray, camera: Camera, rng: np.random.Generator
) -> FloatArray:
    """Counts of an exposure, sky and noise included, between those of dead and full pixels."""
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    counts = light + np.float32(camera.sky_counts) + np.sqrt(variance).astype(np.float32) * noise
    return bleed(np.maximum(counts, 0), camera.settings.saturation_counts)


def _expected_difference(scene: Scene, science_seen: FloatArray, side: int) -> FloatArray:
    """Light of the science exposure less that of the template, as well as it was matched."""
    conditions = scene.conditions
    matched = conditions.matched
    science = science_seen
    if matched is not conditions.psf[SCIENCE]:
        science = render(scene.science, matched, side)
    template = scene.template.moved(*conditions.shift_pix).scaled(conditions.scale)
    return science - render(template, matched.widened(conditions.width), side)


def _match(image: FloatArray, conditions: Conditions, epoch: int) -> FloatArray:
    """Smear the sharper exposure to the wider one's resolution, as if both were Gaussian."""
    widths = [psf.fwhm_pix * FWHM_TO_SIGMA for psf in conditions.psf]
    sigma = float(np.sqrt(max(max(widths) ** 2 - widths[epoch] ** 2, 0.0)))
    return smooth(image, _kernel(sigma, len(image))) if sigma > 0 else image


def _draw_edges(
    kind: CandidateKind, artefact: FloatArray, rng: np.random.Generator
) -> tuple[Bools, FloatArray]:
    """The mask, shape (3, n, n), and the artefact turned to the side on which the edge is."""
    side = len(artefact)
    mask = np.zeros((3, side, side), dtype=np.bool_)
    by_chance = rng.random() < _EDGE_SHARE
    if kind == "edge" or by_chance:
        distance = 0.0 if kind == "edge" else rng.uniform(3, side / 2 - _MARGIN_PIX)
        turns = int(rng.integers(4))
        # Templates are mosaics of many pointings: more often it is the science that ends here.
        epoch = SCIENCE if kind == "edge" or rng.random() < 0.7 else TEMPLATE
        mask[[epoch, DIFFERENCE]] = np.rot90(beyond_edge(side, distance), turns)
        artefact = np.rot90(artefact, turns)
    return mask, artefact


def _detect(pair: _Pair, side: int, wanders_pix: int) -> Difference:
    """Find the most significant pixel near the centre, and cut out around it."""
    total = len(pair.variance)
    filtering = _kernel(pair.matched.fwhm_pix * FWHM_TO_SIGMA, total)
    signal = smooth(pair.images[DIFFERENCE], filtering)
    error = np.sqrt(smooth(pair.variance, filtering**2))
    significance = np.abs(signal) / error * ~pair.mask[DIFFERENCE]
    low = total // 2 - wanders_pix
    near = significance[low : low + 2 * wanders_pix + 1, low : low + 2 * wanders_pix + 1]
    up, right = (int(i) + low for i in np.unravel_index(near.argmax(), near.shape))
    response = _response(round(pair.matched.fwhm_pix / _KERNEL_STEP))
    half = side // 2
    centre = total // 2 - right, total // 2 - up
    window = np.s_[:, up - half : up + half + 1, right - half : right + half + 1]
    return Difference(
        images=pair.images[window],
        mask=pair.mask[window],
        flux_counts=float(signal[up, right]) / response,
        flux_error_counts=float(error[up, right]) / response,
        fwhm_pix=(pair.scene.conditions.psf[SCIENCE].fwhm_pix, pair.matched.fwhm_pix),
        sources=tuple(source.moved(*centre) for source in pair.scene.sources),
    )


@lru_cache(maxsize=512)
def _response(fwhm_steps: int) -> float:
    """What the filter of detection gives for a point source of unit flux on a pixel."""
    fwhm = fwhm_steps * _KERNEL_STEP
    side = 2 * int(3 * fwhm) + 1
    image = render(star(1.0), Psf(fwhm), side)
    return float(smooth(image, _kernel(fwhm * FWHM_TO_SIGMA, side))[side // 2, side // 2])


def _kernel(sigma_pix: float, side: int) -> FloatArray:
    return _rounded_kernel(round(sigma_pix / _KERNEL_STEP), side)


@lru_cache(maxsize=1024)
def _rounded_kernel(sigma_steps: int, side: int) -> FloatArray:
    return gaussian_kernel(sigma_steps * _KERNEL_STEP, side)
