"""The interface of input formats: list the objects once, read cutouts of a few at a time."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalogtool.surveys._definition import Survey

FloatArray = npt.NDArray[np.float32]

MANIFEST_SCHEMA = pa.schema(
    [
        pa.field("object_id", pa.int64(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),  # the survey's own name
        pa.field("ra", pa.float64()),  # ICRS degrees; null where unknown
        pa.field("dec", pa.float64()),
        pa.field("flags", pa.int32(), nullable=False),  # what listing found out, catalogtool.flags
        pa.field("uris", pa.list_(pa.string()), nullable=False),  # per band, or one for all
        pa.field("row", pa.int64(), nullable=False),  # row of a table, index of a simulation
        pa.field("identity", pa.string(), nullable=False),  # size, ETag or hash of the input
        pa.field("votes", pa.list_(pa.float32())),  # (rows_per_object, K) flat; NaN: no label
        pa.field("split", pa.string(), nullable=False),  # "train", "test" or ""
        pa.field("observed_mjd", pa.float64()),  # MJD, UTC; null where unknown
    ]
)


@dataclass(frozen=True)
class Cutouts:
    """Pixels of a few objects.

    Attributes
    ----------
    images : ndarray, shape (N, C, H, W), float32
        Survey units, bands in survey order; 0 where masked.
    mask : ndarray, shape (N, C, H, W), bool
        True excludes a pixel.
    flags : ndarray, shape (N, C), int32
        Bits of `catalogtool.flags.Flag`, per object and band.
    facts : Table or None
        What the input says of each object besides pixels, N rows; null where unknown.
    """

    images: FloatArray
    mask: npt.NDArray[np.bool_]
    flags: npt.NDArray[np.int32]
    facts: pa.Table | None = None


class Format(ABC):
    """One way in which objects and pixels are stored. Subclasses are called ``Format`` too.

    Parameters
    ----------
    survey : Survey
        Bands, cutout size and column names.
    uri : str or None
        Where the input is; None only for formats that need none.
    labels_uri : str or None
        Table of labels (and positions) that joins the objects by name.
    """

    simulated = False
    """Whether the pixels are made up; everything derived from them then says so."""

    def __init__(self, survey: Survey, uri: str | None, labels_uri: str | None = None) -> None:
        self.survey = survey
        self.uri = uri
        self.labels_uri = labels_uri

    @staticmethod
    @abstractmethod
    def recognises(uri: str) -> bool:
        """Whether a URI looks like this format, judged by names alone or a first listing."""

    @abstractmethod
    def list_objects(self) -> Iterator[pa.Table]:
        """Yield all objects, in a fixed order, as tables of `MANIFEST_SCHEMA`.

        Raises
        ------
        ManifestError
            If there is no object, or the input is not of this format.
        LabelError
            If the label table contradicts the objects.
        """

    @abstractmethod
    def read(self, rows: pa.Table) -> Cutouts:
        """Read the cutouts of some manifest rows.

        Trouble with one object sets its flags and leaves its pixels 0 and masked; it never raises.
        The result depends on the rows alone, not on their company.

        Raises
        ------
        StorageError
            Only if the storage cannot be reached and trying again may help.
        """

    def empty_cutouts(self, count: int) -> Cutouts:
        """All-masked cutouts of `count` objects, for readers to fill in."""
        size = self.survey.cutout_size_pix
        shape = (count, len(self.survey.bands), size, size)
        return Cutouts(
            images=np.zeros(shape, dtype=np.float32),
            mask=np.ones(shape, dtype=np.bool_),
            flags=np.zeros(shape[:2], dtype=np.int32),
        )


def votes_of(rows: pa.Table, survey: Survey) -> FloatArray:
    """Labels of manifest rows.

    Returns
    -------
    ndarray, shape (N, rows_per_object, K), float32
        Fractions that sum to 1; NaN where there is no label.
    """
    shape = (rows.num_rows, survey.rows_per_object, len(survey.labels.classes))
    votes = np.full((shape[0], shape[1] * shape[2]), np.nan, dtype=np.float32)
    column: Any = rows.column("votes").to_pylist()
    for index, values in enumerate(column):
        if values is not None:
            votes[index] = values
    return votes.reshape(shape)
