"""What catalogs have near a simulated candidate: the template's, Pan-STARRS' and Gaia's sources."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from catalogtool.inputs._simulation.camera import Camera
from catalogtool.inputs._simulation.measurements import Record
from catalogtool.inputs._simulation.neighbours import Source

MISSING = -999.0
"""What packets have where a catalog has nothing."""

_MATCHES = 3
_RADIUS_ARCSEC = 30.0
_ASTROMETRY_ARCSEC = 0.07  # scatter along each axis
_DEEPEST_SURE_MAG = 21.3  # fainter profiles are often not told apart
_GAIA_MAG, _GAIA_BRIGHT_MAG = 20.7, 14.0
_GAIA_RADIUS_ARCSEC = 90.0


class _Neighbour(NamedTuple):
    distance_arcsec: float
    magnitude: float
    is_star: bool


def match(camera: Camera, sources: Sequence[Source], rng: np.random.Generator) -> Record:
    """Fields of a packet's candidate that come from catalogs; nearest sources first.

    Parameters
    ----------
    camera : Camera
    sources : sequence of Source
        Relative to the candidate.
    rng : Generator
        Of the catalogs' errors.
    """
    near = sorted(_measured(camera, source, rng) for source in sources)
    return {
        **_reference(camera, near, rng),
        **_pan_starrs(near, rng),
        **_gaia(near),
    }


def _measured(camera: Camera, source: Source, rng: np.random.Generator) -> _Neighbour:
    place = np.array(source.place) * camera.pixel_scale_arcsec
    right, up = place + _ASTROMETRY_ARCSEC * rng.standard_normal(2)
    magnitude = camera.zeropoint_mag_ab - 2.5 * np.log10(source.flux)
    return _Neighbour(float(np.hypot(right, up)), float(magnitude), source.is_star)


def _reference(camera: Camera, near: list[_Neighbour], rng: np.random.Generator) -> Record:
    """The nearest source of the template; its profile against a point source's."""
    if not near:
        names = ("distnr", "magnr", "sigmagnr", "chinr", "sharpnr")
        return dict.fromkeys(names, MISSING)
    source = near[0]
    fainter = camera.depth_mag_ab[1] - source.magnitude  # mag above the limit
    if fainter < 1:
        chi, sharp = 0.8, rng.normal(-0.2, 0.2)
    elif source.is_star:
        chi, sharp = 0.75, rng.normal(-0.02, 0.03)
    else:
        chi, sharp = 0.8 * (1 + 0.4 * fainter), rng.normal(0.17, 0.2)
    return {
        "distnr": source.distance_arcsec / camera.pixel_scale_arcsec,
        "magnr": source.magnitude,
        "sigmagnr": float(0.012 + 0.2 * 10 ** (-0.4 * fainter)),
        "chinr": float(chi * np.exp(0.3 * rng.standard_normal())),
        "sharpnr": float(sharp),
    }


def _pan_starrs(near: list[_Neighbour], rng: np.random.Generator) -> Record:
    matched = [source for source in near if source.distance_arcsec <= _RADIUS_ARCSEC]
    fields: Record = {"nmtchps": len(matched)}
    for number in range(1, _MATCHES + 1):
        source = matched[number - 1] if number <= len(matched) else None
        colour = rng.normal((0.6, 0.0, -0.25, -0.4), (0.3, 0.02, 0.1, 0.15))
        identifier = int(rng.integers(10**17, 2 * 10**17))
        for band, offset in zip("griz", colour, strict=True):
            fields[f"s{band}mag{number}"] = float(source.magnitude + offset) if source else MISSING
        fields[f"sgscore{number}"] = _star_score(source, rng) if source else MISSING
        fields[f"distpsnr{number}"] = source.distance_arcsec if source else MISSING
        fields[f"objectidps{number}"] = identifier if source else int(MISSING)
    return fields


def _star_score(source: _Neighbour, rng: np.random.Generator) -> float:
    """Between 0 for a galaxy and 1 for a star; 0.5 where nobody knows."""
    if source.magnitude > _DEEPEST_SURE_MAG and rng.random() < 0.5:
        return 0.5
    doubt = 0.02 * 10 ** (0.25 * max(source.magnitude - 18, 0))
    off = min(float(rng.exponential(doubt)), 1.0)
    return 1 - off if source.is_star else off


def _gaia(near: list[_Neighbour]) -> Record:
    fields: Record = {}
    for suffix, limit in (("", _GAIA_MAG), ("bright", _GAIA_BRIGHT_MAG)):
        stars = (
            source
            for source in near
            if source.is_star
            and source.magnitude < limit
            and source.distance_arcsec <= _GAIA_RADIUS_ARCSEC
        )
        star = next(stars, None)
        fields[f"neargaia{suffix}"] = star.distance_arcsec if star else MISSING
        fields[f"maggaia{suffix}"] = star.magnitude if star else MISSING
    return fields
