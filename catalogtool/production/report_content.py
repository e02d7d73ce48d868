"""What the report of a run says, gathered from its plan, model, ledger and catalog."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.production.findings import Findings
from catalogtool.production.plan import Plan
from catalogtool.production.record import RunRecord
from catalogtool.quality._figures import side_by_side
from catalogtool.quality.report import CatalogSection, Example, ReportContent
from catalogtool.surveys._definition import Survey
from catalogtool.training.model import Model

_EXAMPLE_OBJECTS = 48
_EXAMPLES_PER_CLASS = 6


def gather_content(findings: Findings, timings: Sequence[tuple[str, float]]) -> ReportContent:
    """Gather everything that the page of a run says.

    Parameters
    ----------
    findings : Findings
        The run.
    timings : sequence of (stage, seconds)
        Stages so far.
    """
    plan, record = findings.plan, findings.record
    return ReportContent(
        title=f"{plan.survey.title}: {', '.join(record.kinds)}",
        run_id=record.run_id,
        created=record.created,
        simulated_pixels=record.simulated_cutouts,
        simulated_training=record.simulated_training,
        classes=plan.survey.labels.classes,
        bands=plan.survey.band_names if plan.survey.labels.per_band else ("all",),
        catalogs=tuple(
            CatalogSection(total.kind, report.uri, total, report)
            for total, report in zip(findings.sums, findings.reports, strict=True)
        ),
        model=_model_cards(findings),
        calibration=_calibration(findings.models.network),
        figures=labelled_sets(findings),
        figures_by_band=findings.evaluated.by_band,
        examples=_examples(plan, record),
        timings=timings,
        remarks=(findings.evaluated.sentence(),),
    )


def labelled_sets(findings: Findings) -> dict[str, dict[str, Any]]:
    """Figures of merit of a run, by the name of the labelled set."""
    metrics = {} if findings.models.network is None else findings.models.network.metrics
    sets = {"catalog, labels never seen": findings.evaluated.overall}
    if "source_test" in metrics:
        sets["source survey, test split"] = metrics["source_test"]
    if "initial_test" in metrics:
        sets["target test split, before adaptation"] = metrics["initial_test"]
        sets["target test split, after adaptation"] = metrics["test"]
    return sets


def _calibration(model: Model | None) -> dict[str, list[dict[str, Any]]]:
    """Reliability tables of the test cutouts, before and after."""
    record = {} if model is None else model.metrics.get("calibration", {})
    return {name: record[name]["table"] for name in ("before", "after") if name in record}


def _model_cards(findings: Findings) -> tuple[tuple[str, str], ...]:
    models = findings.models
    cards = [] if models.network is None else [*_network_card(findings, models.network)]
    if models.scorer is not None:
        cards += models.scorer.describe()
    if models.hosts is not None:
        cards += models.hosts.describe()
    return tuple(cards)


def _network_card(findings: Findings, model: Model) -> tuple[tuple[str, str], ...]:
    plan = findings.plan
    spec = model.spec
    learned = [
        (f"labels ({name.replace('_', ' ')})", f"{n['train']} train, {n['validation']} validation")
        for name, n in model.metrics["labels"].items()
    ]
    if "unlabelled" in model.metrics:
        learned.append(("unlabelled cutouts", _pool_text(model.metrics["unlabelled"])))
    weights = sum(parameter.numel() for parameter in model.network.parameters())
    source = plan.trainings[0].source
    return (
        ("model", model.model_id),
        ("network", f"{spec.network}, {weights:,} parameters"),
        ("method", " after ".join(s.method for s in reversed(plan.trainings))),
        ("source survey", plan.survey.name if source is None else source.survey.name),
        *learned,
        ("weights", _selection_text(model.metrics)),
        ("calibration", findings.record.calibration),
        *_calibration_errors(model),
        *_unknown_rule(model),
        ("scaling of pixels", spec.stretch),
        ("seed", str(spec.seed)),
    )


def _pool_text(pool: dict[str, Any]) -> str:
    whose = "test objects may be among them" if pool["includes_test_pixels"] else "no test objects"
    return f"{pool['count']}, {whose}"


def _selection_text(metrics: dict[str, Any]) -> str:
    """Which epoch's weights the model has, and what chose them."""
    by = {
        "labels": "validation labels",
        "unlabelled": "information maximisation over unlabelled cutouts",
    }
    asked, used = metrics["selection"]["asked"], metrics["selection"]["used"]
    if used == "last":
        text = "of the last epoch"
    else:
        text = f"of epoch {metrics['best_epoch']}, chosen by {by[used]}"
    return text if asked == used else f"{text}, as there was nothing to choose by {by[asked]}"


def _calibration_errors(model: Model) -> list[tuple[str, str]]:
    record = model.metrics.get("calibration", {})
    if "after" not in record:
        return []
    before, after = (
        f"{record[name]['ece']:.4f} ± {record[name]['ece_sd']:.4f}" for name in ("before", "after")
    )
    count = f"{record['after']['count']} test labels"
    return [("calibration error", f"{before} before, {after} after, on {count}")]


def _unknown_rule(model: Model) -> list[tuple[str, str]]:
    if model.neighbours is None:
        return []
    known = model.neighbours.describe()
    text = f"farther than {known['threshold']:.3f} from {known['count']} labelled objects"
    return [("flagged as of an unknown class", text)]


def _examples(plan: Plan, record: RunRecord) -> list[Example]:
    """A few cutouts of every predicted class, spread over objects and bands."""
    rows = plan.target.manifest.read_unit(0).slice(0, _EXAMPLE_OBJECTS)
    cutouts = plan.target.format.read(rows)
    run = plan.layout.run(record.run_id)
    with storage.open_input(run.part(record.kinds[0], 0)) as source:
        part = pq.read_table(source)
    if "band" not in part.column_names:
        return []
    chosen: dict[str, int] = {}
    examples = []
    per_object = plan.survey.rows_per_object
    order = np.random.default_rng(0).permutation(rows.num_rows * per_object)
    for index in order.tolist():
        row = part.slice(index, 1).to_pylist()[0]
        name = row["predicted_class"]
        if chosen.get(name, 0) >= _EXAMPLES_PER_CLASS:
            continue
        chosen[name] = chosen.get(name, 0) + 1
        image = cutouts.images[index // per_object]
        if plan.survey.labels.per_band:
            image = image[index % per_object]
        elif _are_epochs(plan.survey):
            image = side_by_side(image)
        probabilities = [row[f"p_{c}"] for c in plan.survey.labels.classes] if name else []
        examples.append(Example(image, f"{row['source_id']} {row['band']}", name, probabilities))
    return examples


def _are_epochs(survey: Survey) -> bool:
    """Whether bands are images of one wavelength, which make no colours: science and template."""
    return len({band.pivot_wavelength for band in survey.bands}) == 1
