"""The page and the table of a comparison."""

import csv
import io
from collections.abc import Iterable, Sequence

import numpy as np

from catalogtool.quality import _figures, _html
from catalogtool.quality.comparison import (
    CHOICES,
    Choice,
    FloatArray,
    Row,
    TrialFigures,
    advise,
    rows_of,
    spread_text,
)

_HEAD = ("method", "labels per class", "target", "worst draw", "source", "trials", "seconds")


def render_comparison(
    title: str, trials: Sequence[TrialFigures], remarks: Iterable[str] = ()
) -> str:
    """HTML text of the page: advice, figures and tables, pair by pair and over all pairs.

    Parameters
    ----------
    title : str
        Head of the page.
    trials : sequence of TrialFigures
        At least one.
    remarks : iterable of str
        What a reader must know beyond the figures: simulated cutouts, failed trials.
    """
    pairs = sorted({trial.pair for trial in trials})
    groups = {pair: [trial for trial in trials if trial.pair == pair] for pair in pairs}
    if len(pairs) > 1:
        groups = {f"All {len(pairs)} pairs of surveys": list(trials)} | groups
    notes = "".join(_html.note(remark) for remark in remarks)
    sections = "".join(_html.section(name, _pair(name, some)) for name, some in groups.items())
    subtitle = f"{len(trials)} trials; balanced accuracy in per cent, mean ± standard deviation"
    return _html.page(title, subtitle, notes + sections)


def _pair(name: str, trials: list[TrialFigures]) -> str:
    parts = [_html.definitions([("test objects", _counts_text(trials))])]
    for choice, words in CHOICES.items():
        rows = rows_of(trials, choice)
        if not rows:
            continue
        advice = [(str(a.shots), a.method, a.reason) for a in advise(rows)]
        parts += [
            _html.heading(f"Weights {words}: which method to take"),
            _html.table(("labels per class", "method", "why"), advice),
            _plots(f"{name}-{choice}", rows),
            _html.table(_HEAD, [_cells(row) for row in _best_first(rows)], numbers=len(_HEAD) - 1),
        ]
    if len({trial.pair for trial in trials}) == 1 and (shares := _shares(trials)):
        parts += [
            _html.heading("Classes predicted for unlabelled cutouts, last epoch"),
            _html.table(("method", "labels per class", "shares in per cent"), shares),
        ]
    return "".join(parts)


def _best_first(rows: tuple[Row, ...]) -> list[Row]:
    return sorted(rows, key=lambda row: (row.shots, -row.mean))


def _counts_text(trials: list[TrialFigures]) -> str:
    counts = [trial.test_count for trial in trials]
    low, high = min(counts), max(counts)
    numbers = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"{numbers}; none of them taught or chose anything"


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.method,
        str(row.shots),
        spread_text(row.accuracy),
        f"{100 * row.worst:.1f}",
        spread_text(row.source_accuracy),
        str(len(row.accuracy)),
        f"{row.seconds:.0f}",
    )


def _plots(name: str, rows: tuple[Row, ...]) -> str:
    target: dict[str, list[tuple[int, float, float]]] = {}
    source: dict[str, list[tuple[int, float, float]]] = {}
    for row in rows:
        for lines, values in ((target, row.accuracy), (source, row.source_accuracy)):
            if len(values):
                spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
                lines.setdefault(row.method, []).append((row.shots, float(values.mean()), spread))
    drawn = [("target", target), ("source", source)]
    return _html.plots(
        _html.figure(
            f"Balanced accuracy on the {what}",
            _figures.accuracy_by_labels(lines, f"{name}-{what}", what),
        )
        for what, lines in drawn
        if lines
    )


def _shares(trials: list[TrialFigures]) -> list[tuple[str, str, str]]:
    found: dict[tuple[str, int], list[tuple[float, ...]]] = {}
    for trial in trials:
        if trial.shares:
            found.setdefault((trial.method, trial.shots), []).append(trial.shares[-1])
    return [
        (method, str(shots), _shares_text(trials[0].classes, np.mean(shares, axis=0)))
        for (method, shots), shares in sorted(found.items())
    ]


def _shares_text(classes: tuple[str, ...], shares: FloatArray) -> str:
    pairs = zip(classes, shares.tolist(), strict=True)
    return ", ".join(f"{name} {100 * share:.1f}" for name, share in pairs)


def write_table(trials: Iterable[TrialFigures]) -> str:
    """CSV text with one line per trial and choice of weights."""
    sink = io.StringIO()
    names = ("source", "target", "method", "shots", "seed")
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow((*names, "weights", "accuracy", "source_accuracy", "rmse", "seconds", "model"))
    for trial in trials:
        for choice in trial.accuracy:
            writer.writerow(
                (
                    *(getattr(trial, name) for name in names),
                    choice,
                    f"{trial.accuracy[choice]:.6f}",
                    _optional(trial, choice),
                    f"{trial.rmse[choice]:.6f}",
                    f"{trial.seconds:.1f}",
                    trial.model_id,
                )
            )
    return sink.getvalue()


def _optional(trial: TrialFigures, choice: Choice) -> str:
    found = trial.source_accuracy.get(choice)
    return "" if found is None else f"{found:.6f}"
