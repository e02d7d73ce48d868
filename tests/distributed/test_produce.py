"""A whole production, small: from a survey file to a committed catalog."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from small_survey import SIZE_PIX, write_cutout, write_cutouts, write_positions, write_surveys

from catalogtool.flags import FATAL, names
from catalogtool.release.verify import verify

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]

ORPHANS_END_S = 60  # agents of Ray look after their parent every few seconds
OBJECTS = 800


@dataclass(frozen=True)
class Interrupted:
    """A production that got Ctrl-C."""

    returncode: int
    told: str
    orphans: list[str]


@dataclass(frozen=True)
class RealInput:
    """Cutouts, some of them damaged, and the words that make a catalog of them."""

    words: list[str]
    reasons: dict[str, set[str]]
    """Why each damaged object gets no prediction."""


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "catalogtool", "produce", *words]


def produce(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("--json", *words), capture_output=True, text=True, check=False, timeout=400
    )


def interrupt(words: list[str], is_time: Callable[[], bool], log: Path) -> Interrupted:
    """Start a production and press Ctrl-C at some moment, as a terminal does: for all processes."""
    with log.open("wb") as told:
        running = subprocess.Popen(command(*words), stderr=told, start_new_session=True)
    deadline = time.monotonic() + 120
    while not is_time() and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    family = psutil.Process(running.pid).children(recursive=True)
    os.killpg(running.pid, signal.SIGINT)
    returncode = running.wait(timeout=60)
    _, orphans = psutil.wait_procs(family, timeout=ORPHANS_END_S)
    names = [process.name() for process in orphans]
    for process in orphans:
        process.kill()
    return Interrupted(returncode, log.read_text(), names)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Survey files and the output folder of all productions here, so that models are reused."""
    folder = tmp_path_factory.mktemp("produce")
    write_surveys(folder)
    return folder


@pytest.fixture(scope="module")
def simulated_words(folder: Path) -> list[str]:
    return ["--survey", str(folder / "tiny.toml"), "--output", str(folder / "out")]


@pytest.fixture(scope="module")
def interrupted_training(simulated_words: list[str], folder: Path) -> Interrupted:
    """Ctrl-C once the workers of the training are there."""

    def trains() -> bool:
        return next(folder.glob("out/models/*/checkpoints/train"), None) is not None

    return interrupt(simulated_words, trains, folder / "training.log")


@pytest.fixture(scope="module")
def resumed(
    interrupted_training: Interrupted, simulated_words: list[str]
) -> subprocess.CompletedProcess[str]:
    """The same command again."""
    assert interrupted_training.returncode
    done = produce(*simulated_words)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def real_input(folder: Path, resumed: subprocess.CompletedProcess[str]) -> RealInput:
    """1 % of the cutouts are damaged; the model that `resumed` left is reused."""
    assert resumed.returncode == 0
    cutouts, positions = folder / "cutouts", folder / "positions.csv"
    write_positions(write_cutouts(cutouts, OBJECTS), positions)
    reasons = corrupt(cutouts)
    words = ["--survey", str(folder / "real.toml"), "--output", str(folder / "out")]
    words += ["--input", str(cutouts), "--labels", str(positions), "--unit-objects", "8"]
    return RealInput(words, reasons)


@pytest.fixture(scope="module")
def real_outcome(real_input: RealInput) -> dict[str, Any]:
    done = produce(*real_input.words)
    assert done.returncode == 0, done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


def test_a_production_ends_in_a_verified_catalog(
    resumed: subprocess.CompletedProcess[str],
) -> None:
    outcome = json.loads(resumed.stdout)
    places = dict(outcome["places"])
    assert [tuple(count) for count in outcome["counts"]] == [
        ("morphology", 96, 0, 0),
        ("morphology_wide", 48, 0, 0),
    ]
    assert verify(places["catalog morphology"]).passed
    assert verify(places["catalog morphology_wide"]).passed
    assert "The cutouts of this catalog are simulated." in outcome["remarks"]
    assert "simulated" in resumed.stderr
    assert "simulated" in Path(places["report"]).read_text()
    properties = Path(places["catalog morphology"], "tiny_morphology", "hats.properties")
    assert "catalogtool_simulated_pixels=true" in properties.read_text()


def test_a_finished_production_is_not_done_twice(
    resumed: subprocess.CompletedProcess[str], simulated_words: list[str]
) -> None:
    again = produce(*simulated_words)
    assert again.returncode == 0, again.stderr
    assert "nothing to do" in again.stderr
    assert json.loads(again.stdout) == json.loads(resumed.stdout)


def test_ctrl_c_while_training_says_how_to_resume_and_leaves_no_process(
    interrupted_training: Interrupted,
) -> None:
    assert interrupted_training.returncode == 130, interrupted_training.told
    assert "Run the same command again to resume" in interrupted_training.told
    assert "Traceback" not in interrupted_training.told
    assert interrupted_training.orphans == []


@pytest.mark.long
def test_ctrl_c_while_predicting_says_how_to_resume_and_loses_no_unit(
    real_input: RealInput, folder: Path
) -> None:
    others = set(folder.glob("out/runs/*/ledger"))

    def predicts() -> bool:
        """Some of the 50 units are finished."""
        lines = folder.glob("out/runs/*/ledger/unit-0001*.json")
        return any(line.parent not in others for line in lines)

    words = [*real_input.words[:-1], "16"]  # units of another size, and so another run
    interrupted = interrupt(words, predicts, folder / "prediction.log")
    again = produce(*words)
    assert interrupted.returncode == 130, interrupted.told
    assert "Run the same command again to resume" in interrupted.told
    assert "Traceback" not in interrupted.told
    assert interrupted.orphans == []
    assert again.returncode == 0, again.stderr
    assert "units are finished already" in again.stderr


def corrupt(folder: Path) -> dict[str, set[str]]:
    """Damage eight objects in eight ways; return the reason of each."""
    files = iter(sorted(folder.glob("*.fits")))
    reasons: dict[str, set[str]] = {}
    good = np.random.default_rng(1).normal(size=(SIZE_PIX, SIZE_PIX)).astype(np.float32)
    damages = {
        "truncated": lambda data: data[: len(data) // 2],
        "empty": lambda _: b"",
        "no FITS at all": lambda data: b"\xff" * len(data),
        "header lost": lambda data: b" " * 2880 + data[2880:],
    }
    for damage in damages.values():
        file = next(files)
        file.write_bytes(damage(file.read_bytes()))
        reasons[file.stem] = {"unreadable"}
    images = {
        "wrong_shape": np.zeros((3, SIZE_PIX, SIZE_PIX), np.float32),
        "no_valid_pixels": np.full((SIZE_PIX, SIZE_PIX), np.nan, np.float32),
        "no_signal": np.full((SIZE_PIX, SIZE_PIX), 7, np.float32),
    }
    for reason, image in images.items():
        file = next(files)
        write_cutout(file, {"F814W": image, "F160W": image})
        reasons[file.stem] = {reason}
    file = next(files)
    write_cutout(file, {"F160W": good})
    reasons[file.stem] = {"missing_band"}
    return reasons


def flagged_rows(catalog: str) -> dict[str, set[str]]:
    """Fatal reasons of the rows without a prediction, by object."""
    table = pq.ParquetDataset(sorted(Path(catalog, "real_morphology/dataset").rglob("N*.parquet")))
    rows = table.read(columns=["source_id", "flags", "has_prediction"]).to_pylist()
    reasons: dict[str, set[str]] = {}
    for row in rows:
        if not row["has_prediction"]:
            found = names(row["flags"] & FATAL)
            reasons.setdefault(row["source_id"], set()).update(found)
    return reasons


def test_one_per_cent_of_corrupt_inputs_become_flagged_rows_with_their_reasons(
    real_outcome: dict[str, Any], real_input: RealInput
) -> None:
    catalog = dict(real_outcome["places"])["catalog morphology"]
    assert flagged_rows(catalog) == real_input.reasons
    # Each damage hits both bands of its object, but for the band that is missing.
    flagged = 2 * len(real_input.reasons) - 1
    assert real_outcome["counts"] == [
        ["morphology", 2 * OBJECTS, flagged, 0],
        ["morphology_wide", OBJECTS, len(real_input.reasons) - 1, 0],
    ]
    assert verify(catalog).passed


def test_more_flagged_rows_than_allowed_end_with_3_and_the_counts(
    real_outcome: dict[str, Any], real_input: RealInput
) -> None:
    flagged = real_outcome["counts"][0][2]
    strict = produce(*real_input.words, "--max-flagged", "0.001")
    assert strict.returncode == 3
    assert f"{flagged} of {2 * OBJECTS} rows (0.9%)" in strict.stderr
    assert "more than the allowed 0.1%" in strict.stderr
    assert "unreadable 8" in strict.stderr


def test_a_read_only_output_is_refused_with_the_remedy(folder: Path) -> None:
    done = produce("--survey", str(folder / "tiny.toml"), "--output", "/proc/catalogtool")
    assert done.returncode == 3
    assert "/proc/catalogtool" in done.stderr
    assert "choose another --output" in done.stderr
    assert "Traceback" not in done.stderr
