"""A comparison on a Ray cluster of this machine: whole, killed, damaged and taken up again."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from small_pair import write_pair
from typer.testing import CliRunner

from catalogtool.cli.main import app
from catalogtool.config.compare import CompareConfig
from catalogtool.distributed.cluster import local_cluster
from catalogtool.distributed.compare import compare
from catalogtool.errors import ClusterError
from catalogtool.progress import Progress

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with local_cluster(2):
        yield


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return write_pair(tmp_path)[1]


def config(target: Path, **changes: object) -> CompareConfig:
    settings = CompareConfig(
        surveys=(str(target),),
        output=str(target.parent / "out"),
        methods=("source_only", "mme"),
        shots=(0, 2),
        seeds=2,
        validation_shots=2,
    )
    return settings.model_copy(update=changes)


def places(target: Path) -> dict[str, Path]:
    (folder,) = (target.parent / "out/comparisons").iterdir()
    return {file.suffix: file for file in folder.iterdir()}


def test_the_command_measures_every_method_and_writes_page_table_and_figures(
    target: Path,
) -> None:
    words = ["compare", "--json", "--survey", str(target), "--output", str(target.parent / "out")]
    words += ["--methods", "source_only,fine_tune,mme", "--shots", "0,2", "--seeds", "2"]
    words += ["--validation-shots", "2"]

    done = CliRunner().invoke(app, words, catch_exceptions=False)

    assert done.exit_code == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert set(outcome["figures"]) == {
        f"shallow_mock to deep_mock, {shots} labels per class" for shots in (0, 2)
    }
    records = json.loads(places(target)[".json"].read_text())
    assert len(records) == 2 * (2 + 1 + 2)
    for record in records:
        learned = record["method"] != "source_only"
        assert set(record["accuracy"]) == ({"blind", "labels"} if learned else {"blind"})
        assert 0 <= record["accuracy"]["blind"] <= 1
        assert record["test_count"] > 100
    assert len(places(target)[".csv"].read_text().splitlines()) == 1 + 2 * (2 + 2 * 3)
    assert "which method to take" in places(target)[".html"].read_text()
    assert len(list((target.parent / "out/models").iterdir())) == 2 * (1 + 1 + 2)


class Killer(Progress):
    """Kills a busy worker process once, when the first trial is done."""

    def __init__(self) -> None:
        self.killed: list[int] = []
        self.messages: list[str] = []

    def log(self, message: str) -> None:
        self.messages.append(message)

    def advance(self, done: int, total: int, noun: str, note: str = "") -> None:  # noqa: ARG002 - the common signature
        if not self.killed:
            workers = [
                process
                for process in psutil.Process().children(recursive=True)
                if "ray::_train" in "".join(process.cmdline())
            ]
            for worker in workers[:1]:
                worker.send_signal(signal.SIGKILL)
                self.killed.append(worker.pid)


def test_a_killed_trial_is_tried_again_and_ends_as_if_nothing_had_happened(target: Path) -> None:
    long = config(target, methods=("mme",), epochs=12)
    killer = Killer()
    compare(long, killer)
    assert killer.killed
    figures = json.loads(places(target)[".json"].read_text())

    quiet = compare(long.model_copy(update={"output": str(target.parent / "quiet")}), Progress())

    again = json.loads(Path(dict(quiet.places)["figures"]).read_text())
    for one, other in zip(figures, again, strict=True):
        assert one["accuracy"] == other["accuracy"]
        assert one["model_id"] == other["model_id"]


def test_a_failed_trial_is_reported_beside_the_others_and_tried_again(target: Path) -> None:
    compare(config(target, methods=("source_only",), shots=(0,), seeds=1), Progress())
    (model,) = (target.parent / "out/models").iterdir()
    weights = (model / "weights.safetensors").read_bytes()
    (model / "weights.safetensors").write_bytes(weights[:-1] + b"x")

    both = config(target, shots=(0,), seeds=2)
    with pytest.raises(ClusterError, match=r"1 of 4 trials failed.*\n.*damaged model"):
        compare(both, Progress())

    pages = [page.read_text() for page in target.parent.glob("out/comparisons/*/*.html")]
    assert any("Failed: mme, shallow_mock to deep_mock" in page for page in pages)
    (model / "weights.safetensors").write_bytes(weights)
    log = Killer()
    log.killed = [0]
    compare(both, log)
    assert "4 trials, 3 of them finished" in log.messages
