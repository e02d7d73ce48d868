"""Simulated fields around transients as files: FITS cutouts, or one mosaic, and all that is true.

A folder gets ``cutouts/NAME.fits`` or ``mosaic.fits``, ``labels.csv`` with the transients and their
hosts, and ``galaxies.parquet`` to match hosts with.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.errors import ConfigError
from catalogtool.hosts.sky import shifted
from catalogtool.inputs._simulation.field import open_stream
from catalogtool.inputs._simulation.host_pixels import Image, render
from catalogtool.inputs._simulation.host_scenes import LIGHT_RADII, Scene, tiled
from catalogtool.inputs.simulated_hosts import Format
from catalogtool.progress import Progress

_CHUNK = 32
_LARGEST_PIX = 20_000
"""Side of the largest mosaic: 1.6 GB, and as much again to draw it."""
_LABELS = pa.schema(
    [
        pa.field("object_id", pa.string()),
        pa.field("ra", pa.float64()),
        pa.field("dec", pa.float64()),
        pa.field("host_class", pa.string()),
        pa.field("host_ra", pa.float64()),
        pa.field("host_dec", pa.float64()),
        pa.field("is_hostless", pa.bool_()),
        pa.field("host_galaxy_id", pa.int64()),
    ]
)
_GALAXIES = pa.schema(
    [
        pa.field("galaxy_id", pa.int64()),
        pa.field("ra", pa.float64()),
        pa.field("dec", pa.float64()),
        pa.field("redshift", pa.float64()),
        pa.field("radius_arcsec", pa.float64()),
        pa.field("magnitude_ab", pa.float64()),
    ]
)
_GALAXIES_PER_FIELD = 1000
"""Numbers of galaxies: those of the field times this, and their place among them."""

Record = dict[str, Any]


@dataclass(frozen=True)
class Written:
    """How much was written."""

    transients: int
    hostless: int
    galaxies: int

    def to_json(self) -> dict[str, int]:
        """Counts for programs."""
        return {
            "transients": self.transients,
            "hostless": self.hostless,
            "galaxies": self.galaxies,
        }


@dataclass(frozen=True)
class _Frame:
    """A square image on the sky, north up and east left.

    Attributes
    ----------
    ra, dec : float
        Degrees of pixel (centre, centre); the first pixel is 0.
    scale_arcsec : float
    centre : int
    """

    ra: float
    dec: float
    scale_arcsec: float
    centre: int

    def sky(self, x: float, y: float) -> tuple[float, float]:
        """Position of a pixel."""
        offset = np.array([[self.centre - x, y - self.centre]]) * self.scale_arcsec
        ra, dec = shifted(np.array([self.ra]), np.array([self.dec]), offset)
        return float(ra[0]), float(dec[0])

    def cards(self) -> Record:
        """Keywords of the WCS."""
        degrees = self.scale_arcsec / 3600
        return {
            "CTYPE1": "RA---TAN",
            "CTYPE2": "DEC--TAN",
            "CUNIT1": "deg",
            "CUNIT2": "deg",
            "CRVAL1": self.ra,
            "CRVAL2": self.dec,
            "CRPIX1": self.centre + 1.0,
            "CRPIX2": self.centre + 1.0,
            "CDELT1": -degrees,
            "CDELT2": degrees,
            "RADESYS": "ICRS",
        }


def write_fields(source: Format, folder: str, progress: Progress) -> Written:
    """Write a cutout per transient; the same source always gives the same bytes."""
    rows = pa.concat_tables(source.list_objects())
    scale, centre = source.survey.pixel_scale_arcsec, source.survey.cutout_size_pix // 2
    labels: list[Record] = []
    galaxies: list[Record] = []
    with progress.stage("write cutouts"):
        for start in range(0, rows.num_rows, _CHUNK):
            some = rows.slice(start, _CHUNK)
            images = source.read(some).images[:, 0]
            for image, row in zip(images, some.to_pylist(), strict=True):
                frame = _Frame(row["ra"], row["dec"], scale, centre)
                name = f"{row['source_id']}.fits"
                storage.write_bytes(storage.join(folder, "cutouts", name), _fits(image, frame))
                scene = source.scene(row["row"])
                truth = _Truth(source, row["row"], scene, frame, (0, 0))
                labels.append(truth.label())
                galaxies += truth.galaxies()
            progress.advance(start + some.num_rows, rows.num_rows, "cutouts")
    return _write_tables(folder, labels, galaxies)


def write_mosaic(source: Format, folder: str) -> Written:
    """Write one image of all fields side by side; the same source always gives the same bytes.

    Each transient is at the central pixel of its field. Galaxies reach into other fields.

    Raises
    ------
    ConfigError
        If the image would be too large.
    """
    columns, size = int(np.ceil(np.sqrt(source.count))), source.survey.cutout_size_pix
    side = columns * size
    if side > _LARGEST_PIX:
        most = (_LARGEST_PIX // size) ** 2
        raise ConfigError(
            f"a mosaic of {source.count} fields has {side} pixels a side; at most {most} fields "
            "fit into one: write fewer, or several with a seed each"
        )
    field = source.survey.host_field
    assert field is not None
    ra, dec = (float(angle.to_value("deg")) for angle in (field.ra, field.dec))
    frame = _Frame(ra, dec, source.survey.pixel_scale_arcsec, side // 2)
    scenes = [source.scene(index) for index in range(source.count)]
    stream = open_stream(source.survey.name, field.seed, "host-mosaic", source.count)
    image = render(source.survey, tiled(scenes, columns, size), stream, side)
    storage.write_bytes(storage.join(folder, "mosaic.fits"), _fits(image, frame))
    labels: list[Record] = []
    galaxies: list[Record] = []
    for index, scene in enumerate(scenes):
        row, column = divmod(index, columns)
        truth = _Truth(source, index, scene, frame, (column * size, row * size))
        labels.append(truth.label())
        galaxies += truth.galaxies()
    return _write_tables(folder, labels, galaxies)


@dataclass(frozen=True)
class _Truth:
    """What is true of one field: the image that it lies in, and its first pixel x and y there."""

    source: Format
    index: int
    scene: Scene
    frame: _Frame
    origin: tuple[int, int]

    def label(self) -> Record:
        """A row of `_LABELS`."""
        centre = self.source.survey.cutout_size_pix // 2
        ra, dec = self._sky(centre, centre)
        host = self.scene.host
        record: Record = {
            "object_id": self.source.name_of(self.index),
            "ra": ra,
            "dec": dec,
            "host_class": self.source.class_of(self.scene),
            "is_hostless": host is None,
        }
        if host is not None:
            record["host_ra"], record["host_dec"] = self._sky(host.x, host.y)
            record["host_galaxy_id"] = self._galaxy_id(self.scene.galaxies.index(host))
        return record

    def galaxies(self) -> Iterator[Record]:
        """Rows of `_GALAXIES`: those in the field that could be seen."""
        field, size = self.source.survey.host_field, self.source.survey.cutout_size_pix
        assert field is not None
        rng = open_stream(self.source.survey.name, field.seed, "host-redshifts", self.index)
        for place, galaxy in enumerate(self.scene.galaxies):
            # Fainter galaxies are farther, with a scatter; clusters are not told apart.
            typical = 0.05 * 10 ** (0.15 * (galaxy.magnitude_ab - 16))
            redshift = float(np.clip(typical * np.exp(rng.normal(0, 0.3)), 0.001, 2))
            is_inside = 0 <= galaxy.x < size and 0 <= galaxy.y < size
            if is_inside and galaxy.magnitude_ab <= field.magnitude_limit_value:
                ra, dec = self._sky(galaxy.x, galaxy.y)
                yield {
                    "galaxy_id": self._galaxy_id(place),
                    "ra": ra,
                    "dec": dec,
                    "redshift": redshift,
                    "radius_arcsec": LIGHT_RADII * galaxy.radius_arcsec,
                    "magnitude_ab": galaxy.magnitude_ab,
                }

    def _galaxy_id(self, place: int) -> int:
        return self.index * _GALAXIES_PER_FIELD + place

    def _sky(self, x: float, y: float) -> tuple[float, float]:
        return self.frame.sky(x + self.origin[0], y + self.origin[1])


def _fits(image: Image, frame: _Frame) -> bytes:
    from astropy.io import fits

    file = io.BytesIO()
    fits.PrimaryHDU(image, fits.Header(frame.cards())).writeto(file)
    return file.getvalue()


def _write_tables(folder: str, labels: list[Record], galaxies: list[Record]) -> Written:
    label_file, galaxy_file = io.BytesIO(), io.BytesIO()
    pyarrow.csv.write_csv(pa.Table.from_pylist(labels, schema=_LABELS), label_file)
    pq.write_table(pa.Table.from_pylist(galaxies, schema=_GALAXIES), galaxy_file)
    storage.write_bytes(storage.join(folder, "labels.csv"), label_file.getvalue())
    storage.write_bytes(storage.join(folder, "galaxies.parquet"), galaxy_file.getvalue())
    hostless = sum(label["is_hostless"] for label in labels)
    return Written(len(labels), hostless, len(galaxies))
