"""Training on a Ray cluster of this machine."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from small_training import model_uri, small_domain, source_spec

from catalogtool.distributed.cluster import local_cluster
from catalogtool.distributed.train import train_model
from catalogtool.errors import LabelError
from catalogtool.progress import Progress
from catalogtool.training.context import SingleProcess
from catalogtool.training.model import Model, load_model
from catalogtool.training.run import run_training

pytestmark = pytest.mark.ray

_EPOCHS = 15
"""Enough for a worker to be killed in the midst of them."""


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


class _Killer(_Recorder):
    """Kills one worker when it hears of the first finished epochs."""

    def advance(self, done: int, total: int, noun: str, note: str = "") -> None:
        if not self.told:
            workers = [
                process
                for process in psutil.Process().children(recursive=True)
                if "RayTrainWorker" in "".join(process.cmdline())
            ]
            workers[-1].send_signal(signal.SIGKILL)
        super().advance(done, total, noun, note)


def test_two_workers_survive_the_death_of_one(tmp_path: Path) -> None:
    spec = source_spec(small_domain(tmp_path), max_epochs=_EPOCHS)
    killer = _Killer()

    model = train_model(spec, str(tmp_path / "disturbed"), workers=2, progress=killer)

    assert killer.told[0][0] < _EPOCHS
    undisturbed = train_model(spec, str(tmp_path / "undisturbed"), workers=2)
    assert model.metrics["epochs"] == _EPOCHS
    assert _weights_equal(model, undisturbed)
