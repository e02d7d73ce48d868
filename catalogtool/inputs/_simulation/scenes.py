"""What stands in the sky around a candidate, in the science exposure and in the template."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from catalogtool.inputs._simulation.camera import Camera
from catalogtool.inputs._simulation.light import (
    Light,
    Psf,
    draw_place,
    galaxy,
    join,
    points,
    render,
    segment,
    star,
)
from catalogtool.surveys._definition import CandidateKind

# Counts per square degree at high Galactic latitude: so many are brighter than a magnitude, and so
# steeply their logarithm rises with it.
_GALAXIES = (24.0, 8e4, 0.4)
_STARS = (21.0, 2.5e3, 0.2)
_RADIUS_ARCSEC, _RADIUS_SLOPE, _RADIUS_SCATTER = 0.35, 0.12, 0.16  # at 24 mag; dex per mag; dex
_ELLIPTICAL_SHARE = 0.35
_HOST_BRIGHTER = 0.5  # mag; hosts are at least that much brighter than the depth
_ROUNDEST, _FLATTEST = 0.99, 0.9  # axis ratios of point-spread functions
_FADING_SHARE = 0.4
_POINTS_PER_FWHM = 2.5  # of trails
_DIPOLE_GALAXIES, _DIPOLE_RINGS = 0.25, 0.3


@dataclass(frozen=True)
class Conditions:
    """How a pair of exposures was taken, and how well the template was matched.

    Attributes
    ----------
    psf : (Psf, Psf)
        Of science and template.
    shift_pix : (float, float)
        How far off the matched template is, right and up.
    width : float
        Width of the template's matched light, relative to what it should be.
    scale : float
        Brightness of the matched template, relative to what it should be.
    """

    psf: tuple[Psf, Psf]
    shift_pix: tuple[float, float]
    width: float
    scale: float

    @property
    def matched(self) -> Psf:
        """The point-spread function of the difference: the wider one."""
        return max(self.psf, key=lambda psf: psf.fwhm_pix)


@dataclass(frozen=True)
class Scene:
    """Light around the central pixel, and how it is seen."""

    science: Light
    template: Light
    conditions: Conditions


Maker = Callable[[Camera, Conditions, float, np.random.Generator], Scene]


def draw_conditions(camera: Camera, rng: np.random.Generator) -> Conditions:
    """Draw one pair of exposures."""
    settings = camera.settings
    seeing = np.exp(settings.seeing_scatter * rng.standard_normal(2) * (1.0, 0.3))
    ratios = rng.uniform(_FLATTEST, _ROUNDEST, 2)
    angles = rng.uniform(0, np.pi, 2)
    science, template = (
        Psf(fwhm * factor, ratio, angle)
        for fwhm, factor, ratio, angle in zip(camera.fwhm_pix, seeing, ratios, angles, strict=True)
    )
    right, up = settings.registration_pix * rng.standard_normal(2)
    return Conditions(
        psf=(science, template),
        shift_pix=(right, up),
        width=1 + settings.matching_error * rng.standard_normal(),
        scale=1 + settings.photometric_error * rng.standard_normal(),
    )


def draw_scene(
    camera: Camera, kind: CandidateKind, snr: float, side: int, rng: np.random.Generator
) -> Scene:
    """Draw the light of a candidate and of what happens to be near it.

    Parameters
    ----------
    camera : Camera
    kind : str
        Kinds that are no light, such as cosmic rays, have chance neighbours alone.
    snr : float
        Signal-to-noise of the candidate in the difference.
    side : int
        Pixels of the image that the light is for.
    rng : Generator
    """
    conditions = draw_conditions(camera, rng)
    if kind == "satellite":
        scene = Scene(_trail(camera, conditions, snr, side, rng), join(), conditions)
    elif kind in _MAKERS:
        scene = _MAKERS[kind](camera, conditions, snr, rng)
    else:
        scene = Scene(join(), join(), conditions)
    near = _neighbours(camera, side, rng)
    right, up = rng.uniform(-0.5, 0.5, 2)
    return Scene(
        join(scene.science, near).moved(right, up),
        join(scene.template, near).moved(right, up),
        scene.conditions,
    )


def _transient(
    camera: Camera, conditions: Conditions, snr: float, rng: np.random.Generator
) -> Scene:
    host = _host(camera, rng)
    right, up = draw_place(host, rng)
    host = host.moved(-right, -up)
    flux = camera.flux_of_snr(snr, _behind(camera, conditions, host), 1)
    return Scene(join(host, star(flux)), host, conditions)


def _hostless(
    camera: Camera, conditions: Conditions, snr: float, rng: np.random.Generator
) -> Scene:
    del rng
    return Scene(star(camera.flux_of_snr(snr, 1, 1)), join(), conditions)


def _variable_star(
    camera: Camera, conditions: Conditions, snr: float, rng: np.random.Generator
) -> Scene:
    amplitude = _log_uniform(rng, 0.08, 3.0)
    change = camera.flux_of_snr(snr, 1, 1 + 1 / amplitude)
    faint = min(change / amplitude, 0.4 * camera.unsaturated_flux(conditions.psf[0]))
    return _either_way(star(faint + change), star(faint), conditions, rng)


def _nuclear(camera: Camera, conditions: Conditions, snr: float, rng: np.random.Generator) -> Scene:
    host = _host(camera, rng)
    amplitude = _log_uniform(rng, 0.1, 1.0)
    behind = _behind(camera, conditions, host)
    change = camera.flux_of_snr(snr, behind, 1 + 1 / amplitude)
    faint = join(host, star(change / amplitude))
    return _either_way(join(faint, star(change)), faint, conditions, rng)


def _moving(camera: Camera, conditions: Conditions, snr: float, rng: np.random.Generator) -> Scene:
    fwhm = conditions.psf[0].fwhm_pix
    length = fwhm * _log_uniform(rng, 0.2, 2.5)
    flux = camera.flux_of_snr(snr, np.hypot(1, 0.7 * length / fwhm), 1)
    trail = segment(flux, length, rng.uniform(0, np.pi), fwhm / _POINTS_PER_FWHM)
    return Scene(trail, join(), conditions)


def _dipole(camera: Camera, conditions: Conditions, snr: float, rng: np.random.Generator) -> Scene:
    """A bright star or galaxy whose template is shifted, or has the wrong width."""
    fault = _log_uniform(rng, 0.04, 0.3)  # shift over FWHM, or relative error of the width
    change = camera.flux_of_snr(snr, 1, 1 / fault)
    flux = min(change / fault, 0.8 * camera.unsaturated_flux(conditions.psf[0]))
    fault = min(change / flux, 0.6)
    light = star(flux)
    if rng.random() < _DIPOLE_GALAXIES:
        light = _galaxy_of_flux(camera, 2 * flux, rng)
    if rng.random() < _DIPOLE_RINGS:
        width = np.exp(rng.choice((-1, 1)) * fault)
        return Scene(light, light, replace(conditions, width=float(width)))
    angle, distance = rng.uniform(0, 2 * np.pi), fault * conditions.matched.fwhm_pix
    shift = (distance * np.cos(angle), distance * np.sin(angle))
    return Scene(light, light, replace(conditions, shift_pix=shift))


def _saturated(
    camera: Camera, conditions: Conditions, snr: float, rng: np.random.Generator
) -> Scene:
    del snr
    flux = camera.unsaturated_flux(conditions.psf[0]) * _log_uniform(rng, 1.5, 20)
    return Scene(star(flux), star(flux), conditions)


_MAKERS: dict[CandidateKind, Maker] = {
    "transient": _transient,
    "hostless": _hostless,
    "variable_star": _variable_star,
    "moving": _moving,
    "nuclear": _nuclear,
    "dipole": _dipole,
    "saturated": _saturated,
}


def _trail(
    camera: Camera, conditions: Conditions, snr: float, side: int, rng: np.random.Generator
) -> Light:
    """A satellite across the image: a steady trail, a train of glints, or both."""
    fwhm = conditions.psf[0].fwhm_pix
    flux = camera.flux_of_snr(snr, 1, 1)
    angle = rng.uniform(0, np.pi)
    length = 1.5 * side
    parts: list[Light] = []
    glints, steady = rng.random(2) < (0.6, 0.7)
    if steady or not glints:
        step = fwhm / _POINTS_PER_FWHM
        parts.append(segment(flux * length / fwhm * rng.uniform(0.4, 1), length, angle, step))
    if glints:
        period = fwhm * rng.uniform(1.5, 5)
        along = np.arange(-length / 2, length / 2, period) + period * rng.random()
        bright = flux * np.exp(0.3 * rng.standard_normal(len(along)))
        parts.append(points(bright, along * np.cos(angle), along * np.sin(angle)))
    return join(*parts)


def _neighbours(camera: Camera, side: int, rng: np.random.Generator) -> Light:
    """Chance stars and galaxies, down to the depth of the template."""
    limit = camera.depth_mag_ab[1]
    square_degrees = (side * camera.pixel_scale_arcsec / 3600) ** 2
    lights = []
    for at, count, slope in (_GALAXIES, _STARS):
        is_stars = (at, count, slope) == _STARS
        density = count * 10 ** (slope * (limit - at))
        density *= camera.settings.star_density if is_stars else 1.0
        for _ in range(rng.poisson(density * square_degrees)):
            mag = limit - rng.exponential(1 / (slope * np.log(10)))
            light = star(camera.flux_counts(mag)) if is_stars else _galaxy_of_mag(camera, mag, rng)
            lights.append(light.moved(*rng.uniform(-side / 2, side / 2, 2)))
    return join(*lights)


def _host(camera: Camera, rng: np.random.Generator) -> Light:
    mag = camera.depth_mag_ab[0] - _HOST_BRIGHTER - rng.gamma(2.0, 1.0)
    return _galaxy_of_mag(camera, mag, rng)


def _galaxy_of_mag(camera: Camera, mag_ab: float, rng: np.random.Generator) -> Light:
    return _galaxy_of_flux(camera, camera.flux_counts(mag_ab), rng)


def _galaxy_of_flux(camera: Camera, flux: float, rng: np.random.Generator) -> Light:
    mag_ab = camera.zeropoint_mag_ab - 2.5 * np.log10(flux)
    slope = _RADIUS_SLOPE * (24 - mag_ab) + _RADIUS_SCATTER * rng.standard_normal()
    radius = _RADIUS_ARCSEC * 10**slope / camera.pixel_scale_arcsec
    is_elliptical = rng.random() < _ELLIPTICAL_SHARE
    bulge = 1.0 if is_elliptical else rng.beta(1.6, 5.0)
    ratio = rng.uniform(0.55, 1.0) if is_elliptical else rng.uniform(0.2, 1.0)
    return galaxy(flux, radius, bulge, ratio, rng.uniform(0, np.pi))


def _behind(camera: Camera, conditions: Conditions, light: Light) -> float:
    """Variance on the central pixel with some light, relative to that of the empty sky."""
    brightness = render(light, conditions.psf[0], 1)
    empty = np.full_like(brightness, camera.sky_counts)
    ratio = camera.variance(brightness + empty, 1.0) / camera.variance(empty, 1.0)
    return float(ratio[0, 0])


def _either_way(
    bright: Light, faint: Light, conditions: Conditions, rng: np.random.Generator
) -> Scene:
    if rng.random() < _FADING_SHARE:
        return Scene(faint, bright, conditions)
    return Scene(bright, faint, conditions)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
