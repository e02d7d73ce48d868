"""What a survey file may say of skies that are simulated where no real input is given."""

from datetime import date
from typing import Annotated, Literal

from astropy import units as u
from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from catalogtool.config._base import Settings
from catalogtool.units import Angle, Magnitude

SimulatedKind = Literal["spheroid", "disk", "irregular", "point_source", "lensed_arc"]
RealKind = Literal["transient", "hostless", "variable_star", "moving", "nuclear"]
BogusKind = Literal[
    "dipole",
    "cosmic_ray",
    "bad_pixel",
    "satellite",
    "saturated",
    "ghost",
    "edge",
    "noise_peak",
    "glints",
]
CandidateKind = Literal[RealKind, BogusKind]
AlertClass = Literal["agn", "asteroid", "bogus", "satellite", "sn", "vs"]


class SimulatedField(Settings):
    """Where and when something simulated is seen, and from which seed it is drawn."""

    seed: int
    ra: Angle
    dec: Angle
    radius: Angle
    """Centre and radius of the field."""
    first_night: date | None = None
    """Evening of the first observing night; None: nobody knows when objects were observed."""
    nights: PositiveInt = 1
    """Nights over which the objects are spread evenly."""


class Simulation(SimulatedField):
    """How many galaxies to simulate where no real input is given."""

    objects: PositiveInt
    labelled_cutouts: PositiveInt | None = None
    """Cutouts that the simulated raters saw; None: all."""
    raters: PositiveInt = 5
    shares: dict[SimulatedKind, Annotated[float, Field(ge=0)]] = {
        "spheroid": 0.35,
        "disk": 0.4,
        "irregular": 0.18,
        "point_source": 0.07,
    }
    """Relative numbers of the kinds of objects. ``lensed_arc`` need not be a class: what nobody has
    seen before has no label."""
    magnitude_limit: Magnitude = 24.5 * u.mag
    """Faintest objects, in the reddest band."""
    median_redshift: Annotated[float, Field(gt=0)] = 0.8
    radius_at_limit: Angle = 0.2 * u.arcsec
    """Typical half-light radius of the faintest objects; brighter ones are larger."""

    @field_validator("shares")
    @classmethod
    def _shares_sum_above_zero(cls, shares: dict[str, float]) -> dict[str, float]:
        if not sum(shares.values()) > 0:
            raise ValueError("shares needs at least one number above 0")
        return shares


class DifferenceImaging(SimulatedField):
    """How candidates in difference images are simulated where no real input is given.

    The survey has the bands ``science``, ``template`` and ``difference``. Resolution and depth of
    the first two say how sharp and how noisy those images are; the level of the sky follows from
    the depth. Counts are those of one science exposure.
    """

    candidates: PositiveInt
    labelled_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the candidates with a label. Half of those are real; where candidates have classes
    of their own, `labelled_classes` divides them."""
    real_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of real ones among the candidates without a label."""
    labelled_classes: dict[AlertClass, Annotated[float, Field(ge=0)]] = {
        "agn": 1.0,
        "asteroid": 1.0,
        "bogus": 1.0,
        "satellite": 1.0,
        "sn": 1.0,
        "vs": 1.0,
    }
    """Relative numbers of the classes of alerts among those with a label."""
    classes: dict[AlertClass, Annotated[float, Field(ge=0)]] = {
        "agn": 0.15,
        "asteroid": 0.2,
        "bogus": 0.3,
        "satellite": 0.02,
        "sn": 0.03,
        "vs": 0.3,
    }
    """Relative numbers of the classes of alerts among those without a label."""
    shares: dict[CandidateKind, Annotated[float, Field(ge=0)]] = {
        "transient": 0.3,
        "hostless": 0.1,
        "variable_star": 0.25,
        "moving": 0.2,
        "nuclear": 0.15,
        "dipole": 0.4,
        "cosmic_ray": 0.15,
        "bad_pixel": 0.1,
        "satellite": 0.05,
        "saturated": 0.1,
        "ghost": 0.05,
        "edge": 0.05,
        "noise_peak": 0.1,
        "glints": 0.05,
    }
    """Relative numbers of the kinds of candidates; of the real and of the bogus ones apart, or of
    every class of alerts by itself. ``glints`` are those of a train in which a satellite flashes,
    ``satellite`` is a trail across the whole cutout."""
    snr_limit: PositiveFloat = 5.0
    """Signal-to-noise from which on something in a difference image is a candidate."""
    gain_electrons_per_count: PositiveFloat = 2.0
    read_noise_electrons: PositiveFloat = 8.0
    saturation_counts: PositiveFloat = 50_000.0
    seeing_scatter: Annotated[float, Field(ge=0, lt=1)] = 0.12
    """Scatter of the natural logarithm of the resolution, from exposure to exposure."""
    registration_pix: Annotated[float, Field(ge=0)] = 0.08
    """Scatter of the template's position, along each axis."""
    matching_error: Annotated[float, Field(ge=0, lt=0.5)] = 0.01
    """Relative scatter of the width that the template's light is given to match the science."""
    photometric_error: Annotated[float, Field(ge=0, lt=0.5)] = 0.003
    """Relative scatter of the brightness that the template is scaled to."""
    star_density: Annotated[float, Field(ge=0)] = 1.0
    """Stars relative to those at high Galactic latitude."""


class HostField(SimulatedField):
    """How wide fields around transients are simulated where no real input is given."""

    transients: PositiveInt
    labelled_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the transients whose host is known."""
    hostless_share: Annotated[float, Field(ge=0, le=1)] = 0.12
    """Share of the transients without a host that could be seen."""
    companion_share: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Share of the hosts with satellites."""
    cluster_share: Annotated[float, Field(ge=0, le=1)] = 0.08
    """Share of the hosts in a group or cluster."""
    galaxies_per_arcmin2: Annotated[float, Field(ge=0)] = 12.0
    stars_per_arcmin2: Annotated[float, Field(ge=0)] = 3.0
    magnitude_limit: Magnitude = 23.5 * u.mag
    """Faintest galaxies and stars of the field."""

    @property
    def magnitude_limit_value(self) -> float:
        """The limit as a number."""
        return float(self.magnitude_limit.value)
