"""What a survey file may say of how its catalogs are made."""

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from catalogtool.config._base import Name, Settings

Stretch = Literal[
    "minmax", "band_minmax", "channel_minmax", "percentile", "asinh", "band_asinh", "unit"
]
CalibrationKind = Literal["temperature", "bias", "dirichlet"]
Select = Literal["labels", "unlabelled", "last"]


class TrainingOptions(Settings):
    """How a network is trained; the method decides on what."""

    batch_size: PositiveInt = 64
    """Cutouts of each labelled survey in a step, over all workers; of fewer target labels each is
    shown once."""
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
    calibration: CalibrationKind | Literal["none"] = "none"
    """What makes the probabilities honest after training, `catalogtool.training.calibrate`. A
    temperature is one number; ``bias`` has one per class besides; ``dirichlet`` needs hundreds of
    labels to be better."""
    entropy_weight: Annotated[float, Field(ge=0)] = 0.0
    """How much the entropy of the predictions counts against the loss of the labels
    (Carrasco-Davis et al. 2021: 0.5): probabilities of what is certain then stay below 1, so that
    candidates can be ranked."""
    flag_unknown: bool = False
    """Whether objects unlike all labelled ones are flagged as of an unknown class; a tenth of the
    others are too. Methods that expect unknown classes do it in any case."""
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
