"""A process that publishes, to be killed."""

import os
from multiprocessing.synchronize import Event

from catalogtool.progress import Progress
from catalogtool.release._documents import ReleaseCard
from catalogtool.release._run_facts import find_run
from catalogtool.release.publish import Order, publish
from catalogtool.release.releases import ReleasesLayout


def publish_once(
    run: str, releases: str, version: str, environment: dict[str, str], started: Event
) -> None:
    """Publish a run's morphology, and say when it begins."""
    os.environ.update(environment)
    order = Order(ReleasesLayout(releases), version, ReleaseCard())
    started.set()
    publish(find_run(run, None), "morphology", order, Progress())
