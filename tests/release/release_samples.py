"""Runs with parts made from random predictions."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalogtool.catalogs import load_kind
from catalogtool.catalogs._base import CatalogContext, Predictions
from catalogtool.flags import Flag
from catalogtool.inputs._base import MANIFEST_SCHEMA
from catalogtool.layout import RunLayout
from catalogtool.ledger import LedgerTotals
from catalogtool.release.assemble import ReleaseInfo
from catalogtool.surveys._definition import Survey

CLASSES = ("spheroid", "disk", "irregular")
BANDS = ("f606w", "f814w")
UNIT_OBJECTS = 400
CREATED = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


def make_survey() -> Survey:
    band = {"pivot_wavelength": "0.6 micron", "zeropoint": "25 mag", "psf_fwhm": "0.1 arcsec"}
    return Survey.model_validate(
        {
            "name": "toy",
            "title": "Toy survey",
            "description": "Random galaxies, β version; C:\\path = here",
            "reference": "Author et al. 2026",
            "pixel_scale": "0.1 arcsec",
            "cutout_size_pix": 8,
            "bands": [{"name": name, "depth": "26 mag", **band} for name in BANDS],
            "labels": {
                "classes": CLASSES,
                "kind": "votes",
                "per_band": True,
                "columns": list(CLASSES),
            },
            "input": {"format": "simulated"},
            "recipes": [
                {
                    "kinds": ["morphology"],
                    "network": "deep_clash",
                    "method": "source_only",
                    "source_survey": "toy",
                    "stretch": "minmax",
                }
            ],
        }
    )


def make_info(rows_per_partition: int = 200, margin_arcsec: float = 10.0) -> ReleaseInfo:
    return ReleaseInfo(
        survey=make_survey(),
        context=CatalogContext(CLASSES, BANDS, per_band=True, model_id="net-1"),
        run_id="run-1",
        created=CREATED,
        simulated_pixels=True,
        simulated_training=False,
        rows_per_partition=rows_per_partition,
        margin_arcsec=margin_arcsec,
    )


def sky_positions(count: int, seed: int = 0) -> np.ndarray:
    """Positions over the whole sky and a dense field at a corner of HEALPix base cells."""
    rng = np.random.default_rng(seed)
    far = count // 2
    ra = np.concatenate([rng.uniform(0, 360, far), 45 + rng.normal(0, 0.05, count - far)])
    sines = np.concatenate([rng.uniform(-1, 1, far), rng.normal(0, 0.0009, count - far)])
    return np.stack([ra, np.degrees(np.arcsin(sines))], axis=1)


def manifest_rows(positions: np.ndarray, first: int) -> pa.Table:
    rows = [
        {
            "object_id": first + index,
            "source_id": f"gal {first + index}",
            "ra": None if np.isnan(ra) else ra,
            "dec": None if np.isnan(dec) else dec,
            "flags": int(Flag.NO_POSITION) if np.isnan(ra) else 0,
            "uris": [],
            "row": index,
            "identity": "",
            "votes": None,
            "split": "",
        }
        for index, (ra, dec) in enumerate(positions.tolist())
    ]
    return pa.Table.from_pylist(rows, schema=MANIFEST_SCHEMA)


def write_parts(run: RunLayout, kind: str, positions: np.ndarray) -> int:
    """Write the parts of a run and return how many there are."""
    context = make_info().context
    rng = np.random.default_rng(1)
    starts = range(0, len(positions), UNIT_OBJECTS)
    for unit, start in enumerate(starts):
        rows = manifest_rows(positions[start : start + UNIT_OBJECTS], start)
        shape = (rows.num_rows, len(BANDS))
        p = rng.dirichlet(np.ones(len(CLASSES)), shape).astype(np.float32)
        flags = np.where(rng.random(shape) < 0.02, int(Flag.UNREADABLE), 0).astype(np.int32)
        p[flags != 0] = np.nan
        table = load_kind(kind).finalize(context, rows, Predictions(p, flags))
        path = Path(run.part(kind, unit))
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
    return len(starts)


def make_totals(rows: int, unplaced: int = 0) -> LedgerTotals:
    return LedgerTotals(
        kind="morphology",
        units=1,
        rows_in=rows + unplaced,
        rows_written=rows,
        rows_flagged=0,
        rows_unplaced=unplaced,
        reasons={},
    )
