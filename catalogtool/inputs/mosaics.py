"""Large FITS images: cutouts around the positions of a table, of which only sections are read."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pyarrow as pa

from catalogtool import storage
from catalogtool.errors import LabelError, ManifestError, StorageError
from catalogtool.flags import Flag
from catalogtool.inputs._base import Cutouts
from catalogtool.inputs._base import Format as BaseFormat
from catalogtool.inputs._host_facts import HostLabels
from catalogtool.inputs._listing import ListedObject, files_ending, manifest_table
from catalogtool.inputs._mosaic import DamagedMosaicError, FloatArray, Mosaic
from catalogtool.inputs._names import FITS_ENDINGS, parse_name
from catalogtool.inputs._planes import Plane, fit_plane, place, storage_flag
from catalogtool.inputs.labels import LabelTable, read_labels
from catalogtool.surveys._definition import Survey

_OBJECTS_PER_TABLE = 5000
_OPEN_FILES = 16


class Format(BaseFormat):
    """A folder, a prefix or a single file of large images, and a table of positions.

    The table, which ``--labels`` names, says which objects there are. Each gets the mosaic of each
    band in which it is farthest from the edges. A file's band is the group ``band`` of the survey's
    ``id_pattern`` in its name; files without one are of all bands.
    """

    def __init__(self, survey: Survey, uri: str | None, labels_uri: str | None = None) -> None:
        super().__init__(survey, uri, labels_uri)
        self._host_labels: HostLabels | None = None
        # One thread reads at a time; an open file costs a header, and on object storage a request.
        self._mosaic = lru_cache(maxsize=_OPEN_FILES)(self._open)

    @staticmethod
    def recognises(uri: str) -> bool:
        """Whether this is a FITS file, or a folder that holds one.

        So are cutouts, which are tried first unless the survey says that it has mosaics.
        """
        named = uri.lower().endswith(FITS_ENDINGS)
        return named or next(files_ending(uri, FITS_ENDINGS), None) is not None

    def list_objects(self) -> Iterator[pa.Table]:
        """Yield the objects of the table, sorted by name.

        Raises
        ------
        ManifestError
            If there is no mosaic.
        LabelError
            If there is no table of positions.
        """
        files = {band: list(self._files(band)) for band in self.survey.band_names}
        if not any(files.values()):
            bands = ", ".join(self.survey.band_names)
            raise ManifestError(f"{self.uri}: holds no FITS mosaics in the bands {bands}")
        labels = self._positions()
        names = sorted(labels.index)
        entries = np.array([labels.index[name] for name in names])
        ra, dec = labels.ra[entries], labels.dec[entries]
        chosen = [self._deepest(files[band], ra, dec) for band in self.survey.band_names]
        for start in range(0, len(names), _OBJECTS_PER_TABLE):
            yield manifest_table(
                [
                    self._listed(names[index], labels, [of_band[index] for of_band in chosen])
                    for index in range(start, min(start + _OBJECTS_PER_TABLE, len(names)))
                ]
            )

    def _files(self, band: str) -> Iterator[storage.FileInfo]:
        for info in files_ending(str(self.uri), FITS_ENDINGS):
            name = parse_name(info.uri.rsplit("/", 1)[-1], self.survey.input.id_pattern)
            if name is None or name.band in (None, band):
                yield info

    def _positions(self) -> LabelTable:
        if self.labels_uri is None:
            source = self.survey.input
            raise LabelError(
                f"{self.uri}: mosaics need a table of the objects to cut out; give --labels one "
                f"with the columns {source.id_column}, {source.ra_column} and {source.dec_column}"
            )
        return read_labels(self.labels_uri, self.survey)

    def _deepest(
        self,
        files: list[storage.FileInfo],
        ra: FloatArray,
        dec: FloatArray,
    ) -> list[storage.FileInfo | None]:
        """File in which each position is farthest from the edges; None outside of all."""
        best = np.full(len(ra), -0.5)
        found: list[storage.FileInfo | None] = [None] * len(ra)
        known = np.isfinite(ra) & np.isfinite(dec)
        for info in files:
            try:
                mosaic = self._mosaic(info.uri, None)
            except DamagedMosaicError:
                continue  # objects that lie in it alone have no pixels, and are flagged
            depth = np.full(len(ra), -np.inf)
            depth[known] = mosaic.depth(mosaic.pixels(ra[known], dec[known]))
            for index in np.flatnonzero(depth > best).tolist():
                found[index] = info
            best = np.maximum(best, depth)
        return found

    def _listed(
        self, name: str, labels: LabelTable, files: list[storage.FileInfo | None]
    ) -> ListedObject:
        identities = "\n".join(info.identity if info else "" for info in files)
        return ListedObject(
            source_id=name,
            uris=tuple(info.uri if info else "" for info in files),
            row=0,
            identity=hashlib.sha256(identities.encode()).hexdigest(),
            position=labels.position(name),
            votes=labels.votes_of(name),
            split=labels.split_of(name),
            observed_mjd=labels.observed_mjd(name),
        )

    def read(self, rows: pa.Table) -> Cutouts:
        """Cut out the objects of some manifest rows."""
        cutouts = self.empty_cutouts(rows.num_rows)
        orientations: list[FloatArray | None] = [None] * rows.num_rows
        wanted = rows.select(["source_id", "uris", "ra", "dec"]).to_pylist()
        for index, row in enumerate(wanted):
            for band, uri in enumerate(row["uris"]):
                plane, orientation = self._plane(uri, band, row["ra"], row["dec"])
                place(cutouts, index, band, plane)
                if orientations[index] is None:
                    orientations[index] = orientation
        if self._host_labels is None:
            self._host_labels = HostLabels.read(self.labels_uri, self.survey)
        names = [row["source_id"] for row in wanted]
        return replace(cutouts, facts=self._host_labels.facts(names, orientations))

    def _plane(
        self, uri: str, band: int, ra: float | None, dec: float | None
    ) -> tuple[Plane | Flag, FloatArray | None]:
        if not uri or ra is None or dec is None:
            return Flag.MISSING_BAND, None
        size = self.survey.cutout_size_pix
        try:
            mosaic = self._mosaic(uri, self._hdu(uri, band))
            column, row = mosaic.pixels(np.array([ra]), np.array([dec]))[0]
            pixels, is_padded = mosaic.cutout(int(column), int(row), size)
        except DamagedMosaicError:
            return Flag.UNREADABLE, None
        except StorageError as error:
            return storage_flag(error), None
        plane = fit_plane(pixels, size)
        if is_padded and isinstance(plane, Plane):
            plane = plane._replace(flags=plane.flags | Flag.PADDED)
        return plane, mosaic.orientation

    def _hdu(self, uri: str, band: int) -> str | None:
        """Extension of a band in a file of all bands; None: its only image."""
        name = parse_name(uri.rsplit("/", 1)[-1], self.survey.input.id_pattern)
        is_shared = name is None or name.band is None
        if self.survey.input.hdu is not None or not is_shared or len(self.survey.bands) == 1:
            return self.survey.input.hdu
        return self.survey.band_names[band]

    @staticmethod
    def _open(uri: str, hdu: str | None) -> Mosaic:
        return Mosaic(uri, hdu)
