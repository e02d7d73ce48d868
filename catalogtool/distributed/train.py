"""Training on a Ray cluster: one or many workers, and what happens when one of them dies.

Checkpoints are written by the first worker, whole and under one name, beside the model. Whoever
starts again, a worker group or a new driver, goes on from there.
"""

import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow.fs
import ray.train
import ray.train.torch
from ray.train.v2.api.exceptions import ControllerError, TrainingFailedError, WorkerGroupError

from catalogtool import storage
from catalogtool.config._base import build_settings
from catalogtool.config.training import TrainingSpec
from catalogtool.distributed.checkpoints import CheckpointFolder
from catalogtool.distributed.cluster import reachable
from catalogtool.distributed.failures import unwrap
from catalogtool.distributed.process_group import NodeNetwork
from catalogtool.distributed.ray_storage import object_storage
from catalogtool.errors import ClusterError
from catalogtool.progress import Progress
from catalogtool.training.context import GroupMember
from catalogtool.training.labelled import label_domains
from catalogtool.training.model import Model, find_model, load_model
from catalogtool.training.run import initial_network, run_training

_MAX_FAILURES = 3
_POLL_SECONDS = 0.5
_ENVIRONMENT = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_TRAIN_ENABLE_STATE_ACTOR_RECONCILIATION": "0",  # it needs the dashboard
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
}


def train_model(
    spec: TrainingSpec, model_uri: str, workers: int, progress: Progress | None = None
) -> Model:
    """Train a model, or find the one that this very training has left.

    Parameters
    ----------
    spec : TrainingSpec
        What to train, on what.
    model_uri : str
        Folder of the model.
    workers : int
        Training workers; each gets one GPU where there are any.
    progress : Progress or None
        Told of every epoch.

    Raises
    ------
    ClusterError
        If workers die again and again.
    DataError
        If labels or inputs cannot be used.
    """
    model = find_model(model_uri)
    if model is not None:
        return model
    # What can be refused is refused here, before workers start.
    label_domains(spec)
    initial_network(spec, model_uri)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with _Watch(model_uri, progress or Progress()):
        _fit(spec, model_uri, workers)
    CheckpointFolder(model_uri).delete()
    return load_model(model_uri)


def _fit(spec: TrainingSpec, model_uri: str, workers: int) -> None:
    assignment = _Assignment(spec.to_json(), model_uri)
    path, filesystem = _ray_storage(CheckpointFolder(model_uri).uri)
    trainer = ray.train.torch.TorchTrainer(
        _work,
        train_loop_config=asdict(assignment),
        scaling_config=ray.train.ScalingConfig(
            num_workers=workers,
            use_gpu=reachable("GPU") >= workers,
            placement_strategy="SPREAD",
        ),
        torch_config=NodeNetwork(),
        run_config=ray.train.RunConfig(
            name="train",
            storage_path=path,
            storage_filesystem=filesystem,
            failure_config=ray.train.FailureConfig(max_failures=_MAX_FAILURES),
        ),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        raise _translate(error) from error
    except SystemExit:  # what Ray Train makes of Ctrl-C
        raise KeyboardInterrupt from None


def _translate(error: TrainingFailedError) -> BaseException:
    if isinstance(error, WorkerGroupError) and error.worker_failures:
        failure = unwrap(next(iter(error.worker_failures.values())))
    elif isinstance(error, ControllerError):
        failure = unwrap(error.controller_failure)
    else:
        failure = unwrap(error)
    if isinstance(failure, TrainingFailedError):
        sentence = str(failure).strip().split("\n", 1)[0]
        return ClusterError(
            f"training workers failed {_MAX_FAILURES + 1} times; run again to go on from the "
            f"last checkpoint, and look for 'killed process' in the system log\n{sentence}"
        )
    return failure


@dataclass(frozen=True)
class _Assignment:
    """What a worker is told."""

    spec: dict[str, Any]
    model_uri: str


def _work(config: dict[str, Any]) -> None:
    import torch

    assignment = _Assignment(**config)
    neighbours = ray.train.get_context().get_local_world_size()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // neighbours))
    spec = build_settings(TrainingSpec, assignment.spec, where="training")
    context = RayWorker(CheckpointFolder(assignment.model_uri), spec.training.max_epochs)
    run_training(spec, assignment.model_uri, context)


class RayWorker(GroupMember):
    """A worker of a Ray Train group.

    Parameters
    ----------
    folder : CheckpointFolder
        Where checkpoint and progress are kept.
    max_epochs : int
        Told with the progress.
    """

    def __init__(self, folder: CheckpointFolder, max_epochs: int) -> None:
        super().__init__(ray.train.torch.get_device(), folder.read_state())
        self.folder = folder
        self.max_epochs = max_epochs

    def report(self, epoch: int, metrics: dict[str, Any], state: Callable[[], bytes]) -> None:
        """Tell the driver, and write a checkpoint if the last one is some seconds old."""
        if self.rank == 0:
            self.folder.offer_state(state)
            self.folder.tell({"done": epoch + 1, "total": self.max_epochs, "note": _note(metrics)})
        ray.train.report({"epoch": epoch})


def _note(metrics: dict[str, Any]) -> str:
    words = [f"loss {sum(metrics['train'].values()):.4f}"]
    if "validation" in metrics:
        words.append(f"validation RMSE {metrics['validation']['rmse']:.4f}")
        words.append(f"balanced accuracy {metrics['validation']['balanced_accuracy']:.3f}")
    return ", ".join(words)


class _Watch:
    """Tells of epochs while the driver waits for Ray."""

    def __init__(self, model_uri: str, progress: Progress) -> None:
        self._folder = CheckpointFolder(model_uri)
        self._progress = progress
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        told: dict[str, Any] = {}
        is_last = False
        while not is_last:
            is_last = self._ended.wait(_POLL_SECONDS)
            news = self._folder.listen()
            if news is not None and news != told:
                self._progress.advance(news["done"], news["total"], "epochs", news["note"])
                told = news


def _ray_storage(uri: str) -> tuple[str, pyarrow.fs.FileSystem | None]:
    if storage.is_local(uri):
        return uri, None
    return uri.removeprefix("s3://"), object_storage()
