"""The interface of catalog kinds: declared columns, and one pure function that fills them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalogtool.schema import Column, arrow_schema
from catalogtool.surveys._definition import Survey


@dataclass(frozen=True)
class CatalogContext:
    """What the columns of a catalog depend on."""

    classes: tuple[str, ...]
    bands: tuple[str, ...]
    per_band: bool
    model_id: str
    timezone: str = "UTC"
    """Of the observatory, which decides where a night ends."""
    embedding_size: int = 0
    """Numbers in the network's embedding of an object; 0 where it is not known yet."""

    @classmethod
    def of(cls, survey: Survey, model_id: str, embedding_size: int = 0) -> Self:
        """Context of a survey's catalogs."""
        return cls(
            classes=survey.labels.classes,
            bands=survey.band_names,
            per_band=survey.labels.per_band,
            model_id=model_id,
            timezone=survey.timezone,
            embedding_size=embedding_size,
        )


@dataclass(frozen=True)
class Predictions:
    """What the network said about the objects of a unit.

    Attributes
    ----------
    probabilities : ndarray, shape (N, R, K), float32
        Class probabilities; R is the number of bands, or 1 for all bands together. NaN where the
        flags are fatal. K is 0 for a model that names no class.
    flags : ndarray, shape (N, R), int32
        Bits of `catalogtool.flags.Flag`.
    facts : Table or None
        What the input says of each object besides pixels, N rows; null where unknown.
    features : ndarray, shape (N, D), float32, or None
        What the network makes of each object before it names a class, the mean over the bands that
        have a prediction; NaN where none has one.
    findings : Table or None
        What a model that names no class says of each object, N rows; null where the flags are
        fatal.
    """

    probabilities: npt.NDArray[np.float32]
    flags: npt.NDArray[np.int32]
    facts: pa.Table | None = None
    features: npt.NDArray[np.float32] | None = None
    findings: pa.Table | None = None


@dataclass(frozen=True)
class SummaryKind:
    """A table that is made of all rows of a kind: one row per group of them."""

    name: str
    title: str
    key: tuple[str, ...]
    """Columns that together identify a row."""
    by: str
    """Column whose equal values make a group."""
    columns: Callable[[CatalogContext], tuple[Column, ...]]
    summarise: Callable[[CatalogContext, pa.Table], pa.Table]
    """Rows of whole groups to rows of `schema`."""

    def schema(self, context: CatalogContext) -> pa.Schema:
        """Arrow schema of the table."""
        return arrow_schema(self.columns(context))


@dataclass(frozen=True)
class Ranking:
    """A column that is filled when all rows of a release are known: their places by a value."""

    column: str
    """The highest value has 1, equal ones the same; 0 without a value."""
    by: str


@dataclass(frozen=True)
class CatalogKind:
    """One kind of catalog. Files of this folder export it as ``CATALOG``."""

    title: str
    key: tuple[str, ...]
    """Columns that together identify a row."""
    columns: Callable[[CatalogContext], tuple[Column, ...]]
    """All columns, the common ones of `_common` included."""
    finalize: Callable[[CatalogContext, pa.Table, Predictions], pa.Table]
    """Manifest rows and predictions to catalog rows, of `schema`, one fixed number per object."""
    has_probabilities: bool = False
    """Whether a row is a prediction, its probabilities in columns named ``p_<class>``."""
    summary: SummaryKind | None = None
    """A table of groups of rows that is released beside it."""
    extends: bool = False
    """Whether its rows, one per object, add columns to those of the run's first kind that does not
    extend."""
    findings: pa.Schema | None = None
    """What it needs to know of `Predictions.findings`; None: nothing."""
    ranking: Ranking | None = None
    """Places by a value, which parts leave 0."""
    maker: Literal["network", "features", "scorer", "hosts"] = "network"
    """What makes its rows: a network's classes or features, a scorer of those, or a model of
    hosts. Any network has features, so those two need no recipe of their own."""

    def schema(self, context: CatalogContext) -> pa.Schema:
        """Arrow schema of the catalog."""
        return arrow_schema(self.columns(context))
