"""Training on a Ray cluster of this machine."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_training import model_uri, small_domain, source_spec

from catalogtool.distributed import train
from catalogtool.distributed.cluster import local_cluster
from catalogtool.distributed.train import train_model
from catalogtool.errors import LabelError
from catalogtool.progress import Progress
from catalogtool.training.context import SingleProcess
from catalogtool.training.model import Model, load_model
from catalogtool.training.run import run_training

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with local_cluster(2):
        yield


class _Recorder(Progress):
    def __init__(self) -> None:
        self.told: list[tuple[int, int, str]] = []

    def advance(self, done: int, total: int, noun: str, note: str = "") -> None:
        assert "loss" in note
        self.told.append((done, total, noun))


def _weights_equal(first: Model, second: Model) -> bool:
    one, other = first.network.state_dict(), second.network.state_dict()
    return all(bool((one[name] == other[name]).all()) for name in one)


def test_one_worker_trains_what_a_single_process_does_and_is_reused(tmp_path: Path) -> None:
    spec = source_spec(small_domain(tmp_path))
    uri, plain_uri = model_uri(tmp_path, spec), str(tmp_path / "plain")
    recorder = _Recorder()

    model = train_model(spec, uri, workers=1, progress=recorder)

    run_training(spec, plain_uri, SingleProcess())
    again = train_model(spec, uri, workers=1)
    assert recorder.told[-1] == (2, 2, "epochs")
    assert model.metrics["epochs"] == 2
    assert model.model_id == again.model_id
    assert model.metrics["test"]["rmse"] == pytest.approx(
        load_model(plain_uri).metrics["test"]["rmse"], abs=0.01
    )
    assert sorted(p.name for p in Path(uri).iterdir()) == ["run.json", "weights.safetensors"]


def test_labels_are_checked_before_workers_start(tmp_path: Path) -> None:
    spec = source_spec(small_domain(tmp_path))
    training = spec.training.model_copy(update={"validation_share": 0.999})

    with pytest.raises(LabelError, match="no label is left to train on"):
        train_model(spec.model_copy(update={"training": training}), str(tmp_path / "m"), workers=1)


def test_two_workers_survive_the_death_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = source_spec(small_domain(tmp_path), max_epochs=3)
    undisturbed = train_model(spec, str(tmp_path / "undisturbed"), workers=2)
    monkeypatch.setattr(train, "_work", _DiesOnce(str(tmp_path / "died"), train._work))

    model = train_model(spec, str(tmp_path / "disturbed"), workers=2)

    assert (tmp_path / "died").exists()
    assert model.metrics["epochs"] == 3
    assert _weights_equal(model, undisturbed)


class _DiesOnce:
    """A worker whose second rank kills itself in the second epoch, the first time."""

    def __init__(self, marker: str, work: Any) -> None:  # noqa: ANN401 - the real worker
        self.marker = marker
        self.work = work

    def __call__(self, config: dict[str, Any]) -> None:
        report = train.RayWorker.report

        def report_or_die(worker: train.RayWorker, epoch: int, *rest: Any) -> None:  # noqa: ANN401
            report(worker, epoch, *rest)
            if worker.rank == 1 and epoch == 0 and not Path(self.marker).exists():
                Path(self.marker).touch()
                os.kill(os.getpid(), signal.SIGKILL)

        train.RayWorker.report = report_or_die  # type: ignore[method-assign]
        try:
            self.work(config)
        finally:
            train.RayWorker.report = report  # type: ignore[method-assign]
