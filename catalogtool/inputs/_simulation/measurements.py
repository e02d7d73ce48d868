"""What a pipeline would measure of a simulated candidate, by the names of ZTF's packets."""

from typing import Any

import numpy as np
import numpy.typing as npt

from catalogtool.inputs._base import FloatArray
from catalogtool.inputs._simulation.camera import DIFFERENCE, SCIENCE, Camera
from catalogtool.inputs._simulation.candidates import is_real
from catalogtool.inputs._simulation.differences import Difference
from catalogtool.inputs._simulation.field import Floats
from catalogtool.inputs._simulation.light import FWHM_TO_SIGMA
from catalogtool.inputs._simulation.satellites import SATELLITES

Record = dict[str, Any]
"""Fields of a packet: numbers and text, None where a field has no value."""

POGSON = float(2.5 / np.log(10))
"""Error of a magnitude over the relative error of its flux."""

_BOX = 2  # pixels on either side of the central one in which neighbours are counted
_APERTURES_PIX = (4.0, 9.0)
_FAINTEST_APERTURE = 0.05  # relative to the flux of the point source
_WIDTHS_PIX = (0.8, 10.0)
_REACH_PIX = 8  # of moments
_LEAST_VARIANCE, _LEAST_CURVATURE = 0.05, 0.02  # that noise leaves: square pixels, and one over
_QUADRANT_PIX = (3072.0, 3080.0)

# Mean and scatter of a score's logit.
_DEEP_SCORE = {"real": (5.0, 2.2), "satellite": (3.0, 2.2), "bogus": (-3.0, 2.5)}
_FOREST_SCORE = {"real": (1.6, 0.9), "satellite": (0.9, 0.9), "bogus": (-0.3, 1.0)}


def measure(camera: Camera, kind: str, found: Difference, rng: np.random.Generator) -> Record:
    """Measure brightness, shape and quality of a candidate.

    Parameters
    ----------
    camera : Camera
    kind : str
        Value of `CandidateKind`; only the scores and what pixels do not tell depend on it.
    found : Difference
        With what brightened positive, and what faded positive too: see `flux_counts`.
    rng : Generator

    Returns
    -------
    dict
        Fields of a packet's candidate.
    """
    flux, error = abs(found.flux_counts), found.flux_error_counts
    zeropoint = camera.zeropoint_mag_ab
    magnitude = magnitude_of(flux, zeropoint)
    limit = limiting_magnitude(camera, found)
    return {
        "magpsf": magnitude,
        "sigmapsf": POGSON * error / flux,
        "chipsf": float(np.exp(0.5 + 0.5 * rng.standard_normal())),
        "isdiffpos": "t" if found.flux_counts >= 0 else "f",
        "diffmaglim": limit,
        "magfromlim": limit - magnitude,
        "magzpsci": zeropoint,
        "magzpsciunc": 1e-5,
        "magzpscirms": 0.03,
        "scorr": flux / error,
        "seeratio": float(found.fwhm_pix[0] / camera.fwhm_pix[1]),
        **_apertures(found, flux, magnitude, zeropoint),
        **_shape(found, rng),
        **_quality(found),
        **_place_on_detector(found, rng),
        **_scores(kind, flux / error, rng),
    }


def limiting_magnitude(camera: Camera, found: Difference) -> float:
    """Magnitude of a point source at five sigma in the difference; wider images are shallower."""
    typical = max(camera.fwhm_pix)
    error = camera.flux_error_counts * found.fwhm_pix[1] / typical
    return magnitude_of(5 * error, camera.zeropoint_mag_ab)


def magnitude_of(flux_counts: float, zeropoint: float) -> float:
    """AB magnitude of some counts."""
    return float(zeropoint - 2.5 * np.log10(flux_counts))


def _apertures(found: Difference, flux: float, magnitude: float, zeropoint: float) -> Record:
    image, valid = found.images[DIFFERENCE], ~found.mask[DIFFERENCE]
    distance = _distance(len(image))
    background, noise = _sky(image, valid)
    fields: Record = {"sky": background}
    for name, radius in zip(("", "big"), _APERTURES_PIX, strict=True):
        inside = (distance <= radius) & valid
        light = float((image[inside] - background).sum())
        light = max(light, _FAINTEST_APERTURE * flux)
        error = noise * float(np.sqrt(inside.sum()))
        fields[f"magap{name}"] = magnitude_of(light, zeropoint)
        fields[f"sigmagap{name}"] = POGSON * error / light
    return {**fields, "magdiff": fields["magap"] - magnitude}


def centroid(found: Difference) -> tuple[float, float]:
    """Where a candidate is relative to the middle of the central pixel: pixels right and up.

    Under a weight as wide as a point source, a point source's mean is half as far off.
    """
    light, along, _ = _weighted(found)
    total = max(float(light.sum()), 1e-9)
    right, up = (2 * float((light.sum(axis=axis) * along).sum()) / total for axis in (0, 1))
    return float(np.clip(right, -1, 1)), float(np.clip(up, -1, 1))


def _weighted(found: Difference) -> tuple[Floats, Floats, float]:
    """Light of the difference under a Gaussian weight, its pixels along an axis, and the width."""
    image = np.where(found.mask[DIFFERENCE], 0, found.images[DIFFERENCE])
    centre = len(image) // 2
    reach = min(centre, _REACH_PIX)
    window = image[centre - reach : centre + reach + 1, centre - reach : centre + reach + 1]
    along = np.arange(-reach, reach + 1, dtype=np.float64)
    sigma = found.fwhm_pix[1] * FWHM_TO_SIGMA
    profile = np.exp(-0.5 * (along / sigma) ** 2)
    return np.clip(window, 0, None) * profile * profile[:, None], along, sigma


def _shape(found: Difference, rng: np.random.Generator) -> Record:
    """Widths from moments under a Gaussian weight as wide as a point source, corrected for it."""
    light, along, sigma = _weighted(found)
    light /= max(float(light.sum()), 1e-9)
    xx, yy = (float((light.sum(axis=axis) * along**2).sum()) for axis in (0, 1))
    xy = float((light * along * along[:, None]).sum())
    middle, half = (xx + yy) / 2, float(np.hypot((xx - yy) / 2, xy))
    major, minor = (
        float(1 / np.sqrt(max(1 / max(width, _LEAST_VARIANCE) - 1 / sigma**2, _LEAST_CURVATURE)))
        for width in (middle + half, middle - half)
    )
    fwhm = float(np.clip(np.sqrt(major * minor) / FWHM_TO_SIGMA, *_WIDTHS_PIX))
    excess = max(fwhm / found.fwhm_pix[1] - 1.2, 0.0)
    classtar = 0.984 - 0.1 * excess - rng.exponential(0.01 + 0.3 / abs(found.snr))
    return {
        "fwhm": fwhm,
        "aimage": major / 2,
        "bimage": minor / 2,
        "aimagerat": major / 2 / fwhm,
        "bimagerat": minor / 2 / fwhm,
        "elong": major / minor,
        "classtar": float(np.clip(classtar, 0, 1)),
    }


def _quality(found: Difference) -> Record:
    image, valid = found.images[DIFFERENCE], ~found.mask[DIFFERENCE]
    science, science_valid = found.images[SCIENCE], ~found.mask[SCIENCE]
    centre = len(image) // 2
    box = np.s_[centre - _BOX : centre + _BOX + 1, centre - _BOX : centre + _BOX + 1]
    near = image[box][valid[box]]
    _, noise = _sky(image, valid)
    background, science_noise = _sky(science, science_valid)
    peak = float(image[centre, centre]) / noise
    science_peak = (float(science[centre, centre]) - background) / science_noise
    return {
        "nneg": int((near < 0).sum()),
        "nbad": int((~valid[box]).sum()),
        "sumrat": float(near.sum() / max(float(np.abs(near).sum()), 1e-9)),
        "dsnrms": peak,
        "ssnrms": science_peak,
        "dsdiff": peak - science_peak,
    }


def _place_on_detector(found: Difference, rng: np.random.Generator) -> Record:
    width, height = _QUADRANT_PIX
    margin = len(found.mask[0]) / 2
    x, y = (float(rng.uniform(margin, length - margin)) for length in _QUADRANT_PIX)
    if found.mask[SCIENCE].any():
        x = float(_distance(len(found.mask[0]))[found.mask[SCIENCE]].min())
    return {"xpos": x, "ypos": y, "mindtoedge": min(x, y, width - x, height - y)}


def _scores(kind: str, snr: float, rng: np.random.Generator) -> Record:
    group = "real" if is_real(kind) else "satellite" if kind in SATELLITES else "bogus"
    clearer = 0.5 * float(np.log(snr / 10)) * (1 if group != "bogus" else -1)
    fields: Record = {"rbversion": "simulated", "drbversion": "simulated"}
    for name, scores in (("rb", _FOREST_SCORE), ("drb", _DEEP_SCORE)):
        mean, scatter = scores[group]
        logit = mean + clearer + scatter * rng.standard_normal()
        fields[name] = float(1 / (1 + np.exp(-logit)))
    return fields


def _sky(image: FloatArray, valid: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Median and robust scatter of the valid pixels; the scatter is never 0."""
    if not valid.any():
        return 0.0, 1.0
    middle = float(np.median(image[valid]))
    return middle, max(1.4826 * float(np.median(np.abs(image[valid] - middle))), 1e-6)


def _distance(side: int) -> npt.NDArray[np.float64]:
    along = np.arange(side) - side // 2
    distance: npt.NDArray[np.float64] = np.hypot(along, along[:, None])
    return distance
