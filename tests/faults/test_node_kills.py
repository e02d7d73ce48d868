"""Power failures of machines: a worker's in training and in inference, the head's in inference."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_rig import ADDRESS, Rig, running_rig
from small_survey import write_survey

pytestmark = [
    pytest.mark.ray,
    pytest.mark.s3,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(1200),
]

OBJECTS = 260
BUCKET = "s3://ready"
END_S = 600
rng = random.Random(7)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Three machines; every run of theirs bears the same date."""
    with running_rig(tmp_path_factory.mktemp("rig")) as rig:
        rig.environment["SOURCE_DATE_EPOCH"] = "1767225600"
        rig.boot_all()
        yield rig


class Production:
    """A production of the rig, to be disturbed."""

    def __init__(self, rig: Rig, survey: Path, output: str, log: Path) -> None:
        self.rig = rig
        self.log = log
        self.words = ["produce", "--json", "--survey", str(survey), "--output", output]
        self.words += ["--form", "channels_last", "--unit-objects", "2", "--epochs", "20"]

    def start(self) -> subprocess.Popen[bytes]:
        there = ("--cluster", ADDRESS, "--train-workers", "2")
        return self.rig.start(*self.words, *there, log=self.log)

    def finish(self, running: subprocess.Popen[bytes]) -> dict[str, Any]:
        stdout, _ = running.communicate(timeout=END_S)
        assert running.returncode == 0, self.told()
        outcome: dict[str, Any] = json.loads(stdout)
        return outcome

    def told(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def wait_for(self, text: str, running: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + END_S
        while text not in self.told():
            assert running.poll() is None, self.told()
            assert time.monotonic() < deadline, self.told()
            time.sleep(0.1)

    def wait_for_units(self, running: subprocess.Popen[bytes]) -> None:
        """Wait until some units are finished, and a little longer."""
        program = (
            "import sys\nfrom catalogtool import storage\n"
            "print(sum('/ledger/' in info.uri for info in storage.list_files(sys.argv[1])))"
        )
        self.wait_for("predict …", running)
        runs = f"{self.words[self.words.index('--output') + 1]}/runs"
        while not int(self.rig.python(program, runs)):
            assert running.poll() is None, self.told()
        time.sleep(rng.uniform(0, 1))


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_survey(tmp_path_factory.mktemp("survey"), "tiny", "tiny", objects=OBJECTS)


@pytest.fixture(scope="module")
def disturbed_training(
    rig: Rig, survey: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """A worker's machine is lost in training; what is left finishes."""
    log = tmp_path_factory.mktemp("training") / "log"
    production = Production(rig, survey, f"{BUCKET}/training", log)
    running = production.start()
    production.wait_for("epochs (", running)
    time.sleep(rng.uniform(0, 5))
    rig.kill(3)
    assert "train source_only: done" not in production.told()
    outcome = production.finish(running)
    rig.boot(3, 2)
    rig.wait_for_cpus(4)
    return outcome


@pytest.fixture(scope="module")
def model(disturbed_training: dict[str, Any]) -> str:
    return str(dict(disturbed_training["places"])["model"])


@pytest.fixture(scope="module")
def expected(
    rig: Rig, survey: Path, model: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Hashes of the catalogs that one machine alone makes with the model."""
    folder = tmp_path_factory.mktemp("local")
    give_model(rig, model, str(folder / "out"))
    production = Production(rig, survey, str(folder / "out"), folder / "log")
    done = rig.run(*production.words, timeout_s=END_S)
    assert done.returncode == 0, done.stderr
    return catalogs(rig, json.loads(done.stdout))


def give_model(rig: Rig, model: str, output: str) -> None:
    program = (
        "import sys\nfrom catalogtool import storage\n"
        "for name in ('weights.safetensors', 'run.json'): storage.write_bytes("
        "storage.join(sys.argv[2], name), storage.read_bytes(storage.join(sys.argv[1], name)))"
    )
    rig.python(program, model, f"{output}/models/{model.rpartition('/')[2]}")


def catalogs(rig: Rig, outcome: dict[str, Any]) -> dict[str, str]:
    return rig.hashes(f"{dict(outcome['places'])['run']}/catalogs")


def test_training_goes_on_without_a_lost_machine_and_the_catalog_is_whole(
    rig: Rig, disturbed_training: dict[str, Any], expected: dict[str, str]
) -> None:
    assert disturbed_training["counts"][0] == ["morphology", 2 * OBJECTS, 0, 0]
    assert catalogs(rig, disturbed_training) == expected


def test_a_machine_lost_in_inference_costs_its_units_in_hand_and_no_bit_of_the_catalog(
    rig: Rig, survey: Path, model: str, expected: dict[str, str], tmp_path: Path
) -> None:
    give_model(rig, model, f"{BUCKET}/inference")
    production = Production(rig, survey, f"{BUCKET}/inference", tmp_path / "log")
    running = production.start()
    production.wait_for_units(running)
    rig.kill(2)
    assert "predict: done" not in production.told()
    outcome = production.finish(running)
    rig.boot(2, 2)
    rig.wait_for_cpus(4)
    assert catalogs(rig, outcome) == expected


def test_the_head_lost_in_inference_and_the_same_command_again_leave_the_same_catalog(
    rig: Rig, survey: Path, model: str, expected: dict[str, str], tmp_path: Path
) -> None:
    give_model(rig, model, f"{BUCKET}/head")
    production = Production(rig, survey, f"{BUCKET}/head", tmp_path / "log")
    running = production.start()
    production.wait_for_units(running)
    for number in (1, 2, 3):
        rig.kill(number)
    assert "predict: done" not in production.told()
    running.communicate(timeout=END_S)
    assert running.returncode == 4
    assert "the cluster cannot be reached" in production.told()
    rig.boot_all()
    outcome = production.finish(production.start())
    assert "units are finished already" in production.told()
    assert catalogs(rig, outcome) == expected
    sys.stdout.write(f"stages: {outcome['timings']}\n")
