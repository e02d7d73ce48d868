"""Run one comparison: the argument is the URI of its settings (JSON, see ``config/compare.py``)."""

import sys

from catalogtool.distributed.job import run_job

if __name__ == "__main__":
    sys.exit(run_job("compare", sys.argv[1]))
