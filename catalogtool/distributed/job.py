"""What a job script does: read its settings, do the work, return an exit code."""

import json
import sys

from catalogtool import storage
from catalogtool.config._base import build_settings
from catalogtool.config.compare import CompareConfig
from catalogtool.config.run import RunConfig
from catalogtool.distributed.compare import compare
from catalogtool.distributed.produce import produce
from catalogtool.errors import CatalogtoolError
from catalogtool.production.handover import write_outcome
from catalogtool.production.log_progress import LogProgress, stderr_log
from catalogtool.production.outcome import Outcome


def run_job(kind: str, config_uri: str) -> int:
    """Run the production or comparison that a settings file describes.

    Parameters
    ----------
    kind : {"produce", "compare"}
        What to do.
    config_uri : str
        JSON file of `RunConfig` or `CompareConfig`.

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
    values = json.loads(storage.read_bytes(config_uri))
    if kind == "compare":
        return compare(build_settings(CompareConfig, values, where=config_uri), progress)
    return produce(build_settings(RunConfig, values, where=config_uri), progress)


if __name__ == "__main__":
    sys.exit(run_job(*sys.argv[1:]))
