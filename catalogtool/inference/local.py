"""All units in this process, without Ray."""

from collections.abc import Callable, Iterable

from catalogtool.inference.unit import UnitTask, UnitWorker
from catalogtool.ledger import LedgerLine


def run_units(task: UnitTask, units: Iterable[int], on_line: Callable[[LedgerLine], None]) -> None:
    """Process units one after the other.

    Parameters
    ----------
    task : UnitTask
        The run.
    units : iterable of int
        Units that are not finished yet.
    on_line : callable
        Told about every finished unit.
    """
    missing = list(units)
    if not missing:
        return
    worker = UnitWorker(task)
    for unit in missing:
        on_line(worker.process(unit))
