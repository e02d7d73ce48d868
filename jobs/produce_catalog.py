"""Run one production: the argument is the URI of its settings (JSON, see ``config/run.py``)."""

import sys

from catalogtool.distributed.job import run_job

if __name__ == "__main__":
    sys.exit(run_job("produce", sys.argv[1]))
