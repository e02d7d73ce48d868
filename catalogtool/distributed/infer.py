"""Units over a Ray cluster: Ray Data hands out numbers and takes back ledger lines."""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import ray
from ray.data import ActorPoolStrategy, DataContext
from ray.data.exceptions import ExecutionTimeoutError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from catalogtool.distributed.cluster import reachable
from catalogtool.distributed.failures import unwrap
from catalogtool.errors import CatalogtoolError, ClusterError, NoProgressError
from catalogtool.inference.unit import UnitTask, UnitWorker
from catalogtool.ledger import LedgerLine

MAX_ATTEMPTS = 3
"""How often one unit may lose its worker process before the run ends."""
STALL_S = 900.0
"""Default patience between two finished units, start of the workers included."""
_START_DEATHS = 5  # in a row, before a unit is begun
_WORKER_CPUS = 0.5
"""What a worker claims of its one CPU: the workers of a lost machine find room on the others."""

# What Ray Data prints goes to its log file as well, and its errors are raised.
for _handler in logging.getLogger("ray.data").handlers:
    if isinstance(_handler, logging.StreamHandler):
        _handler.setLevel(logging.CRITICAL)


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
class Attempts:
    """Who works on what, and how often each unit was begun: what a dead worker cannot tell."""

    def __init__(self) -> None:
        self.begun: dict[int, int] = {}
        self.running: dict[int, tuple[str, float]] = {}

    def begin(self, unit: int, worker: str) -> int:
        """Note that a worker begins a unit, and count how often that happened."""
        self.begun[unit] = self.begun.get(unit, 0) + 1
        self.running[unit] = (worker, time.monotonic())
        return self.begun[unit]

    def finish(self, unit: int) -> None:
        """Note that a unit is finished."""
        self.running.pop(unit, None)

    def unfinished(self) -> list[str]:
        """Describe the units that were begun and not finished."""
        now = time.monotonic()
        return [
            f"unit {unit} since {now - start:.0f} s on {worker}, attempt {self.begun[unit]}"
            for unit, (worker, start) in sorted(self.running.items())
        ]


class UnitActor:
    """A worker process of Ray Data around `UnitWorker`."""

    def __init__(self, task: UnitTask, attempts: Any) -> None:  # noqa: ANN401 - an actor handle
        self.attempts = attempts
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self.worker: UnitWorker | CatalogtoolError
        try:
            self.worker = UnitWorker(task)
        except CatalogtoolError as error:
            # Raised here it would reach the driver as a dead worker; the first unit raises it.
            self.worker = error

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Process one unit; its ledger line is all that travels."""
        if isinstance(self.worker, CatalogtoolError):
            raise self.worker
        unit = int(row["unit"])
        attempt = ray.get(self.attempts.begin.remote(unit, self.name))
        if attempt > MAX_ATTEMPTS:
            raise ClusterError(
                f"unit {unit} ended its worker process {MAX_ATTEMPTS} times; its cutouts may need "
                "more memory than there is, or crash a library. Finished units are kept; look at "
                f"the manifest's row group {unit}, remove or repair its inputs, and run again",
                unit=unit,
            )
        line = self.worker.process(unit)
        self.attempts.finish.remote(unit)
        return {"line": line.to_bytes()}


def run_units(
    task: UnitTask,
    units: Iterable[int],
    workers: int,
    on_line: Callable[[LedgerLine], None],
    stall_s: float = STALL_S,
) -> None:
    """Process units on the cluster that this process is connected to.

    Parameters
    ----------
    task : UnitTask
        The run.
    units : iterable of int
        Units that are not finished yet.
    workers : int
        Worker processes; a fixed number, spread over the machines.
    on_line : callable
        Told about every finished unit, in the order of finishing.
    stall_s : float
        Longest time without a finished unit.

    Raises
    ------
    ClusterError
        If workers die again and again; the message names the unit where one is to blame.
    NoProgressError
        If no unit finishes within `stall_s`.
    CatalogtoolError
        Whatever a worker raised, unchanged.
    """
    missing = list(units)
    if not missing:
        return
    here = ray.get_runtime_context().get_node_id()
    attempts = Attempts.options(  # type: ignore[attr-defined]
        scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=True)
    ).remote()
    workers = min(workers, len(missing))
    outstanding = set(missing)
    try:
        for line in _lines(task, missing, workers, attempts, stall_s):
            outstanding.discard(line.unit)
            on_line(line)
    except ExecutionTimeoutError:
        raise _no_progress(outstanding, attempts, stall_s) from None
    except Exception as error:
        found = unwrap(error)
        if found is error:
            raise
        raise found from error
    finally:
        ray.kill(attempts)


def _lines(
    task: UnitTask,
    units: list[int],
    workers: int,
    attempts: Any,  # noqa: ANN401 - an actor handle
    stall_s: float,
) -> Iterator[LedgerLine]:
    # A dataset copies the context when it is created.
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.raise_original_map_exception = True
    context.execution_no_progress_timeout_s = stall_s
    context.max_consecutive_actor_init_deaths = _START_DEATHS
    numbers = [{"unit": unit} for unit in units]
    dataset = ray.data.from_items(numbers, override_num_blocks=len(units)).map(
        UnitActor,  # type: ignore[arg-type]
        fn_constructor_args=(task, attempts),
        # Not more than one: a unit that waits behind a hanging one would hang with it.
        compute=ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1),
        num_cpus=_WORKER_CPUS,
        num_gpus=1 if reachable("GPU") else None,
    )
    # Nothing is fetched ahead: a finished unit is news at once, not when the next one is finished.
    for batch in dataset.iter_batches(batch_size=None, prefetch_batches=0, batch_format="pyarrow"):
        for line in batch.column("line").to_pylist():  # type: ignore[union-attr]
            yield LedgerLine.from_bytes(line, "ledger line of a worker")


def _no_progress(outstanding: set[int], attempts: Any, stall_s: float) -> NoProgressError:  # noqa: ANN401
    try:
        running = ray.get(attempts.unfinished.remote(), timeout=5)
    except Exception as error:  # noqa: BLE001 - the cluster may be as dead as it looks
        running = [f"nothing is known of the workers: {type(error).__name__}"]
    return NoProgressError(
        f"no unit finished for {stall_s:.0f} s; {len(outstanding)} units are outstanding. Begun: "
        f"{'; '.join(running) or 'none, the workers did not start'}. The input may not answer, "
        "or the cluster may have too few free CPUs. Finished units are kept; run again",
        outstanding=sorted(outstanding),
        running=running,
    )
