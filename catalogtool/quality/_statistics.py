"""What a finished catalog holds, counted partition by partition."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from catalogtool.catalogs._common import entropy_nat
from catalogtool.release._collection import Collection, Table

CONFIDENCE_EDGES = np.linspace(0, 1, 41)
SKY_POINTS = 20_000
"""Most positions that the map of the sky shows."""


@dataclass
class CatalogStatistics:
    """Counts of a catalog.

    Attributes
    ----------
    classes, bands : tuple of str
        Names; bands in the order of the survey, those without rows left out.
    class_counts : dict
        Per band, predicted rows of each class.
    unpredicted : dict
        Per band, rows without a prediction.
    confidence : ndarray, shape (K, 40), int64
        Rows by predicted class and probability of that class, between `CONFIDENCE_EDGES`.
    entropy : ndarray, shape (40,), int64
        Rows by entropy relative to that of equal probabilities, between 0 and 1.
    positions : ndarray, shape (P, 2), float64
        Right ascension and declination of some rows, degrees.
    """

    classes: tuple[str, ...]
    bands: tuple[str, ...]
    class_counts: dict[str, npt.NDArray[np.int64]]
    unpredicted: dict[str, int]
    confidence: npt.NDArray[np.int64]
    entropy: npt.NDArray[np.int64]
    positions: npt.NDArray[np.float64]


def gather_statistics(
    catalog_uri: str, classes: tuple[str, ...], bands: tuple[str, ...]
) -> CatalogStatistics:
    """Count what is in a catalog of class probabilities, long or wide.

    Parameters
    ----------
    catalog_uri : str
        Folder of a HATS collection.
    classes, bands : tuple of str
        Names in the order of the survey.
    """
    table = Collection.list(catalog_uri).primary
    bins = len(CONFIDENCE_EDGES) - 1
    found = CatalogStatistics(
        classes,
        (),
        {},
        {},
        np.zeros((len(classes), bins), dtype=np.int64),
        np.zeros(bins, dtype=np.int64),
        np.empty((0, 2)),
    )
    step = max(1, int(table.properties["hats_nrows"]) // SKY_POINTS)
    positions = []
    for rows in _partitions(table):
        positions.append(np.stack([rows["ra"].to_numpy(), rows["dec"].to_numpy()], axis=1)[::step])
        for band, p in _by_band(rows, classes, bands):
            _count(found, band, p)
    order = [*bands, *(band for band in found.class_counts if band not in bands)]
    found.bands = tuple(band for band in order if band in found.class_counts)
    found.positions = np.concatenate(positions)[:SKY_POINTS]
    return found


def _partitions(table: Table) -> Iterator[pa.Table]:
    for data in table.files:
        with table.open(data.path) as file:
            yield file.read()


def _by_band(
    rows: pa.Table, classes: tuple[str, ...], bands: tuple[str, ...]
) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    if "band" in rows.column_names:
        for band in pc.unique(rows["band"]).to_pylist():
            chosen = rows.filter(pc.equal(rows["band"], band))
            yield band, _stack(chosen, [f"p_{name}" for name in classes])
        return
    for band in bands:
        yield band, _stack(rows, [f"p_{name}_{band}" for name in classes])


def _stack(rows: pa.Table, names: list[str]) -> npt.NDArray[np.float64]:
    return np.stack([rows[name].to_numpy() for name in names], axis=1).astype(np.float64)


def _count(found: CatalogStatistics, band: str, p: npt.NDArray[np.float64]) -> None:
    classes, bins = found.confidence.shape
    valid = np.isfinite(p).all(axis=1)
    p = p[valid]
    best = p.argmax(axis=1)
    before = found.class_counts.get(band, np.zeros(classes, dtype=np.int64))
    found.class_counts[band] = before + np.bincount(best, minlength=classes)
    found.unpredicted[band] = found.unpredicted.get(band, 0) + int((~valid).sum())
    at = np.clip((p.max(axis=1, initial=0) * bins).astype(np.int64), 0, bins - 1)
    np.add.at(found.confidence, (best, at), 1)
    relative = entropy_nat(p.astype(np.float32)) / np.log(classes)
    at = np.clip((relative * bins).astype(np.int64), 0, bins - 1)
    found.entropy += np.bincount(at, minlength=bins)
