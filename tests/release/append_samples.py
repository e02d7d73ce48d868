"""Nights of a survey as runs, and growing catalogs made of them."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from release_samples import CREATED, make_info, write_parts

from catalogtool.layout import RunLayout
from catalogtool.release._properties import ReleaseInfo
from catalogtool.release._rows import RunParts, Shape
from catalogtool.release.append import AppendedCatalog, append

KIND = "morphology"
INFO = make_info(rows_per_partition=200)


def info_of(night: int) -> ReleaseInfo:
    return replace(INFO, run_id=f"run-{night}", created=CREATED + timedelta(days=night))


def field_positions(count: int) -> np.ndarray:
    """Positions around a corner of HEALPix base cells: half of them nearly at it."""
    rng = np.random.default_rng(0)
    width_deg = np.where(np.arange(count) % 2, 0.05, 3.0)[:, None]
    return np.array([45.0, 0.0]) + width_deg * rng.normal(size=(count, 2))


def write_nights(folder: Path, positions: np.ndarray, nights: int) -> tuple[RunLayout, int]:
    """A run over all objects, and ``night-00`` and so on over those of one night each."""
    bulk = RunLayout(str(folder / "bulk"))
    units = write_parts(bulk, KIND, positions)
    rows = pa.concat_tables([pq.read_table(bulk.part(KIND, unit)) for unit in range(units)])
    night_of = np.random.default_rng(3).integers(0, nights, len(positions))
    for night in range(nights):
        part = Path(RunLayout(str(folder / f"night-{night:02d}")).part(KIND, 0))
        part.parent.mkdir(parents=True)
        pq.write_table(rows.filter(pa.array(np.repeat(night_of == night, 2))), part)
    return bulk, units


def append_night(
    folder: Path, night: int, committed: list[str], series: str | None = None
) -> AppendedCatalog:
    """Append the parts of ``folder/night-<night>``, by default to ``folder/series/toy_…``."""
    name = f"night-{night:02d}"
    shape = Shape(KIND, info_of(night))
    rows = RunParts(RunLayout(str(folder / name)), KIND, 1, shape.part_schema)
    return append(rows, shape, series or series_of(folder), name, committed)


def series_of(folder: Path) -> str:
    return str(folder / "series" / "toy_morphology")


def append_nights(folder: Path, nights: list[int]) -> str:
    """Append some nights, committing each."""
    for index, night in enumerate(nights):
        append_night(folder, night, [f"night-{n:02d}" for n in nights[:index]])
    return series_of(folder)


def contents(folder: str) -> dict[str, bytes]:
    root = Path(folder)
    files = (
        path
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(".partial-")  # of a killed write
    )
    return {str(path.relative_to(root)): path.read_bytes() for path in files}
