"""A catalog that grows night by night: its folder, and what it holds.

It is a HATS collection whose partitions are folders of a fixed order, one file per increment::

    CATALOG/
      series.json                     what all increments share; written once
      increments/<name>.json          what one increment added; written once
      <catalog>/dataset/Norder=3/Dir=0/Npix=17/<name>.parquet
      <catalog>_margin/...            the same
      collection.properties, MANIFEST.sha256 and the small files of the tables

All small files follow from the increments alone, so that writing them again changes nothing.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from catalogtool import storage
from catalogtool.catalogs._base import CatalogContext
from catalogtool.config._base import Settings, build_settings, canonical_json
from catalogtool.errors import ReleaseError, StorageError
from catalogtool.release._collection import Collection
from catalogtool.release._folder import MANIFEST, parse_manifest
from catalogtool.release._properties import ReleaseInfo
from catalogtool.release._rows import Shape
from catalogtool.surveys._definition import Survey

RECORD = "series.json"
INCREMENTS = "increments"


class TableCount(Settings):
    """What an increment added to one table."""

    rows: int
    size_bytes: int
    pixels: tuple[int, ...]


class Increment(Settings):
    """What one increment added to a catalog."""

    name: str
    run_id: str
    created: str
    """Time of the run, UTC, ISO 8601."""
    primary: TableCount
    margin: TableCount
    cells: tuple[int, ...]
    """Occupied cells at the order of the map of counts."""
    counts: tuple[int, ...]
    """Their rows."""
    sha256: dict[str, str]
    """Hash of each data file by its path in the collection."""

    def to_bytes(self) -> bytes:
        """Content of the increment's file."""
        return canonical_json(self.to_json()).encode()


class SeriesRecord(Settings):
    """What all increments of a catalog share."""

    kind: str
    survey: Survey
    classes: tuple[str, ...]
    bands: tuple[str, ...]
    per_band: bool
    model_id: str
    simulated_pixels: bool
    simulated_training: bool
    calibration: str = "none"
    rows_per_partition: int
    """Of the catalog into which the increments are folded."""
    margin_arcsec: float
    order: int
    """HEALPix order of all partitions."""

    @classmethod
    def describe(cls, shape: Shape, order: int) -> Self:
        """Record of a catalog that begins to grow."""
        info = shape.info
        return cls(
            kind=shape.name,
            survey=info.survey,
            classes=info.context.classes,
            bands=info.context.bands,
            per_band=info.context.per_band,
            model_id=info.context.model_id,
            simulated_pixels=info.simulated_pixels,
            simulated_training=info.simulated_training,
            calibration=info.calibration,
            rows_per_partition=info.rows_per_partition,
            margin_arcsec=info.margin_arcsec,
            order=order,
        )

    def shape(self, newest: Increment) -> Shape:
        """Shape of the catalog's files; run and date are those of the newest increment."""
        info = ReleaseInfo(
            survey=self.survey,
            context=CatalogContext(self.classes, self.bands, self.per_band, self.model_id),
            run_id=newest.run_id,
            created=datetime.fromisoformat(newest.created),
            simulated_pixels=self.simulated_pixels,
            simulated_training=self.simulated_training,
            calibration=self.calibration,
            rows_per_partition=self.rows_per_partition,
            margin_arcsec=self.margin_arcsec,
        )
        return Shape(self.kind, info)


@dataclass(frozen=True)
class Series:
    """Addresses of a growing catalog, and its record."""

    uri: str
    record: SeriesRecord

    @classmethod
    def begin(cls, uri: str, record: SeriesRecord) -> Self:
        """Open a growing catalog, or begin one with a record.

        Raises
        ------
        ReleaseError
            If there is one of another kind, model or survey.
        """
        uri = storage.normalise(uri)
        data = canonical_json(record.to_json()).encode()
        storage.create_bytes(storage.join(uri, RECORD), data)
        series = cls.open(uri)
        mine, theirs = (
            (r.kind, r.survey.name, r.model_id, r.classes, r.bands, r.per_band)
            for r in (record, series.record)
        )
        if mine != theirs:
            raise ReleaseError(
                f"{uri}: holds rows of {theirs[:3]}, not of {mine[:3]}; a series keeps its kind, "
                "survey and model: begin another one"
            )
        return series

    @classmethod
    def open(cls, uri: str) -> Self:
        """Open a growing catalog.

        Raises
        ------
        ReleaseError
            If there is none.
        """
        uri = storage.normalise(uri)
        where = storage.join(uri, RECORD)
        try:
            values = json.loads(storage.read_bytes(where))
        except (StorageError, ValueError) as error:
            raise ReleaseError(
                f"{uri}: is not a catalog of increments: {error}; expected a folder below "
                "'series' of an output folder"
            ) from error
        return cls(uri, build_settings(SeriesRecord, values, where=where))

    @property
    def name(self) -> str:
        """Name of the catalog and of its main table."""
        return self.uri.rsplit("/", 1)[-1]

    @property
    def margin_name(self) -> str:
        """Name of the margin's table."""
        return f"{self.name}_margin"

    def increment_path(self, name: str) -> str:
        """Path of an increment's record in the collection."""
        return f"{INCREMENTS}/{name}.json"

    def read_increments(self, names: Iterable[str]) -> list[Increment]:
        """Records of some increments, oldest first."""
        uris = [storage.join(self.uri, self.increment_path(name)) for name in names]
        found = []
        for uri, data in zip(uris, storage.read_many(uris), strict=True):
            if isinstance(data, StorageError):
                raise data
            found.append(build_settings(Increment, json.loads(data), where=uri))
        return sorted(found, key=lambda increment: (increment.created, increment.name))

    def visible(self) -> list[Increment]:
        """Increments that the catalog's list of files names, oldest first."""
        listed = parse_manifest(storage.read_bytes(storage.join(self.uri, MANIFEST)))
        paths = (path.split("/") for path in listed)
        names = [p[1].removesuffix(".json") for p in paths if p[0] == INCREMENTS]
        return self.read_increments(names)

    def strangers(self, names: Sequence[str]) -> list[str]:
        """Paths of data files and records of increments other than the named ones."""
        known = {f"{name}{ending}" for name in names for ending in (".json", ".parquet")}
        return [
            path
            for path in Collection.list(self.uri).names
            if (path.startswith(f"{INCREMENTS}/") or "/Npix=" in path)
            and path.rsplit("/", 1)[-1] not in known
        ]
