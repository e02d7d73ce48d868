"""What a user asks of one production."""

from datetime import date
from typing import Annotated, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from catalogtool.config._base import Settings


class RunConfig(Settings):
    """The settings of ``catalogtool produce``; addresses may be paths or ``s3://`` URIs."""

    survey: str
    """Name of a survey, or path of a private survey file."""
    output: str
    input: str | None = None
    """Cutouts of the survey; None: what the survey file says."""
    labels: str | None = None
    """Table of labels (and positions) that joins the objects by name."""
    source_input: str | None = None
    """Cutouts of the source survey; None: what its file says."""
    source_labels: str | None = None
    catalog: str | None = None
    """Catalog kinds, joined by commas; None: those of the survey's first recipe."""
    method: str | None = None
    """Adaptation method; None: the recipe's."""
    shots: NonNegativeInt | None = None
    """Target labels per class; 0 uses none; None: what the recipe says."""
    label_count: NonNegativeInt | None = None
    """Target labels altogether; 0 uses none; None: what the recipe says."""
    epochs: PositiveInt | None = None
    """Epochs of every training; None: what the recipe says."""
    seed: int = 0
    workers: PositiveInt | None = None
    """Workers of inference; None: one per core (or GPU)."""
    train_workers: PositiveInt | None = None
    """Workers of training; None: one per GPU, or one."""
    unit_objects: PositiveInt | None = None
    """Objects per unit of work; None: enough for some seconds of work."""
    form: str | None = None
    """Form of the network that predicts; None: the fastest that is exact enough."""
    max_flagged_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Share of rows without a prediction above which the run fails."""
    stall_seconds: PositiveFloat = 600.0
    """A run that finishes no unit for this long is ended."""
    model: str | None = None
    """Folder of a model to predict with; None: the one that the recipe trains, or that of the
    series."""
    night: date | None = None
    """Only objects of this observing night, appended to the survey's series."""
    since_last: bool = False
    """Only objects that the series has not seen, whatever their night."""
    scorer: str | None = None
    """Folder of what tells unusual objects; None: the one that the recipe fits, or the series'."""
    host_model: str | None = None
    """Folder of a model of hosts; None: the one that the recipe trains, or that of the series."""
    galaxies: str | None = None
    """Galaxies that hosts are matched with, HATS or Parquet; None: what the recipe says."""
    only_stale: bool = False
    """Take from the survey's newest run what its models would make again in the same way."""
    new_model: bool = False
    """Begin another series with the model that `model` names or the recipe trains."""

    @property
    def catalogs(self) -> tuple[str, ...]:
        """Catalog kinds that are asked for; empty: those of the survey's first recipe."""
        names = (name.strip() for name in (self.catalog or "").split(","))
        return tuple(dict.fromkeys(name for name in names if name))

    @property
    def is_increment(self) -> bool:
        """Whether the run adds to the series of its survey."""
        return self.night is not None or self.since_last

    @model_validator(mode="after")
    def _one_kind_of_increment(self) -> Self:
        if self.night is not None and self.since_last:
            raise ValueError("night and since_last exclude each other; choose one")
        if self.only_stale and self.is_increment:
            raise ValueError("only_stale is for all objects of a survey, not for increments")
        if self.new_model and not self.is_increment:
            raise ValueError("new_model begins a series; it needs night or since_last")
        return self
