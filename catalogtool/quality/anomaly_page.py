"""The page and the table of a comparison of anomaly methods."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from catalogtool.quality import _html


@dataclass(frozen=True)
class Line:
    """Figures of one method and left-out class, one per seed."""

    method: str
    left_out: str
    auroc: tuple[float, ...]
    precision: tuple[dict[int, float], ...]
    base_rate: float
    seconds: float


def best_method(lines: Sequence[Line]) -> tuple[str, float, float]:
    """The method with the highest mean over classes, that mean, and its worst class."""
    means = {
        method: [np.mean(line.auroc) for line in lines if line.method == method]
        for method in dict.fromkeys(line.method for line in lines)
    }
    name = max(means, key=lambda method: float(np.mean(means[method])))
    return name, float(np.mean(means[name])), float(np.min(means[name]))


def render_anomalies(title: str, lines: Sequence[Line], remarks: Sequence[str]) -> str:
    """HTML text of the page."""
    classes = list(dict.fromkeys(line.left_out for line in lines))
    methods = list(dict.fromkeys(line.method for line in lines))
    by = {(line.method, line.left_out): line for line in lines}
    name, mean, worst = best_method(lines)
    advice = _html.note(
        f"Take {name}: it tells a class that it was not told of from the others with a mean area "
        f"under the curve of {mean:.3f}, at worst {worst:.3f}."
    )
    order = sorted(methods, key=lambda m: -_mean(by, m, classes))
    area = [
        (m, *(_text(by.get((m, c))) for c in classes), f"{_mean(by, m, classes):.3f}")
        for m in order
    ]
    found = [
        (m, *(_precision(by.get((m, c))) for c in classes), f"{_seconds(by, m, classes):.1f}")
        for m in order
    ]
    base = ", ".join(f"{c} {by[(methods[0], c)].base_rate:.2f}" for c in classes)
    sections = (
        _html.section(
            "Area under the curve, by the class that was left out",
            _html.table(("method", *classes, "mean"), area, numbers=len(classes) + 1),
        ),
        _html.section(
            "Share of the left-out class among the 10 and 50 highest scores",
            _html.table(("method", *classes, "seconds"), found, numbers=len(classes) + 1)
            + f'<p class="sub">Guessing: {base}</p>',
        ),
    )
    notes = "".join(map(_html.note, remarks))
    seeds = max(len(line.auroc) for line in lines)
    subtitle = f"Leave one class out, {seeds} seeds, mean ± standard deviation"
    return _html.page(title, subtitle, notes + advice + "".join(sections))


def _mean(by: dict[tuple[str, str], Line], method: str, classes: list[str]) -> float:
    return float(np.mean([np.mean(by[(method, c)].auroc) for c in classes if (method, c) in by]))


def _seconds(by: dict[tuple[str, str], Line], method: str, classes: list[str]) -> float:
    return float(np.mean([by[(method, c)].seconds for c in classes if (method, c) in by]))


def _text(line: Line | None) -> str:
    if line is None:
        return "failed"
    spread = np.std(line.auroc, ddof=1) if len(line.auroc) > 1 else 0.0
    return f"{np.mean(line.auroc):.3f} ± {spread:.3f}"


def _precision(line: Line | None) -> str:
    if line is None:
        return "failed"
    return " / ".join(f"{np.mean([p[k] for p in line.precision]):.2f}" for k in (10, 50))


def write_lines(lines: Sequence[Line]) -> str:
    """CSV text with one line per method, class and seed."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(("method", "left_out", "seed", "auroc", "precision_10", "precision_50"))
    for line in lines:
        for seed, (auroc, precision) in enumerate(zip(line.auroc, line.precision, strict=True)):
            figures = (f"{value:.6f}" for value in (auroc, precision[10], precision[50]))
            writer.writerow((line.method, line.left_out, seed, *figures))
    return sink.getvalue()
