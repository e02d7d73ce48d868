"""SIGKILL at random times to a publishing: no version, or the whole one."""

import multiprocessing
import random
import sys
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
from publish_samples import NAME, Shape, make_committed_run
from publishing_process import publish_once
from s3_server import s3_environment

from catalogtool.layout import RunLayout
from catalogtool.progress import Progress
from catalogtool.release.download import download_release, find_release
from catalogtool.release.releases import ReleasesLayout, find_record, read_index

pytestmark = [pytest.mark.s3, pytest.mark.slow, pytest.mark.timeout(300)]

KILLS = 20


def start(
    run: str, releases: str, version: str, environment: dict[str, str]
) -> tuple[ForkServerProcess, float]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["publishing_process"])
    started = context.Event()
    process = context.Process(
        target=publish_once, args=(run, releases, version, environment, started)
    )
    process.start()
    assert started.wait(60)
    return process, time.monotonic()


def is_published_whole(releases: str, version: str, folder: Path, catalog: Path) -> bool:
    """False where no such version is visible; a visible one must be whole and right."""
    layout = ReleasesLayout(releases)
    if find_record(layout, NAME, version) is None:
        return False
    download_release(find_release(layout, f"{NAME}@{version}"), folder, Progress())
    assert contents(folder / "toy_morphology") == contents(catalog)
    return True


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("place", ["s3", "disk"])
def test_twenty_kills_leave_no_version_or_the_whole_one(
    place: str, s3_bucket: str, s3_port: int, tmp_path: Path
) -> None:
    run = make_committed_run(tmp_path / "output", Shape(objects=120, rows_per_partition=40)).uri
    catalog = Path(RunLayout(run).catalog("toy", "morphology"))
    environment = s3_environment(s3_port)
    releases = f"{s3_bucket}/releases" if place == "s3" else str(tmp_path / "releases")
    process, began = start(run, releases, "1", environment)
    process.join()
    quiet_s = time.monotonic() - began
    assert process.exitcode == 0
    assert is_published_whole(releases, "1", tmp_path / "got-1", catalog)

    rng = random.Random(7)
    version, kills, wholes = 2, 0, 0
    while kills < KILLS:
        process, began = start(run, releases, str(version), environment)
        time.sleep(max(0, began + rng.uniform(0, quiet_s) - time.monotonic()))
        if process.is_alive():
            process.kill()
            kills += 1
        process.join()
        if is_published_whole(releases, str(version), tmp_path / f"got-{version}", catalog):
            wholes += 1
            version += 1
    sys.stdout.write(f"{kills} kills, {wholes} versions whole in between, {quiet_s:.2f} s quiet\n")

    process, _ = start(run, releases, str(version), environment)
    process.join()
    assert process.exitcode == 0
    assert is_published_whole(releases, str(version), tmp_path / "got-last", catalog)
    index = read_index(ReleasesLayout(releases)).releases
    assert index[-1].version == str(version)
