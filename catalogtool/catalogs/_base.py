"""The interface of catalog kinds: declared columns, and one pure function that fills them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalogtool.schema import Column, arrow_schema


@dataclass(frozen=True)
class CatalogContext:
    """What the columns of a catalog depend on."""

    classes: tuple[str, ...]
    bands: tuple[str, ...]
    per_band: bool
    model_id: str


@dataclass(frozen=True)
class Predictions:
    """What the network said about the objects of a unit.

    Attributes
    ----------
    probabilities : ndarray, shape (N, R, K), float32
        Class probabilities; R is the number of bands, or 1 for all bands together. NaN where the
        flags are fatal.
    flags : ndarray, shape (N, R), int32
        Bits of `catalogtool.flags.Flag`.
    facts : Table or None
        What the input says of each object besides pixels, N rows; null where unknown.
    """

    probabilities: npt.NDArray[np.float32]
    flags: npt.NDArray[np.int32]
    facts: pa.Table | None = None


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

    def schema(self, context: CatalogContext) -> pa.Schema:
        """Arrow schema of the catalog."""
        return arrow_schema(self.columns(context))
