"""What a job script does: read its settings, run one production, return an exit code."""

import json
import sys

from catalogtool import storage
from catalogtool.config._base import build_settings
from catalogtool.config.run import RunConfig
from catalogtool.distributed.produce import produce
from catalogtool.errors import CatalogtoolError
from catalogtool.production.handover import write_outcome
from catalogtool.production.log_progress import LogProgress, stderr_log


def run_job(config_uri: str) -> int:
    """Run the production that a settings file describes.

    Parameters
    ----------
    config_uri : str
        JSON file of `RunConfig`.

    Returns
    -------
    int
        Exit code: 0, or that of the error, which is logged.
    """
    log = stderr_log()
    try:
        values = json.loads(storage.read_bytes(config_uri))
        config = build_settings(RunConfig, values, where=config_uri)
        outcome = produce(config, LogProgress(log))
        write_outcome(config_uri, outcome)
    except CatalogtoolError as error:
        log.error("error: %s", error)  # noqa: TRY400 - a known error needs no traceback
        return error.exit_code
    for what, where in outcome.places:
        log.info("%s: %s", what, where)
    return 0


if __name__ == "__main__":
    sys.exit(run_job(sys.argv[1]))
