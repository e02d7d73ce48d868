"""A comparison of anomaly methods on a Ray cluster: every trial is a task."""

import json
import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import ray

from catalogtool import storage
from catalogtool.anomaly._protocol import leave_one_out
from catalogtool.config._base import build_settings, canonical_json
from catalogtool.config.anomaly import AnomalyCompareConfig
from catalogtool.distributed.cluster import any_cluster
from catalogtool.distributed.failures import unwrap
from catalogtool.errors import ClusterError
from catalogtool.layout import OutputLayout
from catalogtool.production.anomaly_trials import (
    AnomalyFigures,
    AnomalyTrial,
    Objects,
    plan_anomaly_trials,
    read_objects,
)
from catalogtool.production.clock import Clock
from catalogtool.production.outcome import Outcome
from catalogtool.progress import Progress
from catalogtool.quality.anomaly_page import Line, best_method, render_anomalies, write_lines

_MAX_RETRIES = 3


def compare_anomalies(config: AnomalyCompareConfig, progress: Progress) -> Outcome:
    """Run all trials of a comparison, or those that an earlier run has left.

    Raises
    ------
    CatalogtoolError
        If nothing can be compared, or trials failed; the page with the others is written before,
        and the same call tries the failed ones again.
    """
    clock = Clock(progress)
    layout = OutputLayout(storage.normalise(config.output))
    with clock.stage("plan"):
        objects = read_objects(config)
        trials = plan_anomaly_trials(config, objects)
        found = [figures for trial in trials if (figures := _read(layout, trial)) is not None]
        missing = [t for t in trials if t.identity not in {f.trial.identity for f in found}]
        progress.log(f"{len(trials)} trials, {len(found)} of them finished")
    failures: list[str] = []
    if missing:
        workers = config.workers or len(os.sched_getaffinity(0))
        with any_cluster(workers), clock.stage("trials"):
            for trial, result in _run(missing, objects, progress):
                if isinstance(result, AnomalyFigures):
                    storage.write_bytes(layout.trial(trial.identity), _to_bytes(result))
                    found.append(result)
                else:
                    failures.append(f"{trial.method} without {trial.left_out}: {result}")
    if not found:
        raise ClusterError(f"all {len(trials)} trials failed; {failures[0]}")
    return _finish(config, layout, found, failures, clock)


def _run(trials: Sequence[AnomalyTrial], objects: Objects, progress: Progress) -> Any:  # noqa: ANN401 - an iterator of trials and figures or errors
    shared = ray.put(objects)
    task = ray.remote(_measure).options(num_cpus=1, max_retries=_MAX_RETRIES)
    waiting = {task.remote(trial.to_json(), shared): trial for trial in trials}
    while waiting:
        (ready, *_), _ = ray.wait(list(waiting), num_returns=1)
        trial = waiting.pop(ready)
        try:
            result: Any = AnomalyFigures.model_validate(ray.get(ready))
            word = f"{trial.method} without {trial.left_out}: {result.auroc:.3f}"
        except Exception as error:  # noqa: BLE001 - one trial of many: the others go on
            result = str(unwrap(error)).strip().split("\n", 1)[0]
            word = f"{trial.method} without {trial.left_out}: failed"
        progress.advance(len(trials) - len(waiting), len(trials), "trials", word)
        yield trial, result


def _measure(values: dict[str, Any], objects: Objects) -> dict[str, Any]:
    import torch

    torch.set_num_threads(1)  # of its one CPU
    trial = build_settings(AnomalyTrial, values, where="trial")
    begin = time.perf_counter()
    labelled = objects.of_seed(trial.seed, trial.test_share)
    left_out = labelled.classes.index(trial.left_out)
    found = leave_one_out(labelled, left_out, trial.method, {}, trial.seed)
    return {
        "trial": trial.to_json(),
        "auroc": found.auroc,
        "precision": found.precision,
        "base_rate": found.base_rate,
        "seconds": time.perf_counter() - begin,
    }


def _read(layout: OutputLayout, trial: AnomalyTrial) -> AnomalyFigures | None:
    uri = layout.trial(trial.identity)
    if not storage.exists(uri):
        return None
    return build_settings(AnomalyFigures, json.loads(storage.read_bytes(uri)), where=uri)


def _to_bytes(figures: AnomalyFigures) -> bytes:
    return canonical_json(figures.to_json()).encode()


def _finish(
    config: AnomalyCompareConfig,
    layout: OutputLayout,
    found: list[AnomalyFigures],
    failures: list[str],
    clock: Clock,
) -> Outcome:
    """Write page, table and figures."""
    lines = _lines(found)
    where = layout.comparison("anomaly", found[0].trial.data[:12])
    with clock.stage("report"):
        page = render_anomalies(f"Anomaly methods: {config.input}", lines, failures)
        storage.write_bytes(where.page, page.encode())
        storage.write_bytes(where.table, write_lines(lines).encode())
        records = [figures.to_json() for figures in found]
        storage.write_bytes(where.figures, canonical_json(records).encode())
    if failures:
        text = "\n".join(failures)
        raise ClusterError(
            f"{len(failures)} trials failed; run again to try them again. The others are in "
            f"{where.page}\n{text}",
            failed=len(failures),
        )
    name, mean, worst = best_method(lines)
    reason = f"mean area under the curve {mean:.3f}, worst class {worst:.3f}"
    return Outcome(
        places=(("page", where.page), ("table", where.table), ("figures", where.figures)),
        counts=(),
        timings=tuple((stage, f"{seconds:.1f}") for stage, seconds in clock.timings),
        figures={"anomalies": {"method": name, "reason": reason}},
        remarks=(f"{name}: {reason}",),
    )


def _lines(found: list[AnomalyFigures]) -> list[Line]:
    groups: dict[tuple[str, str], list[AnomalyFigures]] = {}
    for figures in sorted(found, key=lambda f: f.trial.seed):
        groups.setdefault((figures.trial.method, figures.trial.left_out), []).append(figures)
    return [
        Line(
            method=method,
            left_out=left_out,
            auroc=tuple(one.auroc for one in some),
            precision=tuple(one.precision for one in some),
            base_rate=some[0].base_rate,
            seconds=float(np.median([one.seconds for one in some])),
        )
        for (method, left_out), some in sorted(groups.items())
    ]
