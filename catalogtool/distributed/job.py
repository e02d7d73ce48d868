"""What a job script does: read its settings, do the work, return an exit code."""

import json
import sys
from collections.abc import Callable
from typing import Any

from catalogtool import storage
from catalogtool.config._base import Settings, build_settings
from catalogtool.config.anomaly import AnomalyCompareConfig
from catalogtool.config.compare import CompareConfig
from catalogtool.config.run import RunConfig
from catalogtool.distributed.anomaly_compare import compare_anomalies
from catalogtool.distributed.compare import compare
from catalogtool.distributed.produce import produce
from catalogtool.errors import CatalogtoolError
from catalogtool.production.handover import write_outcome
from catalogtool.production.log_progress import LogProgress, stderr_log
from catalogtool.production.outcome import Outcome
from catalogtool.progress import Progress

_WORK: dict[str, tuple[type[Settings], Callable[[Any, Progress], Outcome]]] = {
    "produce": (RunConfig, produce),
    "compare": (CompareConfig, compare),
    "compare-anomalies": (AnomalyCompareConfig, compare_anomalies),
}


def run_job(kind: str, config_uri: str) -> int:
    """Do the work that a settings file describes.

    Parameters
    ----------
    kind : {"produce", "compare", "compare-anomalies"}
        What to do.
    config_uri : str
        JSON file of its settings.

    Returns
    -------
    int
        Exit code: 0, or that of the error, which is logged.
    """
    log = stderr_log()
    try:
        outcome = _run(kind, config_uri, LogProgress(log))
        write_outcome(config_uri, outcome)
    except CatalogtoolError as error:
        log.error("error: %s", error)  # noqa: TRY400 - a known error needs no traceback
        return error.exit_code
    for what, where in outcome.places:
        log.info("%s: %s", what, where)
    return 0


def _run(kind: str, config_uri: str, progress: LogProgress) -> Outcome:
    model, work = _WORK[kind]
    values = json.loads(storage.read_bytes(config_uri))
    return work(build_settings(model, values, where=config_uri), progress)


if __name__ == "__main__":
    sys.exit(run_job(*sys.argv[1:]))
