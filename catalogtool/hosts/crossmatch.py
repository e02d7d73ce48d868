"""Hosts matched with a table of galaxies: identifiers and redshifts, without a network.

Around the middle of a large host there are always faint galaxies of the background, and one of them
is often nearer to it than the catalog's place of the host itself. So galaxies are weighed by how
rare ones as bright as they are (the likelihood ratio of Sutherland and Saunders, 1992).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import types
from scipy.spatial import KDTree

from catalogtool import storage
from catalogtool.errors import DataError

Floats = npt.NDArray[np.float64]

REACH_ARCSEC = 1.0
"""A galaxy this near may be the host; beyond, it must lie well inside of the host's ellipse."""
_REACH_RADII = 0.25
_FARTHEST_ARCSEC = 15.0
_REACH_SIGMA = 2.5
"""How many standard deviations of the places the reach is."""
_NEEDED = ("ra", "dec")
_NAMES = {
    "ra": ("ra",),
    "dec": ("dec",),
    "redshift": ("redshift",),
    "magnitude": ("magnitude", "magnitude_ab"),
}
"""What is read, and the names that it may have."""
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
    magnitude : ndarray, shape (G,), or None
        NaN where unknown.
    """

    def __init__(
        self,
        ra: Floats,
        dec: Floats,
        names: list[str],
        redshift: Floats,
        magnitude: Floats | None = None,
    ) -> None:
        self.names = names
        self.redshift = redshift
        self._as_bright = None if magnitude is None else _as_bright(magnitude)
        self._tree = KDTree(_unit_vectors(ra, dec))

    @classmethod
    def read(cls, uri: str) -> "Galaxies":
        """Read a Parquet file, or the Parquet files of a folder or HATS collection.

        Columns ``ra`` and ``dec`` in degrees, one of ``galaxy_id``, ``object_id``, ``id``,
        ``source_id``, and if known ``redshift`` and ``magnitude`` (or ``magnitude_ab``). Galaxies
        without a position are left out.

        Raises
        ------
        DataError
            If there are none, one cannot be read, or a column is missing or has no numbers.
        """
        table = pa.concat_tables(_read_file(info.uri) for info in galaxy_files(uri))
        placed = pc.and_(*(pc.is_finite(pc.fill_null(table.column(c), np.nan)) for c in _NEEDED))
        table = table.filter(placed)
        values = {name: table.column(name).to_numpy() for name in _NAMES}
        magnitude = values["magnitude"] if np.isfinite(values["magnitude"]).any() else None
        names = table.column("id").to_pylist()
        return cls(values["ra"], values["dec"], names, values["redshift"], magnitude)

    def match(self, ra: float, dec: float, radius_arcsec: float) -> dict[str, Any]:
        """The galaxy that a host most likely is.

        It lies within an arcsec of the host, or within a quarter of the host's semi-major axis.
        Of several, the one whose place and brightness are least likely by chance is it; where no
        magnitudes are known, a nearest one beyond an arcsec among several is none.

        Parameters
        ----------
        ra, dec : float
            Degrees.
        radius_arcsec : float
            The host's semi-major axis.

        Returns
        -------
        dict
            Empty without a match; ``matched_share`` is how likely it is among all within reach.
        """
        reach = min(max(REACH_ARCSEC, _REACH_RADII * radius_arcsec), _FARTHEST_ARCSEC)
        place = _unit_vectors(np.array([ra]), np.array([dec]))[0]
        near = np.array(self._tree.query_ball_point(place, _chord(reach)), dtype=np.int64)
        if not len(near):
            return {}
        separation = _arcsec(np.linalg.norm(self._tree.data[near] - place, axis=1))
        likelihood = np.exp(-0.5 * (_REACH_SIGMA * separation / reach) ** 2)
        if self._as_bright is not None:
            likelihood /= self._as_bright[near]
        elif len(near) > 1 and separation.min() > REACH_ARCSEC:
            return {}
        best = int(likelihood.argmax())
        return {
            "matched_id": self.names[near[best]],
            "matched_share": float(likelihood[best] / likelihood.sum()),
            "matched_separation_arcsec": float(separation[best]),
            "redshift": float(self.redshift[near[best]]),
        }


def _as_bright(magnitude: Floats) -> Floats:
    """How many galaxies are at least as bright as each, shape (G,); all for unknown magnitudes."""
    known = np.where(np.isfinite(magnitude), magnitude, np.inf)
    return np.searchsorted(np.sort(known), known, side="right").astype(np.float64)


def _chord(arcsec: float) -> float:
    return float(2 * np.sin(np.radians(arcsec / 3600) / 2))


def _arcsec(chord: Floats) -> Floats:
    return np.asarray(np.degrees(2 * np.arcsin(np.minimum(chord / 2, 1))) * 3600)


def _unit_vectors(ra: Floats, dec: Floats) -> Floats:
    longitude, latitude = np.radians(ra), np.radians(dec)
    flat = np.cos(latitude)
    return np.stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)], axis=-1)


def galaxy_files(uri: str) -> list[storage.FileInfo]:
    """Data files of a table; those of a collection's margin repeat rows of the others.

    Raises
    ------
    DataError
        If there are none.
    """
    found = [info for info in storage.list_files(uri) if info.uri.endswith(".parquet")]
    data = [info for info in found if "/dataset/" in info.uri and "_margin/" not in info.uri]
    names = [(info, info.uri.rsplit("/", 1)[-1]) for info in data or found]
    chosen = [info for info, name in names if not name.startswith(("_", "data_thumb"))]
    if not chosen:
        raise DataError(f"{uri}: holds no Parquet file of galaxies; check the address")
    return chosen


def check_galaxies(name: str) -> None:
    """Look at the columns of a file, so that a wrong table is told before anything is trained.

    Parameters
    ----------
    name : str
        Address of one of the `galaxy_files`.

    Raises
    ------
    DataError
        If it is no Parquet file, lacks a column, or has other values than numbers in one.
    """
    with storage.open_input(name) as source:
        _columns_of(_opened(source, name), name)


def _opened(source: pa.NativeFile, name: str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(source)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: Exception) -> DataError:
    return DataError(
        f"{name}: cannot be read as Parquet with galaxies ({error}); write or copy it again"
    )


def _columns_of(file: pq.ParquetFile, name: str) -> dict[str, str | None]:
    """Column of the identifier and of everything in `_NAMES`, None where there is none."""
    schema = file.schema_arrow
    names = {"id": _IDS, **_NAMES}
    found = {
        wanted: next((column for column in known if column in schema.names), None)
        for wanted, known in names.items()
    }
    if not all(found[wanted] for wanted in ("id", *_NEEDED)):
        raise DataError(
            f"{name}: galaxies need the columns ra, dec and one of {', '.join(_IDS)}; "
            f"it has {', '.join(schema.names)}"
        )
    for wanted, column in found.items():
        if column and wanted != "id" and not _is_number(schema.field(column).type):
            raise DataError(
                f"{name}: column {column} of galaxies has values of type "
                f"{schema.field(column).type}; expected numbers, positions in degrees"
            )
    return found


def _is_number(kind: pa.DataType) -> bool:
    numbers = (types.is_floating, types.is_integer, types.is_decimal, types.is_null)
    return any(known(kind) for known in numbers)


def _read_file(name: str) -> pa.Table:
    with storage.open_input(name) as source:
        file = _opened(source, name)
        found = _columns_of(file, name)
        try:
            table = file.read(columns=[column for column in found.values() if column])
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(name, error) from error
    unknown = pa.nulls(table.num_rows, pa.float64())
    numbers = {
        wanted: pc.cast(table.column(column), pa.float64()) if column else unknown
        for wanted, column in found.items()
        if wanted != "id"
    }
    filled = {wanted: pc.fill_null(values, float("nan")) for wanted, values in numbers.items()}
    return pa.table({**filled, "id": pc.cast(table.column(found["id"]), pa.string())})
