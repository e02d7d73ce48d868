"""What a survey file may say."""

from datetime import date
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from astropy import units as u
from pydantic import (
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from catalogtool.config._base import Settings
from catalogtool.units import Angle, Length, Magnitude

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Stretch = Literal[
    "minmax", "band_minmax", "channel_minmax", "percentile", "asinh", "band_asinh", "unit"
]
Select = Literal["labels", "unlabelled", "last"]
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


class Band(Settings):
    """One band of a survey."""

    name: Name
    pivot_wavelength: Length
    zeropoint: Magnitude
    """AB magnitude of one count per second (or per data unit)."""
    psf_fwhm: Angle
    depth: Magnitude
    """AB magnitude of a point source at five sigma."""


class Labels(Settings):
    """Which classes objects are sorted into, and where their labels are."""

    classes: Annotated[tuple[Name, ...], Field(min_length=2)]
    kind: Literal["votes", "class"]
    """``votes``: fractions of raters per class; ``class``: one class per object."""
    per_band: bool = False
    """Whether every band of an object has labels, and predictions, of its own."""
    columns: tuple[str, ...] = ()
    """Columns of the vote fractions, one per class (kind ``votes``)."""
    column: str | None = None
    """Column of the class (kind ``class``)."""
    values: dict[str, Name] = {}
    """Class of each value of `column`; objects with other values count as unlabelled."""
    mirrored: dict[Name, Name] = {}
    """Class of an object's mirror image, where that is another class; given once per pair."""
    flips: bool = True
    """Whether a mirror image has a class at all; False forbids flips in training."""

    @field_validator("mirrored")
    @classmethod
    def _both_ways(cls, mirrored: dict[str, str]) -> dict[str, str]:
        pairs = mirrored | {image: name for name, image in mirrored.items()}
        broken = sorted(name for name, image in pairs.items() if pairs[image] != name)
        if broken:
            raise ValueError(
                f"the mirror image of a mirror image must be the class itself; not so for "
                f"{', '.join(broken)}"
            )
        return pairs

    @model_validator(mode="after")
    def _mirror_images_have_classes(self) -> Self:
        strangers = sorted(set(self.mirrored) - set(self.classes))
        if strangers:
            raise ValueError(
                f"mirrored names classes that are not declared: {', '.join(strangers)}"
            )
        if self.mirrored and not self.flips:
            raise ValueError(
                "flips = false says that mirror images have no class, mirrored says which; "
                "remove one"
            )
        return self

    @model_validator(mode="after")
    def _columns_fit_kind(self) -> Self:
        if self.kind == "votes" and len(self.columns) != len(self.classes):
            raise ValueError(f"columns needs {len(self.classes)} names, one per class")
        if self.kind == "class" and (self.column is None or not self.values):
            raise ValueError("column and values are needed where kind is 'class'")
        strangers = sorted(set(self.values.values()) - set(self.classes))
        if strangers:
            raise ValueError(f"values names classes that are not declared: {', '.join(strangers)}")
        return self


class InputSource(Settings):
    """Where objects and pixels are when the command line does not say."""

    format: Name
    """Name of a file in ``catalogtool/inputs``."""
    uri: str | None = None
    id_column: str = "object_id"
    """Column of the object's name, in image tables and label tables."""
    ra_column: str = "ra"
    dec_column: str = "dec"
    image_column: str = "image"
    time_column: str | None = None
    """Column of the time of observation, in image tables and label tables: MJD, or timestamps in
    UTC."""
    split_column: str | None = None
    """Column that sets ``test`` objects apart from ``train`` objects."""
    id_pattern: str = r"(?P<object_id>.+?)"
    """Regular expression of a cutout's name (a file name without its endings). The group ``band``
    is the band; all other named groups, joined by ``_``, are the object's name."""
    hdu: str | None = None
    """Extension that holds the pixels; None: the one named like the band, else the first image."""
    north_up: bool = False
    """Whether alerts' cutouts that have a WCS are turned until north is up and east is left."""


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


class TrainingOptions(Settings):
    """How a network is trained; the method decides on what."""

    batch_size: PositiveInt = 64
    """Cutouts of each labelled survey in a step, over all workers."""
    unlabelled_batch: PositiveInt | None = None
    """Unlabelled cutouts in a step; None: as many as `batch_size`."""
    unlabelled_limit: PositiveInt = 5000
    """Unlabelled cutouts that are kept in memory, drawn by seed: 5000 of 64 x 64 pixels in three
    bands are 250 MB."""
    max_epochs: PositiveInt = 20
    steps_per_epoch: PositiveInt | None = None
    """None: as many as show every example once."""
    optimiser: Literal["adamw", "sgd"] = "adamw"
    """``sgd``: with Nesterov momentum of 0.9."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    backbone_factor: Annotated[float, Field(gt=0)] = 1.0
    """Learning rate of everything in the network but its head, relative to `learning_rate`."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["constant", "cosine", "one_cycle"] = "one_cycle"
    domain_norm: bool = False
    """Whether each survey is normalised by itself; without effect on methods that learn from one
    survey."""
    select: Select = "labels"
    """What chooses the epoch whose weights are stored. ``labels``: validation labels, and where
    there are none the same as ``unlabelled``: information maximisation over unlabelled cutouts,
    and where there are none of those the last weights. ``last``: the last weights."""
    patience: PositiveInt = 50
    """Epochs without a better score before training stops."""
    validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.15
    """Share of the labelled objects that choose an epoch and do not teach."""
    augment: tuple[Name, ...] = ("rotate", "flip", "shift")
    """Changes of every cutout, `catalogtool.preprocess.augment`."""
    strong: tuple[Name, ...] = ()
    """Further changes of the strong view, `catalogtool.preprocess.strong`, for methods that compare
    two views of a cutout."""
    calibration: Literal["none", "temperature", "dirichlet"] = "none"
    """What makes the probabilities honest after training, `catalogtool.training.calibrate`. A
    temperature is one number; ``dirichlet`` needs hundreds of labels to be better."""
    entropy_weight: Annotated[float, Field(ge=0)] = 0.0
    """How much the entropy of the predictions counts against the loss of the labels
    (Carrasco-Davis et al. 2021: 0.5): probabilities of what is certain then stay below 1, so that
    candidates can be ranked."""
    class_balanced: bool = False
    """Whether labelled cutouts are drawn so that all classes are shown equally often."""


class AnomalyOptions(Settings):
    """How unusual objects are told from the others by what a network makes of them."""

    method: Name = "combined"
    """Name of a file in ``catalogtool/anomaly``."""
    options: dict[str, Any] = {}
    """Options of `method`."""
    objects: PositiveInt = 4000
    """Objects of the survey, drawn by seed, that say what is usual."""


class HostOptions(Settings):
    """How hosts are found in wide cutouts around transients."""

    band: Name | None = None
    """Band of the images; None: the first one."""
    galaxies: str | None = None
    """HATS collection or Parquet table of galaxies that hosts are matched with; None: none."""
    scenes: PositiveInt = 3000
    """Labelled scenes of the source survey, drawn by seed, that teach."""


class Recipe(Settings):
    """How one family of catalogs is made: what is trained, on what, and what is written."""

    kinds: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Files of ``catalogtool/catalogs``; all are written from the same predictions."""
    network: Name
    method: Name
    source_survey: str
    stretch: Stretch
    crop_pix: PositiveInt | None = None
    """Side of the central part of a cutout that the network sees; None: all of it."""
    metadata: tuple[str, ...] = ()
    """Facts of the input, besides pixels, that the network sees: alerts have many. Positions among
    them teach a network where its labels were."""
    method_options: dict[str, Any] = {}
    """Options of `method`; the methods that it starts from have their defaults."""
    label_count: NonNegativeInt | None = None
    """Labelled target cutouts used for adaptation; None: all there are."""
    shots: NonNegativeInt | None = None
    """Labelled target cutouts per class; None: no limit per class."""
    band_mapping: dict[Name, Name] = {}
    """For bands that the source survey lacks: its band in the same channel."""
    rescaled: bool = False
    """Whether cutouts are cut in proportion to each object, so that the pixel scales of the two
    surveys need not agree."""
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.4
    """Share of the labelled objects kept for the final figures where no split is given."""
    source_training: TrainingOptions = TrainingOptions()
    training: TrainingOptions = TrainingOptions()
    network_options: dict[str, Any] = {}
    anomaly: AnomalyOptions = AnomalyOptions()
    hosts: HostOptions | None = None
    """Given: the recipe is one for hosts, and learns where they are, not classes."""


class Survey(Settings):
    """One survey: its bands, its pixels, its labels, and the catalogs it gets."""

    name: Name
    title: str
    description: str
    reference: str
    pixel_scale: Angle
    cutout_size_pix: PositiveInt
    """Side of the cutouts that networks see; other sizes are resized to it."""
    regime: str = "optical"
    timezone: str = "UTC"
    """Time zone of the observatory: its nights run from local noon to local noon."""
    bands: Annotated[tuple[Band, ...], Field(min_length=1)]
    labels: Labels
    input: InputSource
    simulation: Simulation | None = None
    difference_imaging: DifferenceImaging | None = None
    host_field: HostField | None = None
    recipes: Annotated[tuple[Recipe, ...], Field(min_length=1)]

    @field_validator("timezone")
    @classmethod
    def _timezone_exists(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(
                f"{timezone!r} is not a time zone; expected a name like America/Santiago"
            ) from None
        return timezone

    @field_validator("bands")
    @classmethod
    def _bands_differ(cls, bands: tuple[Band, ...]) -> tuple[Band, ...]:
        names = [band.name for band in bands]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"band names must differ; twice: {', '.join(twice)}")
        return bands

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of the bands, in the order of the cutouts' channels."""
        return tuple(band.name for band in self.bands)

    @property
    def pixel_scale_arcsec(self) -> float:
        """Angular size of a pixel."""
        return float(self.pixel_scale.to_value(u.arcsec))

    @property
    def rows_per_object(self) -> int:
        """Predictions per object: one per band, or one for all bands together."""
        return len(self.bands) if self.labels.per_band else 1

    @property
    def network_channels(self) -> int:
        """Bands that the network sees at once."""
        return 1 if self.labels.per_band else len(self.bands)

    def recipe_for(self, kind: str | None) -> Recipe | None:
        """The recipe that writes a catalog kind; the first one for None."""
        if kind is None:
            return self.recipes[0]
        return next((recipe for recipe in self.recipes if kind in recipe.kinds), None)
