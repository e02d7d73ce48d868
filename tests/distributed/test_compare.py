"""A comparison on a Ray cluster of this machine: whole, killed, damaged and taken up again."""

import contextlib
import json
import signal
import threading
import time
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


def kill_a_trainer(killed: list[int]) -> None:
    """Wait for a training that has gone on for a moment, and kill its process."""
    deadline = time.monotonic() + 120
    seen: dict[int, float] = {}
    while not killed and time.monotonic() < deadline:
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "ray::_train" not in "".join(process.cmdline()):
                    continue
                if time.monotonic() - seen.setdefault(process.pid, time.monotonic()) > 1:
                    process.send_signal(signal.SIGKILL)
                    killed.append(process.pid)
                    return
        time.sleep(0.1)


@pytest.mark.long
def test_a_killed_trial_is_tried_again_and_ends_as_if_nothing_had_happened(target: Path) -> None:
    long = config(target, methods=("mme",), epochs=10, seeds=1)
    killed: list[int] = []
    killer = threading.Thread(target=kill_a_trainer, args=(killed,))
    killer.start()
    compare(long, Progress())
    killer.join()
    assert killed
    figures = json.loads(places(target)[".json"].read_text())

    quiet = compare(long.model_copy(update={"output": str(target.parent / "quiet")}), Progress())

    again = json.loads(Path(dict(quiet.places)["figures"]).read_text())
    assert [one["accuracy"] for one in figures] == [one["accuracy"] for one in again]
    assert [one["model_id"] for one in figures] == [one["model_id"] for one in again]


class Log(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def log(self, message: str) -> None:
        self.messages.append(message)


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
    log = Log()
    compare(both, log)
    assert "4 trials, 3 of them finished" in log.messages
