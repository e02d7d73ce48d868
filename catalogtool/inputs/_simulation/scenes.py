"""What stands in the sky around a candidate, in the science exposure and in the template."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from catalogtool.inputs._simulation.camera import Camera
from catalogtool.inputs._simulation.field import log_uniform
from catalogtool.inputs._simulation.light import (
    POINTS_PER_FWHM,
    Light,
    Psf,
    draw_place,
    join,
    render,
    segment,
    star,
)
from catalogtool.inputs._simulation.neighbours import (
    Source,
    draw_host,
    draw_neighbours,
    galaxy_of_flux,
)
from catalogtool.inputs._simulation.satellites import SATELLITES
from catalogtool.surveys._simulated import CandidateKind

_ROUNDEST, _FLATTEST = 0.99, 0.9  # axis ratios of point-spread functions
_FADING_SHARE = 0.4
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
    """Light around the central pixel, how it is seen, and what a catalog has of it.

    Attributes
    ----------
    science, template : Light
    conditions : Conditions
    sources : tuple of Source
        Stars and galaxies that are always there.
    """

    science: Light
    template: Light
    conditions: Conditions
    sources: tuple[Source, ...] = ()


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
    if kind in SATELLITES:
        flux, psf = camera.flux_of_snr(snr, 1, 1), conditions.psf[0]
        scene = Scene(SATELLITES[kind](flux, psf, side, rng), join(), conditions)
    elif kind in _MAKERS:
        scene = _MAKERS[kind](camera, conditions, snr, rng)
    else:
        scene = Scene(join(), join(), conditions)
    neighbours = draw_neighbours(camera, side, rng)
    near = [source.light for source in neighbours]
    right, up = rng.uniform(-0.5, 0.5, 2)
    return Scene(
        join(scene.science, *near).moved(right, up),
        join(scene.template, *near).moved(right, up),
        scene.conditions,
        tuple(source.moved(right, up) for source in (*scene.sources, *neighbours)),
    )


def _transient(
    camera: Camera, conditions: Conditions, snr: float, rng: np.random.Generator
) -> Scene:
    host = draw_host(camera, rng)
    right, up = draw_place(host, rng)
    host = host.moved(-right, -up)
    flux = camera.flux_of_snr(snr, _behind(camera, conditions, host), 1)
    return Scene(join(host, star(flux)), host, conditions, (Source(host, is_star=False),))


def _hostless(
    camera: Camera, conditions: Conditions, snr: float, rng: np.random.Generator
) -> Scene:
    del rng
    return Scene(star(camera.flux_of_snr(snr, 1, 1)), join(), conditions)


def _variable_star(
    camera: Camera, conditions: Conditions, snr: float, rng: np.random.Generator
) -> Scene:
    amplitude = log_uniform(rng, 0.08, 3.0)
    change = camera.flux_of_snr(snr, 1, 1 + 1 / amplitude)
    flux = min(change / amplitude, 0.4 * camera.unsaturated_flux(conditions.psf[0]))
    source = Source(star(flux), is_star=True)
    return _either_way(Scene(star(flux + change), source.light, conditions, (source,)), rng)


def _nuclear(camera: Camera, conditions: Conditions, snr: float, rng: np.random.Generator) -> Scene:
    host = draw_host(camera, rng)
    amplitude = log_uniform(rng, 0.1, 1.0)
    behind = _behind(camera, conditions, host)
    change = camera.flux_of_snr(snr, behind, 1 + 1 / amplitude)
    nucleus = star(change / amplitude)
    faint = join(host, nucleus)
    # What outshines its host has a star's profile in a catalog.
    source = Source(faint, is_star=bool(nucleus.flux.sum() > host.flux.sum()))
    return _either_way(Scene(join(faint, star(change)), faint, conditions, (source,)), rng)


def _moving(camera: Camera, conditions: Conditions, snr: float, rng: np.random.Generator) -> Scene:
    fwhm = conditions.psf[0].fwhm_pix
    length = fwhm * log_uniform(rng, 0.2, 2.5)
    flux = camera.flux_of_snr(snr, np.hypot(1, 0.7 * length / fwhm), 1)
    trail = segment(flux, length, rng.uniform(0, np.pi), fwhm / POINTS_PER_FWHM)
    return Scene(trail, join(), conditions)


def _dipole(camera: Camera, conditions: Conditions, snr: float, rng: np.random.Generator) -> Scene:
    """A bright star or galaxy whose template is shifted, or has the wrong width."""
    fault = log_uniform(rng, 0.04, 0.3)  # shift over FWHM, or relative error of the width
    change = camera.flux_of_snr(snr, 1, 1 / fault)
    flux = min(change / fault, 0.8 * camera.unsaturated_flux(conditions.psf[0]))
    fault = min(change / flux, 0.6)
    light = star(flux)
    if rng.random() < _DIPOLE_GALAXIES:
        light = galaxy_of_flux(camera, 2 * flux, rng)
    sources = (Source(light, is_star=len(light.flux) == 1),)
    if rng.random() < _DIPOLE_RINGS:
        width = np.exp(rng.choice((-1, 1)) * fault)
        return Scene(light, light, replace(conditions, width=float(width)), sources)
    angle, distance = rng.uniform(0, 2 * np.pi), fault * conditions.matched.fwhm_pix
    shift = (distance * np.cos(angle), distance * np.sin(angle))
    return Scene(light, light, replace(conditions, shift_pix=shift), sources)


def _saturated(
    camera: Camera, conditions: Conditions, snr: float, rng: np.random.Generator
) -> Scene:
    del snr
    light = star(camera.unsaturated_flux(conditions.psf[0]) * log_uniform(rng, 1.5, 20))
    return Scene(light, light, conditions, (Source(light, is_star=True),))


_MAKERS: dict[CandidateKind, Maker] = {
    "transient": _transient,
    "hostless": _hostless,
    "variable_star": _variable_star,
    "moving": _moving,
    "nuclear": _nuclear,
    "dipole": _dipole,
    "saturated": _saturated,
}


def _behind(camera: Camera, conditions: Conditions, light: Light) -> float:
    """Variance on the central pixel with some light, relative to that of the empty sky."""
    brightness = render(light, conditions.psf[0], 1)
    empty = np.full_like(brightness, camera.sky_counts)
    ratio = camera.variance(brightness + empty, 1.0) / camera.variance(empty, 1.0)
    return float(ratio[0, 0])


def _either_way(scene: Scene, rng: np.random.Generator) -> Scene:
    """What brightened, or the same fading."""
    if rng.random() < _FADING_SHARE:
        return replace(scene, science=scene.template, template=scene.science)
    return scene
