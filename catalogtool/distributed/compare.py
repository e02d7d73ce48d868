"""A comparison on a Ray cluster: every training is a task, and waits for the one it starts from."""

import os
from collections.abc import Callable
from typing import Any

import ray

from catalogtool.config._base import build_settings
from catalogtool.config.compare import CompareConfig
from catalogtool.config.training import TrainingSpec
from catalogtool.distributed.checkpoints import CheckpointFolder
from catalogtool.distributed.cluster import any_cluster, reachable
from catalogtool.distributed.failures import unwrap
from catalogtool.layout import OutputLayout
from catalogtool.production.clock import Clock
from catalogtool.production.comparison import Comparison, open_comparison
from catalogtool.production.outcome import Outcome
from catalogtool.production.trials import Trial
from catalogtool.progress import Progress
from catalogtool.training.context import SingleProcess
from catalogtool.training.measure import measure
from catalogtool.training.model import find_model, load_model
from catalogtool.training.run import run_training

_MAX_RETRIES = 3
"""How often a trial may lose its process or machine."""


def compare(config: CompareConfig, progress: Progress) -> Outcome:
    """Run all trials of a comparison, or those that an earlier run has left.

    Parameters
    ----------
    config : CompareConfig
        What is asked.
    progress : Progress
        Hears about stages and trials.

    Returns
    -------
    Outcome
        Where page, table and figures are, and which method they recommend.

    Raises
    ------
    CatalogtoolError
        If nothing can be compared, or trials failed. The page with the others is written before,
        and the same call tries the failed ones again.
    """
    clock = Clock(progress)
    with clock.stage("plan"):
        comparison = open_comparison(config, progress)
    if comparison.missing:
        cluster = any_cluster(config.workers or len(os.sched_getaffinity(0)))
        with cluster, clock.stage("trials"):
            _run(comparison, config.trials_per_gpu, progress)
    return comparison.finish(clock)


def _run(comparison: Comparison, trials_per_gpu: int, progress: Progress) -> None:
    """Place what is missing on the cluster, and take note of what comes back."""
    waiting = _Tasks(comparison.layout, trials_per_gpu).place(comparison.missing)
    total = len(waiting)
    while waiting:
        (ready, *_), _ = ray.wait(list(waiting), num_returns=1)
        trial = waiting.pop(ready)
        try:
            comparison.note(trial, ray.get(ready))
        except Exception as error:  # noqa: BLE001 - one trial of many: the others go on
            comparison.note_failure(trial, unwrap(error))
        progress.advance(total - len(waiting), total, "trials", comparison.last_word)


class _Tasks:
    """Tasks of a comparison; a training that several trials need is placed once."""

    def __init__(self, layout: OutputLayout, trials_per_gpu: int) -> None:
        has_gpu = reachable("GPU") > 0
        self._layout = layout
        self._options = {
            "num_cpus": 1,
            "num_gpus": 1 / trials_per_gpu if has_gpu else 0,
            "max_retries": _MAX_RETRIES,
            "scheduling_strategy": "SPREAD",
        }
        self._train = ray.remote(_train).options(**self._options)
        self._measure = ray.remote(_measure).options(**self._options)
        self._trained: dict[str, ray.ObjectRef[Any]] = {}

    def place(self, trials: tuple[Trial, ...]) -> dict[ray.ObjectRef[Any], Trial]:
        """Place all trials; returns what each task will measure."""
        return {self._place(trial): trial for trial in trials}

    def _place(self, trial: Trial) -> ray.ObjectRef[Any]:
        after: ray.ObjectRef[Any] | None = None
        for spec in trial.trainings:
            if spec.identity not in self._trained:
                uri = self._layout.model(spec.identity)
                self._trained[spec.identity] = self._train.remote(spec.to_json(), uri, after)
            after = self._trained[spec.identity]
        uri = self._layout.model(trial.trainings[-1].identity)
        return self._measure.remote(trial.measured.to_json(), uri, after)


class SoloWorker(SingleProcess):
    """A worker that trains alone and leaves checkpoints.

    Parameters
    ----------
    folder : CheckpointFolder
        Where they are kept.
    """

    def __init__(self, folder: CheckpointFolder) -> None:
        super().__init__(_device(), folder.read_state())
        self._folder = folder

    def report(self, epoch: int, metrics: dict[str, Any], state: Callable[[], bytes]) -> None:  # noqa: ARG002 - the common signature
        """Write a checkpoint if the last one is some seconds old."""
        self._folder.offer_state(state)


def _train(spec: dict[str, Any], model_uri: str, after: None) -> None:  # noqa: ARG001 - what it waits for
    if find_model(model_uri) is not None:
        return
    folder = CheckpointFolder(model_uri)
    run_training(_read_spec(spec), model_uri, SoloWorker(folder))
    folder.delete()


def _measure(spec: dict[str, Any], model_uri: str, after: None) -> dict[str, Any]:  # noqa: ARG001 - what it waits for
    return measure(load_model(model_uri), _read_spec(spec), SingleProcess(_device()))


def _read_spec(values: dict[str, Any]) -> TrainingSpec:
    import torch

    torch.set_num_threads(1)  # of its one CPU
    return build_settings(TrainingSpec, values, where="trial")


def _device() -> Any:  # noqa: ANN401 - torch is imported only by workers
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
