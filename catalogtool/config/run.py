"""What a user asks of one production."""

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

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
    """Catalog kind; None: those of the survey's first recipe."""
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
