"""From a finished run to the page of its unusual objects and hosts."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.errors import ConfigError
from catalogtool.hosts.sky import Orientation, offsets_between
from catalogtool.inputs import open_input_format
from catalogtool.inputs._base import Cutouts
from catalogtool.inputs.manifest import Manifest
from catalogtool.layout import RunLayout
from catalogtool.production.hosts import host_band
from catalogtool.production.record import RunRecord, read_record
from catalogtool.quality.gallery import Anomaly, GalleryContent, Host, render_gallery
from catalogtool.surveys import load_survey
from catalogtool.surveys._definition import Survey
from catalogtool.surveys._recipe import HostOptions

_COLOURS = 3
_HOST_PIX = 240
"""Side of the central part of a wide cutout that is shown, unless the arrow is longer."""


def write_gallery(run: RunLayout, count: int) -> str:
    """Write the page of a run's most unusual objects and of some of its hosts; returns its address.

    Parameters
    ----------
    run : RunLayout
        A committed run.
    count : int
        Most objects of either.

    Raises
    ------
    ConfigError
        If the run has neither.
    """
    record = read_record(run)
    if not {"anomaly", "host"} & {*record.kinds}:
        raise ConfigError(
            f"{run.uri}: has the catalogs {', '.join(record.kinds)}; a gallery shows anomaly and "
            "host, produce them with --catalog"
        )
    survey = load_survey(record.config.survey)
    shown = _Shown(run, record, survey)
    content = GalleryContent(
        title=f"Gallery of {survey.title}",
        subtitle=f"Run {record.run_id} · {record.created}",
        anomalies=tuple(shown.anomalies(count)) if "anomaly" in record.kinds else (),
        hosts=tuple(shown.hosts(count)) if "host" in record.kinds else (),
        remarks=("The cutouts are simulated: no row describes a real object.",)
        if record.simulated_cutouts
        else (),
    )
    uri = storage.join(run.gallery, "index.html")
    storage.write_bytes(uri, render_gallery(content).encode())
    return uri


class _Shown:
    """Reads what the page shows."""

    def __init__(self, run: RunLayout, record: RunRecord, survey: Survey) -> None:
        self._run = run
        self._survey = survey
        self._manifest = Manifest(
            record.manifest_uri, record.manifest_identity, record.objects, record.units
        )
        config = record.config
        self._source = open_input_format(survey, config.input, config.labels)

    def anomalies(self, count: int) -> Iterator[Anomaly]:
        """The objects with the highest scores."""
        for row, cutouts, _ in self._best("anomaly", "anomaly_score", count):
            images = cutouts.images[0, :_COLOURS]
            yield Anomaly(_picture(images), row)

    def hosts(self, count: int) -> Iterator[Host]:
        """The transients whose hosts are farthest away: there are mistakes to be seen."""
        recipes = [recipe.hosts for recipe in self._survey.recipes if recipe.hosts is not None]
        band = host_band(self._survey, recipes[0] if recipes else HostOptions())
        for row, cutouts, at in self._best("host", "separation_arcsec", count):
            scale = self._survey.pixel_scale_arcsec
            orientation = Orientation.of(cutouts.facts, 1, scale)
            arrows = {
                "host": self._offset(orientation, row, "offset"),
                "network": self._offset(orientation, row, "network"),
            }
            if row["is_ambiguous"] and at is not None and row["second_ra"] is not None:
                second = np.array([row["second_ra"]]), np.array([row["second_dec"]])
                arrows["second"] = _pair(orientation.offsets_pix(offsets_between(*at, *second)))
            longest = max(abs(value) for pair in arrows.values() for value in pair)
            image = _central(cutouts.images[0, band], max(_HOST_PIX, int(2.4 * longest)))
            yield Host(image, row, arrows, row["scatter_arcsec"] / scale)

    @staticmethod
    def _offset(orientation: Orientation, row: dict[str, Any], name: str) -> tuple[float, float]:
        arcsec = np.array([[row[f"{name}_east_arcsec"], row[f"{name}_north_arcsec"]]])
        return _pair(orientation.offsets_pix(arcsec))

    def _best(
        self, kind: str, by: str, count: int
    ) -> Iterator[tuple[dict[str, Any], Cutouts, tuple[Any, Any] | None]]:
        """Rows with the highest values, their cutouts, and their positions."""
        best: list[tuple[float, int, int]] = []
        for unit in range(self._manifest.units):
            with storage.open_input(self._run.part(kind, unit)) as source:
                values = pq.read_table(source, columns=[by]).column(by).to_numpy()
            places = np.flatnonzero(np.isfinite(values))
            places = places[np.argsort(-values[places], kind="stable")[:count]]
            best += [(-float(values[place]), unit, place) for place in places.tolist()]
            best = sorted(best)[:count]
        for _, unit, place in best:
            with storage.open_input(self._run.part(kind, unit)) as source:
                row = pq.read_table(source).slice(place, 1).to_pylist()[0]
            manifest_row = self._manifest.read_unit(unit).slice(place, 1)
            yield row, self._source.read(manifest_row), _position(manifest_row)


def _position(rows: pa.Table) -> tuple[Any, Any] | None:
    ra, dec = rows.column("ra")[0].as_py(), rows.column("dec")[0].as_py()
    return None if ra is None or dec is None else (np.array([ra]), np.array([dec]))


def _pair(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    return float(values[0, 0]), float(values[0, 1])


def _picture(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The first band, or the first three as red, green and blue: (H, W) or (3, H, W)."""
    return images[0] if len(images) < _COLOURS else images


def _central(image: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.float32]:
    height, width = image.shape
    size = min(size, height, width) // 2 * 2
    top, left = height // 2 - size // 2, width // 2 - size // 2
    return image[top : top + size, left : left + size]
