"""What a survey file may say."""

from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from astropy import units as u
from pydantic import Field, PositiveInt, field_validator, model_validator

from catalogtool.config._base import Name, Settings
from catalogtool.surveys._recipe import Recipe
from catalogtool.surveys._simulated import DifferenceImaging, HostField, Simulation
from catalogtool.units import Angle, Length, Magnitude


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
