"""SIGKILL at random times to anything of a run; reruns must end with the bytes of a quiet run."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import psutil
import pyarrow.compute as pc
import pytest
from produce_parts import SHAPE
from small_run import make_small_run, part_contents, read_parts

from catalogtool.inference.unit import UnitTask
from catalogtool.ledger import finished_units, read_ledger, totals

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(420)]

KILLS = 30
QUIET_S = 120
SCRIPT = Path(__file__).parent / "produce_parts.py"
ORPHANS_END_S = 60  # agents of Ray look after their parent every few seconds


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> UnitTask:
    task = make_small_run(tmp_path_factory.mktemp("faults"), SHAPE)
    task = replace(task, run_uri=str(Path(task.run_uri).parent / "quiet"))
    assert start(task).wait(timeout=QUIET_S) == 0
    return task


@pytest.fixture(scope="module")
def quiet_s(quiet: UnitTask) -> float:
    """Seconds that a run takes on this machine: from its manifest to its last ledger line."""
    last = max(line.stat().st_mtime for line in Path(quiet.run.ledger).iterdir())
    return last - Path(quiet.model_uri, "run.json").stat().st_mtime


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
    if kind == "driver":
        return [psutil.Process(driver.pid)]
    workers = [p for p in descendants(driver) if title(p).startswith("ray::")]
    actors = [p for p in workers if "MapWorker" in title(p)]
    return actors if kind == "actor" else [p for p in workers if p not in actors]


def end_orphans(processes: list[psutil.Process]) -> list[str]:
    """Wait for the processes of a dead driver; kill and name those that stay."""
    _, alive = psutil.wait_procs(processes, timeout=ORPHANS_END_S)
    names = [title(process) for process in alive if title(process)]
    for process in alive:
        process.kill()
    return names


def kill_at_random(
    task: UnitTask, rng: random.Random, kills: Counter[str], longest_pause_s: float
) -> set[psutil.Process]:
    """Start a driver and kill parts of it until it ends; returns all processes it had."""
    driver = start(task)
    family: set[psutil.Process] = set()
    while driver.poll() is None:
        pause_s = rng.uniform(0.2, longest_pause_s)
        deadline = time.monotonic() + pause_s
        while time.monotonic() < deadline and driver.poll() is None:
            family.update(descendants(driver))
            time.sleep(0.1)
        if driver.poll() is not None or kills.total() >= KILLS:
            break
        kind = rng.choice(("driver", "worker", "actor", "actor"))
        for process in rng.sample(found := victims(driver, kind), min(1, len(found))):
            family.update(descendants(driver))
            process.kill()
            kills[kind] += 1
    driver.wait(timeout=QUIET_S)
    return family


def test_any_kills_at_any_time_leave_the_bytes_of_a_quiet_run(
    quiet: UnitTask, quiet_s: float
) -> None:
    rng = random.Random(20)  # noqa: S311 - chance, not secrecy
    kills: Counter[str] = Counter()
    families: set[psutil.Process] = set()
    rounds = 0
    while kills.total() < KILLS:
        rounds += 1
        task = replace(quiet, run_uri=f"{quiet.run_uri}-{rounds}")
        while len(finished_units(task.run, task.kinds)) < task.manifest.units:
            families |= kill_at_random(task, rng, kills, 0.4 * quiet_s)
        assert part_contents(task) == part_contents(quiet)
        sums = totals(read_ledger(task.run).values(), "morphology")
        assert sums.rows_in == sums.rows_written == SHAPE.objects
        ids = read_parts(task).column("object_id")
        assert pc.count_distinct(ids).as_py() == len(ids) == SHAPE.objects
    sys.stdout.write(f"{kills.total()} kills in {rounds} rounds: {dict(kills)}\n")
    assert end_orphans(list(families)) == []
    assert min(kills[kind] for kind in ("driver", "worker", "actor")) >= 3


def test_half_written_scratch_file_is_never_taken_for_a_part(quiet: UnitTask) -> None:
    task = replace(quiet, run_uri=f"{quiet.run_uri}-scratch")
    part = Path(task.run.part("morphology", 0))
    part.parent.mkdir(parents=True)
    (part.parent / ".partial-abc").write_bytes(b"PAR1 half of a part")
    line = Path(task.run.ledger_line(0))
    line.parent.mkdir(parents=True)
    (line.parent / ".partial-def").write_bytes(b'{"unit": 0, "obj')
    assert finished_units(task.run, task.kinds) == {}
    assert start(task).wait(timeout=QUIET_S) == 0
    assert part_contents(task) == part_contents(quiet)


def test_interrupt_ends_promptly_leaves_no_process_and_loses_no_unit(quiet: UnitTask) -> None:
    task = replace(quiet, run_uri=f"{quiet.run_uri}-interrupted")
    driver = start(task)
    deadline = time.monotonic() + 60
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
