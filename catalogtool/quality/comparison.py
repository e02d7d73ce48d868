"""What the trials of a comparison say: means, spreads, and which method to take."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from catalogtool.config._base import Settings

Choice = Literal["blind", "labels"]
"""What chose the weights: nothing that a user without labels lacks, or validation labels."""
CHOICES: dict[Choice, str] = {
    "blind": "chosen without target labels",
    "labels": "chosen by target validation labels",
}
FloatArray = npt.NDArray[np.float64]


class TrialFigures(Settings):
    """Figures of one trial.

    Attributes
    ----------
    accuracy, source_accuracy : dict
        Balanced accuracies, between 0 and 1, by choice of the weights; of the source only where it
        was measured.
    rmse : dict
        Mean error of the target's class probabilities.
    seconds : float
        Of training, without those of the trainings that it started from.
    shares : tuple
        Predicted shares of the classes among unlabelled cutouts after every epoch.
    """

    source: str
    target: str
    method: str
    shots: int
    seed: int
    classes: tuple[str, ...]
    identity: str
    model_id: str
    accuracy: dict[Choice, float]
    source_accuracy: dict[Choice, float]
    rmse: dict[Choice, float]
    test_count: int
    seconds: float
    shares: tuple[tuple[float, ...], ...] = ()

    @property
    def pair(self) -> str:
        """The two surveys in words."""
        return f"{self.source} to {self.target}"


def figures_of(names: dict[str, Any], measured: dict[str, Any]) -> TrialFigures:
    """Put together what `catalogtool.training.measure` found and what the trial was.

    Parameters
    ----------
    names : dict
        ``source``, ``target``, ``method``, ``shots``, ``seed``, ``classes`` and ``identity``.
    measured : dict
        The figures.
    """
    choices = [choice for choice in CHOICES if choice in measured]
    on_source = {choice: measured[choice]["source"] for choice in choices}
    return TrialFigures(
        **names,
        model_id=measured["model_id"],
        accuracy={c: measured[c]["target"]["balanced_accuracy"] for c in choices},
        source_accuracy={c: f["balanced_accuracy"] for c, f in on_source.items() if f is not None},
        rmse={c: measured[c]["target"]["rmse"] for c in choices},
        test_count=measured["blind"]["target"]["count"],
        seconds=measured["seconds"],
        shares=tuple(map(tuple, measured["shares"])),
    )


@dataclass(frozen=True)
class Row:
    """One method with one number of labels, over the seeds of all pairs of surveys it stands for.

    Attributes
    ----------
    accuracy : ndarray, shape (N,), float64
        Balanced accuracies on the target, by pair and seed.
    source_accuracy : ndarray, shape (N,) or (0,)
        The same on the source.
    seconds : float
        Median of the trainings.
    keys : tuple
        Pair and seed of every figure.
    """

    method: str
    shots: int
    accuracy: FloatArray
    source_accuracy: FloatArray
    seconds: float
    keys: tuple[tuple[str, int], ...]

    @property
    def mean(self) -> float:
        """Mean balanced accuracy on the target."""
        return float(self.accuracy.mean())

    @property
    def worst(self) -> float:
        """The worst draw."""
        return float(self.accuracy.min())


def rows_of(trials: Iterable[TrialFigures], choice: Choice) -> tuple[Row, ...]:
    """Group trials by method and number of labels.

    A method that had nothing to choose by has its only weights in every choice, as a yardstick.
    Without any trial that had, there is no row.
    """
    groups: dict[tuple[str, int], list[TrialFigures]] = {}
    for trial in trials:
        groups.setdefault((trial.method, trial.shots), []).append(trial)
    if not any(choice in trial.accuracy for group in groups.values() for trial in group):
        return ()
    return tuple(_row(group, choice) for _, group in sorted(groups.items()))


def _row(group: list[TrialFigures], choice: Choice) -> Row:
    group = sorted(group, key=lambda trial: (trial.pair, trial.seed))
    return Row(
        method=group[0].method,
        shots=group[0].shots,
        accuracy=np.array([_chosen(trial.accuracy, choice) for trial in group]),
        source_accuracy=np.array(
            [_chosen(trial.source_accuracy, choice) for trial in group if trial.source_accuracy]
        ),
        seconds=float(np.median([trial.seconds for trial in group])),
        keys=tuple((trial.pair, trial.seed) for trial in group),
    )


def _chosen(by_choice: dict[Choice, float], choice: Choice) -> float:
    return by_choice[choice] if choice in by_choice else next(iter(by_choice.values()))


@dataclass(frozen=True)
class Advice:
    """Which method to take with some number of labels, and why."""

    shots: int
    method: str
    reason: str


def advise(rows: Iterable[Row]) -> tuple[Advice, ...]:
    """Recommend a method for every number of labels.

    Methods whose mean is below the best one's by no more than a standard error of their paired
    difference count as equally good. Of those it is the one that does not adapt, if that is among
    them; else the one whose worst draw is best, for a user draws labels only once.
    """
    by_shots: dict[int, list[Row]] = {}
    for row in rows:
        by_shots.setdefault(row.shots, []).append(row)
    return tuple(_advise(shots, group) for shots, group in sorted(by_shots.items()))


def _advise(shots: int, rows: list[Row]) -> Advice:
    best = max(rows, key=lambda row: (row.mean, row.method == "source_only"))
    equals = [row for row in rows if row is best or _is_as_good(row, best)]
    plain = next((row for row in equals if row.method == "source_only"), None)
    chosen = plain or max(equals, key=lambda row: (row.worst, -row.seconds))
    return Advice(shots, chosen.method, " ".join(_reasons(chosen, best, equals, rows)))


def _is_as_good(row: Row, best: Row) -> bool:
    mean, error = paired_difference(best, row)
    return bool(mean <= error)


def paired_difference(one: Row, other: Row) -> tuple[float, float]:
    """Mean and standard error of the accuracy of one method less that of another.

    Returns
    -------
    mean, error : float
        Over the pairs of surveys and seeds that both have; the error is 0 where that is one
        alone, and the mean NaN where it is none.
    """
    theirs = dict(zip(other.keys, other.accuracy.tolist(), strict=True))
    mine = dict(zip(one.keys, one.accuracy.tolist(), strict=True))
    gaps = np.array([mine[key] - theirs[key] for key in one.keys if key in theirs])
    if not len(gaps):
        return float("nan"), 0.0
    error = gaps.std(ddof=1) / np.sqrt(len(gaps)) if len(gaps) > 1 else 0.0
    return float(gaps.mean()), float(error)


def _reasons(chosen: Row, best: Row, equals: list[Row], rows: list[Row]) -> Iterable[str]:
    yield f"{spread_text(chosen.accuracy)} on the target, worst draw {100 * chosen.worst:.1f}."
    if chosen is not best:
        mean, error = paired_difference(best, chosen)
        why = "does not adapt" if chosen.method == "source_only" else "has the best worst draw"
        yield (
            f"{best.method} is better by {100 * mean:.1f} ± {100 * error:.1f}, no more than a "
            f"standard error; of the methods that are as good, {chosen.method} {why}."
        )
    elif len(equals) > 1:
        names = ", ".join(row.method for row in equals if row is not best)
        yield f"Within a standard error of it: {names}."
    plain = next((row for row in rows if row.method == "source_only"), None)
    if plain is not None and plain is not chosen:
        mean, error = paired_difference(chosen, plain)
        yield f"Against source_only: {100 * mean:+.1f} ± {100 * error:.1f}."
        if len(chosen.source_accuracy) and len(plain.source_accuracy):
            lost = 100 * (plain.source_accuracy.mean() - chosen.source_accuracy.mean())
            yield f"On the source it loses {lost:.1f}." if lost > 0 else "The source loses nothing."
    if len(chosen.accuracy) == 1:
        yield "One trial alone: its spread is not known."


def spread_text(values: FloatArray) -> str:
    """Mean and standard deviation of shares, in per cent."""
    if not len(values):
        return ""
    mean = f"{100 * values.mean():.1f}"
    return mean if len(values) == 1 else f"{mean} ± {100 * values.std(ddof=1):.1f}"
