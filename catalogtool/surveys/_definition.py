"""What a survey file may say."""

from datetime import date
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from astropy import units as u
from pydantic import Field, PositiveInt, field_validator, model_validator

from catalogtool.config._base import Settings
from catalogtool.units import Angle, Length, Magnitude

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Stretch = Literal["minmax", "asinh", "unit"]
SimulatedKind = Literal["spheroid", "disk", "irregular", "point_source"]


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


class Simulation(Settings):
    """How many galaxies to simulate where no real input is given, and from which seed."""

    objects: PositiveInt
    seed: int
    labelled_cutouts: PositiveInt | None = None
    """Cutouts that the simulated raters saw; None: all."""
    raters: PositiveInt = 5
    ra: Angle
    dec: Angle
    radius: Angle
    """Centre and radius of the simulated field."""
    shares: dict[SimulatedKind, Annotated[float, Field(ge=0)]] = {
        "spheroid": 0.35,
        "disk": 0.4,
        "irregular": 0.18,
        "point_source": 0.07,
    }
    """Relative numbers of the kinds of objects."""
    magnitude_limit: Magnitude = 24.5 * u.mag
    """Faintest objects, in the reddest band."""
    median_redshift: Annotated[float, Field(gt=0)] = 0.8
    radius_at_limit: Angle = 0.2 * u.arcsec
    """Typical half-light radius of the faintest objects; brighter ones are larger."""
    first_night: date | None = None
    """Evening of the first observing night; None: nobody knows when objects were observed."""
    nights: PositiveInt = 1
    """Nights over which the objects are spread evenly."""

    @field_validator("shares")
    @classmethod
    def _shares_sum_above_zero(cls, shares: dict[str, float]) -> dict[str, float]:
        if not sum(shares.values()) > 0:
            raise ValueError("shares needs at least one number above 0")
        return shares


class TrainingOptions(Settings):
    """How a network is trained; the method decides on what."""

    batch_size: PositiveInt = 64
    max_epochs: PositiveInt = 20
    steps_per_epoch: PositiveInt | None = None
    """None: as many as show every example once."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["constant", "one_cycle"] = "one_cycle"
    patience: PositiveInt = 50
    """Epochs without a better validation score before training stops."""
    validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.15
    """Share of the labelled objects that choose the best epoch; 0 keeps the last weights."""
    augment: tuple[Name, ...] = ("rotate", "flip", "shift")
    class_balanced: bool = False


class Recipe(Settings):
    """How one family of catalogs is made: what is trained, on what, and what is written."""

    kinds: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Files of ``catalogtool/catalogs``; all are written from the same predictions."""
    network: Name
    method: Name
    source_survey: str
    stretch: Stretch
    label_count: PositiveInt | None = None
    """Labelled target cutouts used for adaptation; None: all there are."""
    shots: PositiveInt | None = None
    """Labelled target cutouts per class; None: no limit per class."""
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.4
    """Share of the labelled objects kept for the final figures where no split is given."""
    source_training: TrainingOptions = TrainingOptions()
    training: TrainingOptions = TrainingOptions()
    network_options: dict[str, Any] = {}


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
