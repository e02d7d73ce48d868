"""Run one comparison of anomaly methods: the argument is the URI of its settings.

JSON, see ``config/anomaly.py``.
"""

import sys

from catalogtool.distributed.job import run_job

if __name__ == "__main__":
    sys.exit(run_job("compare-anomalies", sys.argv[1]))
