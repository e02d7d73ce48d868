"""The page for people: what a run produced, how good it is, and how to use it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from catalogtool import storage
from catalogtool.catalogs import load_kind
from catalogtool.ledger import LedgerTotals
from catalogtool.quality import _figures, _html
from catalogtool.quality._statistics import CatalogStatistics, gather_statistics
from catalogtool.release.verify import VerificationReport

_FIGURE_NAMES = ("count", "rmse", "global_rmse", "accuracy", "balanced_accuracy", "loss")


@dataclass(frozen=True)
class CatalogSection:
    """One catalog of the run."""

    kind: str
    uri: str
    ledger: LedgerTotals
    verification: VerificationReport


@dataclass(frozen=True)
class Example:
    """One cutout with its prediction.

    Attributes
    ----------
    image : ndarray, shape (H, W) or (3, H, W)
        Pixels; three channels are red, green and blue.
    title : str
        Object and band.
    predicted_class : str
        Where the example is shown; the empty string for a flagged one.
    probabilities : sequence of float
        One per class; empty for a flagged one.
    """

    image: npt.NDArray[np.floating[Any]]
    title: str
    predicted_class: str
    probabilities: Sequence[float] = ()


@dataclass(frozen=True)
class ReportContent:
    """Everything the page says; what is empty is left out.

    Attributes
    ----------
    title, run_id, created : str
        Head of the page.
    simulated_pixels, simulated_training : bool
        Whether a banner warns.
    classes, bands : tuple of str
        Names in the order of the survey.
    catalogs : tuple of CatalogSection
        The first one is drawn.
    model : sequence of (name, value)
        Model card: network, method, training data, label counts.
    figures : dict
        Results of `catalogtool.training.metrics.evaluate` by the name of the labelled set.
    figures_by_band : dict
        The same by band.
    examples : sequence of Example
        Cutouts.
    calibration : dict
        Rows of `catalogtool.training.reliability.reliability_table`, ``before`` and ``after``.
    timings : sequence of (stage, seconds)
        How long everything took.
    remarks : sequence of str
        What a reader must know beyond the figures.
    """

    title: str
    run_id: str
    created: str
    simulated_pixels: bool
    simulated_training: bool
    classes: tuple[str, ...]
    bands: tuple[str, ...]
    catalogs: tuple[CatalogSection, ...]
    model: Sequence[tuple[str, str]]
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    figures_by_band: dict[str, dict[str, Any]] = field(default_factory=dict)
    examples: Sequence[Example] = ()
    calibration: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    timings: Sequence[tuple[str, float]] = ()
    remarks: Sequence[str] = ()


def write_report(content: ReportContent, uri: str) -> None:
    """Write the report as one HTML file that needs no other.

    Raises
    ------
    StorageError
        If a catalog cannot be read or the page cannot be written.
    """
    storage.write_bytes(uri, render_report(content).encode())


def render_report(content: ReportContent) -> str:
    """HTML text of the report; reads the first catalog of classes for its figures."""
    of_classes = (c for c in content.catalogs if load_kind(c.kind).maker == "network")
    first = next(of_classes, None)
    statistics = None
    if first is not None:
        statistics = gather_statistics(first.uri, content.classes, content.bands)
    sections = "".join(_sections(content, statistics))
    return _html.page(
        content.title,
        f"Run {content.run_id} · {content.created}",
        _banner(content) + _cards(content) + sections,
    )


def _sections(content: ReportContent, statistics: CatalogStatistics | None) -> Iterable[str]:
    yield _html.section("Rows", _ledger(content.catalogs))
    if statistics is not None:
        yield _html.section("What was found", _plots(statistics))
    if content.examples:
        yield _html.section("Examples", _examples(content))
    yield _html.section("Model", _html.definitions(content.model) + _accuracy(content))
    if content.calibration:
        yield _html.section("Calibration", _reliability(content.calibration))
    yield _html.section("Verification", "".join(map(_verification, content.catalogs)))
    yield _html.section("Open the catalog", "".join(map(_how_to_open, content.catalogs)))
    if content.timings:
        total = sum(seconds for _, seconds in content.timings)
        timings = [(name, f"{seconds:.1f}") for name, seconds in (*content.timings, ("all", total))]
        yield _html.section("Time", _html.table(("stage", "seconds"), timings, numbers=1))


def _banner(content: ReportContent) -> str:
    texts = []
    if content.simulated_pixels:
        texts.append("The cutouts are simulated: no row describes a real object.")
    if content.simulated_training:
        texts.append("The network learned from simulated cutouts.")
    if not texts:
        return ""
    return f'<p class="banner" role="note"><b>Simulated.</b> {escape(" ".join(texts))}</p>'


def _cards(content: ReportContent) -> str:
    first = content.catalogs[0]
    verified = all(section.verification.passed for section in content.catalogs)
    checks = sum(len(section.verification.checks) for section in content.catalogs)
    cards = [
        (f"{first.ledger.rows_in:,}", "rows in"),
        (f"{first.ledger.rows_written:,}", "with a prediction"),
        (f"{first.ledger.rows_flagged:,}", "flagged, without one"),
        (f"{first.ledger.rows_unplaced:,}", "in quarantine, no position"),
        ("verified" if verified else "NOT VERIFIED", f"{checks} checks"),
    ]
    remarks = "".join(f"<p>{escape(text)}</p>" for text in content.remarks)
    tiles = "".join(f"<div><b>{escape(v)}</b><span>{escape(n)}</span></div>" for v, n in cards)
    return f'<div class="cards">{tiles}</div>{remarks}'


def _ledger(catalogs: tuple[CatalogSection, ...]) -> str:
    head = ("catalog", "units", "rows in", "predicted", "flagged", "quarantined")
    sums = [(section.kind, section.ledger) for section in catalogs]
    rows = [
        (
            kind,
            *(
                f"{number:,}"
                for number in (s.units, s.rows_in, s.rows_written, s.rows_flagged, s.rows_unplaced)
            ),
        )
        for kind, s in sums
    ]
    reasons = [
        (kind, reason.replace("_", " "), f"{count:,}")
        for kind, s in sums
        for reason, count in s.reasons.items()
    ]
    text = _html.table(head, rows, numbers=5)
    if reasons:
        text += _html.heading("Why rows have no prediction")
        text += _html.table(("catalog", "reason", "rows"), reasons, numbers=1)
    return text


def _plots(statistics: CatalogStatistics) -> str:
    drawn = [
        ("Predicted classes per band", _figures.class_mix(statistics)),
        ("How sure the network is", _figures.confidence(statistics)),
        ("Entropy", _figures.entropy(statistics)),
        ("Where the objects are", _figures.sky(statistics)),
    ]
    return _html.plots(_html.figure(*pair) for pair in drawn)


def _examples(content: ReportContent) -> str:
    text = ""
    for name in (*content.classes, ""):
        chosen = [example for example in content.examples if example.predicted_class == name]
        if chosen:
            text += _html.heading(name.replace("_", " ") or "without a prediction")
            figures = "".join(_example(example, content.classes) for example in chosen)
            text += f'<div class="examples">{figures}</div>'
    return text


def _example(example: Example, classes: tuple[str, ...]) -> str:
    title = escape(example.title)
    image = f'<img alt="{title}" src="{_figures.cutout_png(example.image)}">'
    bars = "".join(
        f"<li><span>{escape(name.replace('_', ' '))}</span><meter max='1' value='{p:.3f}'></meter>"
        f"<b>{p:.2f}</b></li>"
        for name, p in zip(classes, example.probabilities, strict=False)
    )
    height, width = example.image.shape[-2:]
    wide = ' class="wide"' if width > height else ""
    return f"<figure{wide}>{image}<figcaption>{title}</figcaption><ul>{bars}</ul></figure>"


def _accuracy(content: ReportContent) -> str:
    known = {name: values for name, values in content.figures.items() if values.get("count")}
    if not known:
        return "<p>No labels were kept aside to measure the accuracy of this model.</p>"
    head = ("labelled set", *(name.replace("_", " ") for name in _FIGURE_NAMES))
    rows = [(name, *(_number(v.get(key)) for key in _FIGURE_NAMES)) for name, v in known.items()]
    text = _html.heading("Accuracy") + _html.table(head, rows, numbers=len(_FIGURE_NAMES))
    plots = [
        _html.figure(
            f"Confusion: {name}", _figures.confusion(v["confusion"], content.classes, name)
        )
        for name, v in known.items()
        if v.get("confusion")
    ]
    if any("rmse" in values for values in content.figures_by_band.values()):
        plots.append(_html.figure("Error per band", _figures.band_errors(content.figures_by_band)))
    return text + _html.plots(plots)


def _reliability(tables: dict[str, list[dict[str, Any]]]) -> str:
    picture = _html.figure("Reliability on the test cutouts", _figures.reliability(tables))
    head = ("calibration", "confidence from", "to", "predictions", "mean confidence", "right")
    rows = [
        (
            name,
            *(f"{row[key]:.3f}" for key in ("low", "high")),
            f"{row['count']:,}",
            *(f"{row[key]:.3f}" for key in ("confidence", "accuracy")),
        )
        for name, table in tables.items()
        for row in table
    ]
    return _html.plots([picture]) + _html.table(head, rows, numbers=5)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _verification(section: CatalogSection) -> str:
    checks = section.verification.checks
    rows = [(c.name, "passed" if c.passed else "FAILED", c.found) for c in checks]
    return _html.heading(section.kind) + _html.table(("check", "result", "found"), rows)


def _how_to_open(section: CatalogSection) -> str:
    code = opening_code(section.uri)
    return f"{_html.heading(section.kind)}<pre><code>{escape(code)}</code></pre>"


def opening_code(uri: str) -> str:
    """Python lines that open a catalog."""
    lines = ["import lsdb", "", f"catalog = lsdb.open_catalog({uri!r})", "rows = catalog.compute()"]
    if storage.is_local(uri):
        table = uri.rstrip("/") + "/" + uri.rstrip("/").rsplit("/", 1)[-1]
        lines += [
            "",
            "# or, one table with units:",
            "from pathlib import Path",
            "from astropy.table import Table, vstack",
            "",
            f"files = sorted(Path({table!r}).glob('dataset/**/*.parquet'))",
            "table = vstack([Table.read(f, format='parquet.votable') for f in files])",
        ]
    return "\n".join(lines)
