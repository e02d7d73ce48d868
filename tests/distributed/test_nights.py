"""Three nights of a survey through the command, one of them killed, and folded in the end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_survey import write_survey

from catalogtool.release.verify import verify

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]

NIGHTS = ("2026-04-03", "2026-04-04", "2026-04-05")
OBJECTS = 48


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nights")
    simulation = f'first_night = "{NIGHTS[0]}"\nnights = {len(NIGHTS)}'
    write_survey(folder, "nightly", "nightly", simulation=simulation, kinds=["morphology"])
    return folder


def command(folder: Path, *words: str, output: str = "out") -> list[str]:
    survey = ["--survey", str(folder / "nightly.toml"), "--output", str(folder / output)]
    # One form: the fastest one differs by chance, and with it the last digits.
    form = ["--form", "channels_last"]
    return [sys.executable, "-m", "catalogtool", "produce", "--json", *survey, *form, *words]


def produce(folder: Path, *words: str, output: str = "out") -> tuple[dict[str, Any], str]:
    done = subprocess.run(
        command(folder, *words, output=output), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def kill_while_appending(folder: Path, night: str) -> None:
    """SIGKILL the whole family of a production once the first file of its night is in a series."""
    running = subprocess.Popen(
        command(folder, "--night", night), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 200
    while running.poll() is None and time.monotonic() < deadline:
        if next(folder.glob(f"out/series/nightly/*/*/*/dataset/*/*/*/{night}-*.parquet"), None):
            break
        time.sleep(0.001)
    family = psutil.Process(running.pid).children(recursive=True)
    os.kill(running.pid, signal.SIGKILL)
    for process in family:
        if process.is_running():
            process.kill()
    assert running.wait(timeout=60) == -signal.SIGKILL
    assert not (folder / f"out/nights/nightly/{night}.json").exists()


def rows_of(catalog: str) -> pa.Table:
    files = sorted(Path(catalog, "nightly_morphology", "dataset").rglob("N*.parquet"))
    return pa.concat_tables([pq.ParquetFile(file).read() for file in files])


def test_nights_through_the_command_fold_to_the_catalog_of_one_run(folder: Path) -> None:
    first, _ = produce(folder, "--night", NIGHTS[0])
    series = dict(first["places"])["series nightly_morphology"]
    assert verify(series).passed
    kill_while_appending(folder, NIGHTS[1])
    for night in NIGHTS[1:]:
        _, told = produce(folder, "--night", night)
        assert f"{OBJECTS // 3} objects are new to the series" in told
    again, told = produce(folder, "--night", NIGHTS[1])
    assert "nothing to do" in told
    assert again["counts"] == []
    _, told = produce(folder, "--since-last")
    assert f"0 objects are new to the series, {OBJECTS} were seen before" in told
    assert verify(series).passed
    commits = [json.loads((folder / f"out/nights/nightly/{n}.json").read_text()) for n in NIGHTS]
    assert [commit["objects"] for commit in commits] == [OBJECTS // 3] * 3
    assert not (folder / "out/latest/nightly.json").exists()  # a night is not the survey

    fold = [sys.executable, "-m", "catalogtool", "catalog", "compact", "--json", series]
    folded = json.loads(subprocess.run(fold, capture_output=True, check=True).stdout)
    record = json.loads((folder / "out/series/nightly.json").read_text())
    bulk, _ = produce(folder, "--model", record["model_uri"], output="bulk")
    mine, bulks = (
        rows_of(uri) for uri in (folded["uri"], dict(bulk["places"])["catalog morphology"])
    )
    keys = ["_healpix_29", "object_id", "band", "model_id", "flags"]
    assert mine.select(keys).equals(bulks.select(keys))
    for name in (name for name in mine.column_names if name.startswith("p_")):
        assert mine.column(name).to_pylist() == pytest.approx(
            bulks.column(name).to_pylist(), abs=1e-5
        )
