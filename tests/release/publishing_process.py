"""Publishes in a child for every line of JSON it reads: prints the child's id, then its end.

Children begin with everything imported, so that kills at random times meet the publishing itself.
"""

import json
import os
import sys
import traceback

from catalogtool.progress import Progress
from catalogtool.release._documents import ReleaseCard
from catalogtool.release._run_facts import find_run
from catalogtool.release.publish import Order, publish
from catalogtool.release.releases import ReleasesLayout


def publish_once(run: str, releases: str, version: str) -> None:
    """Publish a run's morphology, and end the process."""
    status = 1
    try:
        order = Order(ReleasesLayout(releases), version, ReleaseCard())
        publish(find_run(run, None), "morphology", order, Progress())
        status = 0
    except BaseException:  # noqa: BLE001 - the process ends here whatever happens
        traceback.print_exc()
    os._exit(status)


if __name__ == "__main__":
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            publish_once(**json.loads(line))
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        _, ended = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(ended)}\n")
        sys.stdout.flush()
