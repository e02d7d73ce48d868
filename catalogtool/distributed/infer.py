"""Units over a Ray cluster: the driver hands out numbers and takes back ledger lines.

A worker that dies, alone or with its machine, costs the unit that it had in hand: another one
takes that unit, and a new worker starts wherever there is room.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import ray
import ray.exceptions as ray_errors

from catalogtool.distributed.cluster import reachable
from catalogtool.distributed.failures import unwrap
from catalogtool.errors import ClusterError, NoProgressError
from catalogtool.inference.unit import UnitTask, UnitWorker
from catalogtool.ledger import LedgerLine

MAX_ATTEMPTS = 3
"""How often one unit may lose its worker process before the run ends."""
STALL_S = 900.0
"""Default patience between two finished units, start of the workers included."""
_START_DEATHS = 5  # in a row, before a unit is begun
_DEATHS = (ray_errors.RayActorError, ray_errors.OutOfMemoryError)


@ray.remote(max_restarts=0, scheduling_strategy="SPREAD")
class UnitActor:
    """A worker process around `UnitWorker`."""

    def __init__(self, task: UnitTask) -> None:
        self.task = task

    def start(self) -> str:
        """Load the model, and say which machine this is; what goes wrong keeps its type."""
        self.worker = UnitWorker(self.task)
        return str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]

    def process(self, unit: int) -> bytes:
        """Process one unit; its ledger line is all that travels."""
        return self.worker.process(unit).to_bytes()


@dataclass(frozen=True)
class _Worker:
    """An actor that has started, and where."""

    actor: Any
    node: str


@dataclass(frozen=True)
class _Begun:
    """A unit in hand."""

    unit: int
    worker: _Worker
    since: float


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
        Worker processes, one CPU (and GPU) each. The work begins when the first one is there.
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
    crew = _Crew(task, units, stall_s)
    try:
        for line in crew.lines(workers):
            on_line(line)
    except Exception as error:
        found = unwrap(error)
        if found is error:
            raise
        raise found from error
    finally:
        crew.dismiss()


class _Crew:
    """The workers of a run, and who has which unit in hand.

    One unit each and not more: a unit that waits behind a hanging one would hang with it.
    """

    def __init__(self, task: UnitTask, units: Iterable[int], stall_s: float) -> None:
        self.waiting = deque(units)
        self.stall_s = stall_s
        self.starting: dict[ray.ObjectRef[Any], Any] = {}
        self.idle: list[_Worker] = []
        self.begun: dict[ray.ObjectRef[Any], _Begun] = {}
        self.attempts: Counter[int] = Counter()
        self.start_deaths = 0
        self.news_at = time.monotonic()
        gpus = 1 if reachable("GPU") else 0
        self._new = UnitActor.options(num_cpus=1, num_gpus=gpus)  # type: ignore[attr-defined]
        self._task = ray.put(task) if self.waiting else None

    def lines(self, workers: int) -> Iterator[LedgerLine]:
        """Do all units; yield their lines as they are finished."""
        for _ in range(min(workers, len(self.waiting))):
            self._hire()
        while self.waiting or self.begun:
            self._hand_out()
            for done in self._wait():
                if done in self.starting:
                    self._take_in(done)
                elif line := self._take_back(done):
                    yield line

    def dismiss(self) -> None:
        """End all workers, those that never started included."""
        actors = [begun.worker.actor for begun in self.begun.values()]
        actors += [worker.actor for worker in self.idle]
        for actor in [*actors, *self.starting.values()]:
            ray.kill(actor)

    def _hire(self) -> None:
        actor = self._new.remote(self._task)
        self.starting[actor.start.remote()] = actor

    def _hand_out(self) -> None:
        while self.idle and self.waiting:
            worker, unit = self.idle.pop(), self.waiting.popleft()
            self.attempts[unit] += 1
            done = worker.actor.process.remote(unit)
            self.begun[done] = _Begun(unit, worker, time.monotonic())

    def _wait(self) -> list["ray.ObjectRef[Any]"]:
        patience = self.news_at + self.stall_s - time.monotonic()
        expected = [*self.begun, *self.starting]
        done, _ = ray.wait(expected, num_returns=1, timeout=max(0.0, patience))
        if not done:
            raise self._no_progress()
        return done

    def _take_in(self, done: "ray.ObjectRef[Any]") -> None:
        actor = self.starting.pop(done)
        try:
            self.idle.append(_Worker(actor, ray.get(done)))
            self.start_deaths = 0
        except _DEATHS:
            self.start_deaths += 1
            if self.start_deaths > _START_DEATHS:
                raise
            self._hire()

    def _take_back(self, done: "ray.ObjectRef[Any]") -> LedgerLine | None:
        begun = self.begun.pop(done)
        try:
            line = LedgerLine.from_bytes(ray.get(done), "ledger line of a worker")
        except _DEATHS:
            self._refuse_poison(begun.unit)
            ray.kill(begun.worker.actor)  # it may be alive behind a broken network
            self.waiting.appendleft(begun.unit)
            self._hire()
            return None
        self.idle.append(begun.worker)
        self.news_at = time.monotonic()
        return line

    def _refuse_poison(self, unit: int) -> None:
        if self.attempts[unit] >= MAX_ATTEMPTS:
            raise ClusterError(
                f"unit {unit} ended its worker process {MAX_ATTEMPTS} times; its cutouts may need "
                "more memory than there is, or crash a library. Finished units are kept; look at "
                f"the manifest's row group {unit}, remove or repair its inputs, and run again",
                unit=unit,
            ) from None

    def _no_progress(self) -> NoProgressError:
        now = time.monotonic()
        begun = sorted(self.begun.values(), key=lambda begun: begun.unit)
        running = [
            f"unit {b.unit} since {now - b.since:.0f} s on {b.worker.node}, "
            f"attempt {self.attempts[b.unit]}"
            for b in begun
        ]
        outstanding = sorted([*self.waiting, *(b.unit for b in begun)])
        return NoProgressError(
            f"no unit finished for {self.stall_s:.0f} s; {len(outstanding)} units are outstanding. "
            f"Begun: {'; '.join(running) or 'none, the workers did not start'}. The input may not "
            "answer, or the cluster may have too few free CPUs. Finished units are kept; run again",
            outstanding=outstanding,
            running=running,
        )
