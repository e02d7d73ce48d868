"""FITS cutouts: a file per object with a band per extension, or a file per object and band."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import pyarrow as pa

from catalogtool import storage
from catalogtool.errors import ManifestError, StorageError
from catalogtool.flags import Flag
from catalogtool.inputs._base import Cutouts
from catalogtool.inputs._base import Format as BaseFormat
from catalogtool.inputs._fits import (
    DamagedFitsError,
    FitsImages,
    FloatArray,
    open_fits,
    orientation_of,
    position_of,
)
from catalogtool.inputs._host_facts import HostLabels, wants_host_facts
from catalogtool.inputs._listing import ListedObject, files_ending, manifest_table
from catalogtool.inputs._names import FITS_ENDINGS, first_few, parse_name
from catalogtool.inputs._planes import Plane, fit_plane, place, storage_flag
from catalogtool.inputs._times import observed_mjd_of
from catalogtool.inputs.labels import LabelTable, read_labels
from catalogtool.surveys._definition import Survey

_OBJECTS_PER_TABLE = 256
_FILES_AT_ONCE = 256
"""Bounds the memory of a read: so many files are held at a time."""

Files = dict[str | None, storage.FileInfo]
"""Files of one object by band; the key is None where one file holds all bands."""


class _Sighting(NamedTuple):
    """Where and when an object was observed, as far as its files tell."""

    position: tuple[float, float] | None = None
    observed_mjd: float | None = None


class Format(BaseFormat):
    """A folder, a prefix or a single file of FITS cutouts."""

    def __init__(self, survey: Survey, uri: str | None, labels_uri: str | None = None) -> None:
        super().__init__(survey, uri, labels_uri)
        is_asked = wants_host_facts(survey)
        self._host_labels = HostLabels.read(labels_uri, survey) if is_asked else None

    @staticmethod
    def recognises(uri: str) -> bool:
        """Whether this is a FITS file, or a folder that holds one."""
        named = uri.lower().endswith(FITS_ENDINGS)
        return named or next(files_ending(uri, FITS_ENDINGS), None) is not None

    def list_objects(self) -> Iterator[pa.Table]:
        """Yield all objects, sorted by name.

        Positions come from the WCS and times from the headers, else from the label table.

        Raises
        ------
        ManifestError
            If there is no cutout, a name does not fit the pattern, or two files are the same
            band of an object.
        LabelError
            If the label table contradicts the objects.
        """
        objects = self._group_files()
        labels = read_labels(self.labels_uri, self.survey) if self.labels_uri else None
        if labels is not None:
            labels.refuse_unknown(objects)
        names = sorted(objects)
        for start in range(0, len(names), _OBJECTS_PER_TABLE):
            chunk = names[start : start + _OBJECTS_PER_TABLE]
            sightings = self._sightings([objects[name] for name in chunk])
            listed = [
                self._listed(name, objects[name], sighting, labels)
                for name, sighting in zip(chunk, sightings, strict=True)
            ]
            yield manifest_table(listed)

    def _group_files(self) -> dict[str, Files]:
        objects: dict[str, Files] = {}
        strangers, twice = [], []
        for info in files_ending(str(self.uri), FITS_ENDINGS):
            name = parse_name(info.uri.rsplit("/", 1)[-1], self.survey.input.id_pattern)
            if name is None:
                strangers.append(info.uri)
            elif name.band is None or name.band in self.survey.band_names:
                files = objects.setdefault(name.source_id, {})
                if files and (name.band is None or None in files or name.band in files):
                    twice.append(info.uri)
                files[name.band] = info
        self._refuse(strangers, "have names that do not fit the survey's id_pattern")
        self._refuse(twice, "repeat a band of an object that another file holds")
        if not objects:
            bands = ", ".join(self.survey.band_names)
            raise ManifestError(f"{self.uri}: holds no FITS cutouts in the bands {bands}")
        return objects

    def _refuse(self, uris: Sequence[str], what: str) -> None:
        if uris:
            raise ManifestError(
                f"{self.uri}: {len(uris)} files {what}: {first_few(uris)}; remove or rename them",
                count=len(uris),
            )

    def _listed(
        self,
        name: str,
        files: Files,
        sighting: _Sighting,
        labels: LabelTable | None,
    ) -> ListedObject:
        bands = (None,) if None in files else self.survey.band_names
        found = [files.get(band) for band in bands]
        position, observed_mjd = sighting
        if labels is not None:
            position = position or labels.position(name)
            observed_mjd = observed_mjd or labels.observed_mjd(name)
        return ListedObject(
            source_id=name,
            uris=tuple(info.uri if info else "" for info in found),
            row=0,
            identity=_identity([info.identity if info else "" for info in found]),
            position=position,
            votes=labels.votes_of(name) if labels else None,
            split=labels.split_of(name) if labels else "",
            observed_mjd=observed_mjd,
        )

    def _sightings(self, objects: Sequence[Files]) -> list[_Sighting]:
        """Positions and times; files of an object are opened until one tells its position."""
        found = [_Sighting()] * len(objects)
        for turn in range(max(map(len, objects))):
            open_ends = [
                index
                for index, files in enumerate(objects)
                if found[index].position is None and turn < len(files)
            ]
            uris = [list(objects[index].values())[turn].uri for index in open_ends]
            for index, data in zip(open_ends, storage.read_many(uris), strict=True):
                position, observed_mjd = self._sighting(data)
                found[index] = _Sighting(position, found[index].observed_mjd or observed_mjd)
        return found

    def _sighting(self, data: bytes | StorageError) -> _Sighting:
        if isinstance(data, StorageError):
            return _Sighting()
        position = observed_mjd = None
        try:
            with open_fits(data) as images:
                for image in self._images_of_bands(images):
                    header = images.header(image)
                    observed_mjd = observed_mjd or observed_mjd_of(header)
                    position = position_of(
                        header,
                        images.shape(image),
                        central_pixel=self._host_labels is not None,  # where transients are
                    )
                    if position is not None:
                        break
                observed_mjd = observed_mjd or observed_mjd_of(images.primary_header())
        except DamagedFitsError:
            return _Sighting()  # reading will say so
        return _Sighting(position, observed_mjd)

    def _images_of_bands(self, images: FitsImages) -> list[int]:
        declared = [i for i, name in enumerate(images.names) if name in self.survey.band_names]
        return declared or list(range(len(images.names)))

    def read(self, rows: pa.Table) -> Cutouts:
        """Read the cutouts of some manifest rows."""
        cutouts = self.empty_cutouts(rows.num_rows)
        wanted = [
            (index, file, uri)
            for index, uris in enumerate(rows.column("uris").to_pylist())
            for file, uri in enumerate(uris)
        ]
        orientations: list[FloatArray | None] = [None] * rows.num_rows
        single = [len(uris) == 1 for uris in rows.column("uris").to_pylist()]
        for start in range(0, len(wanted), _FILES_AT_ONCE):
            chunk = wanted[start : start + _FILES_AT_ONCE]
            present = [uri for _, _, uri in chunk if uri]
            contents = dict(zip(present, storage.read_many(present), strict=True))
            for index, file, uri in chunk:
                bands = range(len(self.survey.bands)) if single[index] else (file,)
                planes = self._planes(contents[uri], bands) if uri else [Flag.MISSING_BAND]
                if self._host_labels is not None and uri and orientations[index] is None:
                    orientations[index] = _orientation(contents[uri])
                for band, plane in zip(bands, planes, strict=True):
                    place(cutouts, index, band, plane)
        if self._host_labels is None:
            return cutouts
        names = rows.column("source_id").to_pylist()
        return replace(cutouts, facts=self._host_labels.facts(names, orientations))

    def _planes(self, data: bytes | StorageError, bands: Sequence[int]) -> list[Plane | Flag]:
        if isinstance(data, StorageError):
            return [storage_flag(data)] * len(bands)
        try:
            with open_fits(data) as images:
                return [self._plane(images, band, alone=len(bands) == 1) for band in bands]
        except DamagedFitsError:
            return [Flag.UNREADABLE] * len(bands)

    def _plane(self, images: FitsImages, band: int, *, alone: bool) -> Plane | Flag:
        name = self.survey.band_names[band]
        if alone and self.survey.input.hdu is not None:
            name = self.survey.input.hdu.lower()
        if name in images.names:
            image = images.names.index(name)
        elif alone and self.survey.input.hdu is None and images.names:
            image = 0
        else:
            return Flag.MISSING_BAND
        return fit_plane(images.pixels(image), self.survey.cutout_size_pix)


def _orientation(data: bytes | StorageError) -> FloatArray | None:
    """How the first image of a file lies on the sky."""
    if isinstance(data, StorageError):
        return None
    try:
        with open_fits(data) as images:
            return orientation_of(images.header(0)) if images.names else None
    except DamagedFitsError:
        return None


def _identity(identities: Sequence[str]) -> str:
    if len(identities) == 1:
        return identities[0]
    return hashlib.sha256("\n".join(identities).encode()).hexdigest()
