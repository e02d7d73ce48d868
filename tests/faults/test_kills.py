"""SIGKILL at random times to anything of a run; reruns must end with the bytes of a quiet run."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pyarrow.compute as pc
import pytest
from produce_parts import SHAPE
from small_run import make_small_run, part_contents, read_parts

from catalogtool.inference.unit import UnitTask
from catalogtool.ledger import finished_units, read_ledger, totals

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]

KILLS_OF_A_KIND = int(os.environ.get("CATALOGTOOL_KILLS", "1"))
START_S = 10.0  # the driver may die as early as while it imports
WORK_S = 3.0
QUIET_S = 300
SCRIPT = Path(__file__).parent / "produce_parts.py"
ORPHANS_END_S = 60  # agents of Ray look after their parent every few seconds


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> UnitTask:
    task = make_small_run(tmp_path_factory.mktemp("faults"), SHAPE)
    task = replace(task, run_uri=str(Path(task.run_uri).parent / "quiet"))
    assert start(task).wait(timeout=QUIET_S) == 0
    return task


def start(task: UnitTask) -> subprocess.Popen[bytes]:
    run = Path(task.run_uri)
    command = [sys.executable, str(SCRIPT), str(run.parent), run.name]
    with (run.parent / f"{run.name}.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def descendants(driver: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(driver.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def victims(driver: subprocess.Popen[bytes], kind: str) -> list[psutil.Process]:
    """Processes of a kind, once workers exist; the driver at any time."""
    if kind == "driver":
        return [psutil.Process(driver.pid)]
    workers = [p for p in descendants(driver) if title(p).startswith("ray::")]
    actors = [p for p in workers if "MapWorker" in title(p)]
    others = [p for p in workers if p not in actors and "Agent" not in title(p)]
    return actors if kind == "actor" else others if actors else []


def end_orphans(processes: list[psutil.Process]) -> list[str]:
    """Wait for the processes of a dead driver; kill and name those that stay."""
    _, alive = psutil.wait_procs(processes, timeout=ORPHANS_END_S)
    names = [title(process) for process in alive if title(process)]
    for process in alive:
        process.kill()
    return names


def kill_in_turn(
    driver: subprocess.Popen[bytes], kinds: list[str], rng: random.Random, kills: Counter[str]
) -> set[psutil.Process]:
    """Kill one of each kind at random times until the driver ends; returns all its processes."""
    family: set[psutil.Process] = set()
    while kinds and driver.poll() is None:
        kind = kinds[-1]
        pause_until = time.monotonic() + rng.uniform(0, START_S if kind == "driver" else WORK_S)
        found: list[psutil.Process] = []
        while driver.poll() is None and not (found and time.monotonic() > pause_until):
            family.update(descendants(driver))
            found = victims(driver, kind)
            time.sleep(0.05)
        if driver.poll() is None:
            with suppress(psutil.NoSuchProcess):  # it ended by itself since it was found
                rng.choice(found).kill()
                kills[kinds.pop()] += 1
                if kind == "driver":
                    break
    driver.wait(timeout=QUIET_S)
    return family


def leave_half_written_files(task: UnitTask) -> None:
    """Scratch files of a writer that was killed, which nobody may take for a part or a line."""
    for file, start in (
        (task.run.part("morphology", 0), b"PAR1 half of a part"),
        (task.run.ledger_line(0), b'{"unit": 0, "obj'),
    ):
        Path(file).parent.mkdir(parents=True)
        Path(file).with_name(".partial-abc").write_bytes(start)


def test_any_kills_at_any_time_leave_the_bytes_of_a_quiet_run(quiet: UnitTask) -> None:
    rng = random.Random(20)
    kinds = KILLS_OF_A_KIND * ["driver", "worker", "actor"]
    rng.shuffle(kinds)
    kills: Counter[str] = Counter()
    families: set[psutil.Process] = set()
    lives = rounds = 0
    while kinds:
        rounds += 1
        task = replace(quiet, run_uri=f"{quiet.run_uri}-{rounds}")
        leave_half_written_files(task)
        assert finished_units(task.run, task.kinds) == {}
        while len(finished_units(task.run, task.kinds)) < task.manifest.units:
            lives += 1
            families |= kill_in_turn(start(task), kinds, rng, kills)
        assert part_contents(task) == part_contents(quiet)
        sums = totals(read_ledger(task.run).values(), "morphology")
        assert sums.rows_in == sums.rows_written == SHAPE.objects
        ids = read_parts(task).column("object_id")
        assert pc.count_distinct(ids).as_py() == len(ids) == SHAPE.objects
    sys.stdout.write(f"{dict(kills)} kills of {lives} drivers in {rounds} runs\n")
    assert end_orphans(list(families)) == []


@pytest.mark.long  # a production that is interrupted is a test of its own
def test_interrupt_ends_promptly_leaves_no_process_and_loses_no_unit(quiet: UnitTask) -> None:
    task = replace(quiet, run_uri=f"{quiet.run_uri}-interrupted")
    driver = start(task)
    deadline = time.monotonic() + QUIET_S
    while not finished_units(task.run, task.kinds) and time.monotonic() < deadline:
        time.sleep(0.1)
    family = descendants(driver)
    driver.send_signal(signal.SIGINT)
    assert driver.wait(timeout=20) != 0
    assert end_orphans(family) == []
    kept = finished_units(task.run, task.kinds)
    assert 0 < len(kept) < task.manifest.units
    assert start(task).wait(timeout=QUIET_S) == 0
    assert part_contents(task) == part_contents(quiet)
