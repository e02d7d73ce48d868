"""What finding hosts needs of wide cutouts: pyramids and sources, a fiftieth of the pixels' bytes.

They are kept beside the runs, so that another model of hosts, or other galaxies to match with, need
no pixels.
"""

import logging
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.errors import StorageError
from catalogtool.flags import FATAL
from catalogtool.hosts.ellipses import best_ellipses
from catalogtool.hosts.sky import Orientation
from catalogtool.hosts.sources import Sources
from catalogtool.inference.parquet_bytes import parquet_bytes
from catalogtool.inference.predictor import pixel_flags
from catalogtool.inputs._base import Cutouts
from catalogtool.preprocess.pyramid import LEVELS, SIDE, Pyramid, build_pyramid
from catalogtool.training.hosts import detect

log = logging.getLogger(__name__)

VERSION = 1
"""Raised whenever the same pixels give other fields."""
_MEASURES = ("x", "y", "a", "b", "theta", "flux", "peak")
FIELDS = pa.schema(
    [
        pa.field("object_id", pa.int64()),
        pa.field("flags", pa.int32()),
        pa.field("pyramid", pa.binary()),  # float32 (5, 30, 30); null where the flags are fatal
        pa.field("noise", pa.float32()),
        *(pa.field(name, pa.list_(pa.float32())) for name in _MEASURES),
        pa.field("matrix", pa.list_(pa.float64(), 4)),  # arcsec per pixel, `Orientation`
    ]
)
"""One row per transient."""


def describe_fields(cutouts: Cutouts, rows: pa.Table, band: int, scale_arcsec: float) -> pa.Table:
    """Find the sources of wide cutouts and build their pyramids.

    Parameters
    ----------
    cutouts : Cutouts
        Of N transients, each at its central pixel.
    rows : Table
        Their manifest rows.
    band : int
        Index of the band that is looked at.
    scale_arcsec : float
        Of a pixel, where the input does not say how a cutout lies on the sky.

    Returns
    -------
    Table
        N rows of `FIELDS`.
    """
    flags = cutouts.flags[:, band].copy()
    images, mask = cutouts.images[:, [band]], cutouts.mask[:, [band]]
    flags |= np.where(flags & FATAL, 0, pixel_flags(images, mask))
    matrices = Orientation.of(cutouts.facts, len(flags), scale_arcsec).matrices
    found = []
    for index, object_id in enumerate(rows.column("object_id").to_pylist()):
        row = {"object_id": object_id, "flags": flags[index], "matrix": matrices[index].ravel()}
        if not flags[index] & FATAL:
            detection = detect(cutouts, index, band)
            sources = best_ellipses(detection)
            row |= {"pyramid": build_pyramid(detection).tobytes(), "noise": sources.noise}
            row |= {name: getattr(sources, name) for name in _MEASURES}
        found.append(row)
    return pa.Table.from_pylist(found, schema=FIELDS)


def field_of(row: dict[str, Any]) -> tuple[Sources, Pyramid]:
    """Sources and pyramid of a row of `FIELDS` whose flags are not fatal."""
    x, y, a, b, theta, flux, peak = (np.array(row[name], dtype=np.float64) for name in _MEASURES)
    pyramid = np.frombuffer(row["pyramid"], dtype=np.float32).reshape(LEVELS, SIDE, SIDE)
    writable = pyramid.copy()  # as torch wants it
    return Sources(x, y, a, b, theta, flux, peak, row["noise"]), writable


class FieldStore:
    """Fields of the units of a manifest, one file per unit.

    Parameters
    ----------
    uri : str
        Folder; need not exist.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def read(self, unit: int, rows: pa.Table) -> pa.Table | None:
        """Fields of a unit's manifest rows; None where they are not there, or damaged."""
        where = self._file(unit)
        if not storage.exists(where):
            return None
        try:
            table = pq.read_table(pa.BufferReader(storage.read_bytes(where)), schema=FIELDS)
        except (pa.ArrowException, OSError, StorageError) as error:
            log.warning("%s: damaged, the pixels are read again: %s", where, error)
            return None
        same = table.num_rows == rows.num_rows and pc.all(
            pc.equal(table.column("object_id"), rows.column("object_id"))
        )
        return table if same else None

    def write(self, unit: int, fields: pa.Table) -> None:
        """Keep the fields of a unit."""
        storage.write_bytes(self._file(unit), parquet_bytes(fields))

    def _file(self, unit: int) -> str:
        return storage.join(self.uri, f"unit-{unit:05d}.parquet")
