"""A comparison from its trials to its page: what is finished, what is missing, what came of it."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from catalogtool import storage
from catalogtool.config._base import build_settings, canonical_json
from catalogtool.config.compare import CompareConfig
from catalogtool.errors import CatalogtoolError, ClusterError
from catalogtool.layout import ComparisonLayout, OutputLayout
from catalogtool.production.clock import Clock
from catalogtool.production.outcome import Outcome
from catalogtool.production.trials import Trial, plan_trials
from catalogtool.progress import Progress
from catalogtool.quality.comparison import TrialFigures, advise, figures_of, rows_of
from catalogtool.quality.comparison_page import render_comparison, write_table


@dataclass
class Comparison:
    """Trials and what is known of them.

    Attributes
    ----------
    layout : OutputLayout
        Where models and trials are.
    trials : tuple of Trial
        All of them, in the order of the table.
    figures : dict
        Figures of the finished ones, by identity.
    failures : dict
        What ended the others, by identity.
    last_word : str
        What came of the last trial.
    """

    layout: OutputLayout
    trials: tuple[Trial, ...]
    figures: dict[str, TrialFigures]
    failures: dict[str, BaseException] = field(default_factory=dict)
    last_word: str = ""

    @property
    def missing(self) -> tuple[Trial, ...]:
        """Trials without figures."""
        return tuple(trial for trial in self.trials if trial.identity not in self.figures)

    def note(self, trial: Trial, measured: dict[str, Any]) -> None:
        """Keep the figures of a trial; a later run finds them."""
        figures = figures_of(trial.names() | {"identity": trial.identity}, measured)
        content = canonical_json(figures.to_json()).encode()
        storage.write_bytes(self.layout.trial(trial.identity), content)
        self.figures[trial.identity] = figures
        self.last_word = f"{trial.sentence}: {100 * figures.accuracy['blind']:.1f} %"

    def note_failure(self, trial: Trial, error: BaseException) -> None:
        """Remember what ended a trial."""
        self.failures[trial.identity] = error
        self.last_word = f"{trial.sentence}: failed: {_first_line(error)}"

    def finish(self, clock: Clock) -> Outcome:
        """Write page, table and figures.

        Raises
        ------
        ClusterError
            If trials failed; what is written has the others.
        CatalogtoolError
            What ended all of them, if none is finished.
        """
        if not self.figures:
            raise next(iter(self.failures.values()))
        figures = [self.figures[t.identity] for t in self.trials if t.identity in self.figures]
        where = self.layout.comparison(self.trials[0].target, self._identity())
        with clock.stage("report"):
            page = render_comparison(self._title(), figures, self._remarks())
            storage.write_bytes(where.page, page.encode())
            storage.write_bytes(where.table, write_table(figures).encode())
            records = [record.to_json() for record in figures]
            storage.write_bytes(where.figures, canonical_json(records).encode())
        if self.failures:
            raise self._failed(where)
        return _outcome(figures, where, clock)

    def _identity(self) -> str:
        identities = sorted(trial.identity for trial in self.trials)
        return hashlib.sha256("".join(identities).encode()).hexdigest()[:12]

    def _title(self) -> str:
        pairs = dict.fromkeys(f"{trial.source} to {trial.target}" for trial in self.trials)
        return f"Adaptation methods: {', '.join(pairs)}"

    def _remarks(self) -> list[str]:
        remarks = []
        if any(trial.measured.simulated for trial in self.trials):
            remarks.append("Simulated: cutouts of these surveys are made up.")
        remarks += [f"Failed: {self._describe(identity)}" for identity in self.failures]
        return remarks

    def _describe(self, identity: str) -> str:
        trial = next(trial for trial in self.trials if trial.identity == identity)
        return f"{trial.sentence}: {_first_line(self.failures[identity])}"

    def _failed(self, where: ComparisonLayout) -> CatalogtoolError:
        lines = [self._describe(identity) for identity in self.failures]
        return ClusterError(
            f"{len(lines)} of {len(self.trials)} trials failed; run again to try them again. The "
            f"others are in {where.page}\n" + "\n".join(lines),
            failed=len(lines),
        )


def open_comparison(config: CompareConfig, progress: Progress) -> Comparison:
    """Plan a comparison and find what an earlier run has finished of it.

    Raises
    ------
    CatalogtoolError
        As of `plan_trials`.
    """
    layout = OutputLayout(storage.normalise(config.output))
    trials = plan_trials(config, progress)
    figures = {
        trial.identity: found for trial in trials if (found := _read(layout, trial)) is not None
    }
    progress.log(f"{len(trials)} trials, {len(figures)} of them finished")
    return Comparison(layout, trials, figures)


def _read(layout: OutputLayout, trial: Trial) -> TrialFigures | None:
    uri = layout.trial(trial.identity)
    if not storage.exists(uri):
        return None
    return build_settings(TrialFigures, json.loads(storage.read_bytes(uri)), where=uri)


def _outcome(figures: list[TrialFigures], where: ComparisonLayout, clock: Clock) -> Outcome:
    advice = {}
    for pair in dict.fromkeys(trial.pair for trial in figures):
        rows = rows_of((trial for trial in figures if trial.pair == pair), "blind")
        for one in advise(rows):
            name = f"{pair}, {one.shots} labels per class"
            advice[name] = {"method": one.method, "reason": one.reason}
    return Outcome(
        places=(("page", where.page), ("table", where.table), ("figures", where.figures)),
        counts=(),
        timings=tuple((name, f"{seconds:.1f}") for name, seconds in clock.timings),
        figures=advice,
        remarks=tuple(f"{name}: {one['method']}. {one['reason']}" for name, one in advice.items()),
    )


def _first_line(error: BaseException) -> str:
    text = str(error).strip().split("\n", 1)[0]
    is_known = isinstance(error, CatalogtoolError)
    return text if is_known else f"{type(error).__name__}: {text}"
