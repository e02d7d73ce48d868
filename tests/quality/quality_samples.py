"""A small finished catalog and what a report says of it."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalogtool.catalogs import load_kind
from catalogtool.catalogs._base import CatalogContext, Predictions
from catalogtool.inputs._base import MANIFEST_SCHEMA
from catalogtool.layout import RunLayout
from catalogtool.ledger import LedgerTotals
from catalogtool.quality.report import CatalogSection, Example, ReportContent
from catalogtool.release.assemble import ReleaseInfo, assemble
from catalogtool.release.verify import verify
from catalogtool.surveys import load_survey

OBJECTS = 300
FLAGGED = 7


def make_predictions(context: CatalogContext) -> Predictions:
    rng = np.random.default_rng(4)
    shape = (OBJECTS, len(context.bands))
    p = rng.dirichlet(np.full(len(context.classes), 0.4), shape).astype(np.float32)
    flags = np.zeros(shape, dtype=np.int32)
    flags[:FLAGGED, 0] = 1
    p[flags != 0] = np.nan
    return Predictions(p, flags)


def make_rows(width_deg: float) -> pa.Table:
    rng = np.random.default_rng(5)
    rows = [
        {
            "object_id": index,
            "source_id": str(index),
            "ra": (359.9 + rng.uniform(0, width_deg)) % 360,
            "dec": rng.uniform(-width_deg, width_deg) / 4,
            "flags": 0,
            "uris": [],
            "row": index,
            "identity": "",
            "votes": None,
            "split": "",
        }
        for index in range(OBJECTS)
    ]
    return pa.Table.from_pylist(rows, schema=MANIFEST_SCHEMA)


def make_section(folder: Path, kind: str, width_deg: float = 0.3) -> CatalogSection:
    """Assemble and verify a catalog of random predictions of the survey CLASH."""
    from datetime import UTC, datetime

    survey = load_survey("clash")
    context = CatalogContext(survey.labels.classes, survey.band_names, per_band=True, model_id="m")
    run = RunLayout(str(folder / "run"))
    table = load_kind(kind).finalize(context, make_rows(width_deg), make_predictions(context))
    path = Path(run.part(kind, 0))
    path.parent.mkdir(parents=True)
    pq.write_table(table, path)
    info = ReleaseInfo(
        survey=survey,
        context=context,
        run_id="r",
        created=datetime(2026, 11, 20, tzinfo=UTC),
        simulated_pixels=True,
        simulated_training=True,
    )
    catalog = assemble(run, kind, 1, info, run.catalog("clash", kind))
    flagged = FLAGGED if kind == "morphology" else 0
    ledger = LedgerTotals(
        kind=kind,
        units=1,
        rows_in=table.num_rows,
        rows_written=table.num_rows - flagged,
        rows_flagged=flagged,
        rows_unplaced=0,
        reasons={"unreadable": flagged} if flagged else {},
    )
    return CatalogSection(kind, catalog.uri, ledger, verify(catalog.uri, ledger))


def make_examples(classes: tuple[str, ...]) -> list[Example]:
    y, x = np.mgrid[-20:21, -20:21]
    rng = np.random.default_rng(1)
    examples = []
    for index, name in enumerate(classes):
        galaxy = np.exp(-np.hypot(x, y * (1 + index * 0.5)) / 4)
        images = [galaxy + rng.normal(0, 0.02, galaxy.shape) for _ in range(4)]
        p = np.full(len(classes), 0.3 / (len(classes) - 1))
        p[index] = 0.7
        examples += [Example(im, f"{n} f160w <b>", name, p) for n, im in enumerate(images)]
    return [*examples, Example(np.full((3, 8, 8), np.nan), "broken", "")]


def reliability_row(confidence: float, accuracy: float, count: int) -> dict[str, float]:
    low = int(confidence * 10) / 10
    edges = {"low": low, "high": low + 0.1}
    return {**edges, "count": count, "confidence": confidence, "accuracy": accuracy}


def make_content(sections: tuple[CatalogSection, ...]) -> ReportContent:
    survey = load_survey("clash")
    classes = survey.labels.classes
    k = len(classes)
    confusion = (np.eye(k, dtype=int) * 40 + 3).tolist()
    figures = {"count": 230, "rmse": 0.11, "global_rmse": 0.13, "accuracy": 0.9, "loss": 0.3}
    return ReportContent(
        title="Morphology of CLASH & <friends>",
        run_id="clash-0123456789ab",
        created="2026-11-20 12:30 UTC",
        simulated_pixels=True,
        simulated_training=True,
        classes=classes,
        bands=survey.band_names,
        catalogs=sections,
        model=(("network", "deep_clash"), ("labels", "400 cutouts of 60 galaxies")),
        figures={"test of clash": {**figures, "confusion": confusion}, "nothing": {"count": 0}},
        figures_by_band={
            band: {"count": 5, "rmse": 0.1 + 0.01 * i} for i, band in enumerate(survey.band_names)
        },
        examples=make_examples(classes),
        calibration={
            "before": [reliability_row(0.9, 0.7, 30), reliability_row(0.7, 0.6, 10)],
            "after": [reliability_row(0.74, 0.7, 40)],
        },
        timings=(("manifest", 1.25), ("training", 80.0), ("inference", 41.5)),
        remarks=("Mean error on test galaxies: 0.110.",),
    )
