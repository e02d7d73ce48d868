"""Hosts matched with a table of galaxies: identifiers and redshifts, without a network."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.spatial import KDTree

from catalogtool import storage
from catalogtool.errors import DataError

Floats = npt.NDArray[np.float64]

REACH_ARCSEC = 1.0
"""A galaxy this near is the host; beyond, it must lie well inside of the host's ellipse."""
_REACH_RADII = 0.25
_FARTHEST_ARCSEC = 10.0
_NEEDED = ("ra", "dec")
_IDS = ("galaxy_id", "object_id", "id", "source_id")


class Galaxies:
    """Positions of known galaxies.

    Parameters
    ----------
    ra, dec : ndarray, shape (G,)
        Degrees.
    names : list of str
    redshift : ndarray, shape (G,)
        NaN where unknown.
    """

    def __init__(self, ra: Floats, dec: Floats, names: list[str], redshift: Floats) -> None:
        self.names = names
        self.redshift = redshift
        self._tree = KDTree(_unit_vectors(ra, dec))

    @classmethod
    def read(cls, uri: str) -> "Galaxies":
        """Read a Parquet file, or the Parquet files of a folder or HATS collection.

        Columns ``ra`` and ``dec`` in degrees, one of ``galaxy_id``, ``object_id``, ``id``,
        ``source_id``, and if known ``redshift``. Galaxies without a position are left out.

        Raises
        ------
        DataError
            If there are none, or a column is missing.
        """
        tables = [_read_file(name, uri) for name in _files(uri)]
        if not tables:
            raise DataError(f"{uri}: holds no Parquet file of galaxies; check the address")
        table = pa.concat_tables(tables)
        placed = pc.and_(*(pc.is_finite(pc.fill_null(table.column(c), np.nan)) for c in _NEEDED))
        table = table.filter(placed)
        redshift = table.column("redshift").to_numpy().astype(np.float64)
        ra, dec = (table.column(name).to_numpy().astype(np.float64) for name in _NEEDED)
        return cls(ra, dec, table.column("id").to_pylist(), redshift)

    def match(self, ra: float, dec: float, radius_arcsec: float) -> dict[str, Any]:
        """The galaxy nearest to a host, if it is near enough.

        That is within an arcsec, or a quarter of the host's semi-major axis.
        """
        reach = min(max(REACH_ARCSEC, _REACH_RADII * radius_arcsec), _FARTHEST_ARCSEC)
        chord, index = self._tree.query(_unit_vectors(np.array([ra]), np.array([dec]))[0])
        separation = float(np.degrees(2 * np.arcsin(min(chord / 2, 1)))) * 3600
        if separation > reach:
            return {}
        return {
            "matched_id": self.names[index],
            "matched_separation_arcsec": separation,
            "redshift": float(self.redshift[index]),
        }


def _unit_vectors(ra: Floats, dec: Floats) -> Floats:
    longitude, latitude = np.radians(ra), np.radians(dec)
    flat = np.cos(latitude)
    return np.stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)], axis=-1)


def _files(uri: str) -> list[str]:
    """Data files of a table; those of a collection's margin repeat rows of the others."""
    if uri.endswith(".parquet"):
        return [uri]
    names = [info.uri for info in storage.list_files(uri) if info.uri.endswith(".parquet")]
    data = [name for name in names if "/dataset/" in name and "_margin/" not in name]
    chosen = data or names
    return [name for name in chosen if not name.rsplit("/", 1)[-1].startswith(("_", "data_thumb"))]


def _read_file(name: str, uri: str) -> pa.Table:
    with storage.open_input(name) as source:
        file = pq.ParquetFile(source)
        known = file.schema_arrow.names
        identifier = next((column for column in _IDS if column in known), None)
        missing = [column for column in _NEEDED if column not in known]
        if identifier is None or missing:
            raise DataError(
                f"{uri}: galaxies need the columns ra, dec and one of {', '.join(_IDS)}; "
                f"{name} has {', '.join(known)}"
            )
        columns = [*_NEEDED, identifier, *(c for c in ("redshift",) if c in known)]
        table = file.read(columns=columns)
    redshift = pa.nulls(table.num_rows, pa.float64())
    if "redshift" in columns:
        redshift = pc.cast(table.column("redshift"), pa.float64())
    return pa.table(
        {
            "ra": pc.cast(table.column("ra"), pa.float64()),
            "dec": pc.cast(table.column("dec"), pa.float64()),
            "id": pc.cast(table.column(identifier), pa.string()),
            "redshift": pc.fill_null(redshift, float("nan")),
        }
    )
