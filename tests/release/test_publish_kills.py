"""SIGKILL at random times to a publishing: no version, or the whole one."""

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from publish_samples import NAME, Shape, make_committed_run

from catalogtool.layout import RunLayout
from catalogtool.progress import Progress
from catalogtool.release.download import download_release, find_release
from catalogtool.release.releases import ReleasesLayout, find_record, read_index

pytestmark = [pytest.mark.s3, pytest.mark.slow]

KILLS = 20
NEVER = 600.0
SCRIPT = Path(__file__).parent / "publishing_process.py"


class Publisher:
    """A process whose children publish and are killed."""

    def __init__(self, run: str, releases: str) -> None:
        self._order = {"run": run, "releases": releases}
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    def publish(self, version: str, kill_after_s: float = NEVER) -> tuple[int, float]:
        """Exit code of a publishing, negative for a signal, and its seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        words = {**self._order, "version": version}
        self._process.stdin.write(f"{json.dumps(words)}\n".encode())
        child = int(self._process.stdout.readline())
        began = time.monotonic()
        if not select.select([self._process.stdout], [], [], kill_after_s)[0]:
            os.kill(child, signal.SIGKILL)
        return int(self._process.stdout.readline()), time.monotonic() - began

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunLayout:
    shape = Shape(objects=120, rows_per_partition=40)
    return make_committed_run(tmp_path_factory.mktemp("output"), shape)


@pytest.fixture(params=["s3", "disk"])
def releases(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    bucket = request.getfixturevalue("s3_bucket")
    return f"{bucket}/releases" if request.param == "s3" else str(tmp_path / "releases")


@pytest.fixture
def publisher(run: RunLayout, releases: str) -> Iterator[Publisher]:
    publisher = Publisher(run.uri, releases)
    yield publisher
    publisher.end()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def is_published_whole(releases: str, version: str, folder: Path, run: RunLayout) -> bool:
    """False where no such version is visible; a visible one must be whole and right."""
    layout = ReleasesLayout(releases)
    if find_record(layout, NAME, version) is None:
        return False
    download_release(find_release(layout, f"{NAME}@{version}"), folder, Progress())
    catalog = Path(run.catalog("toy", "morphology"))
    assert contents(folder / "toy_morphology") == contents(catalog)
    return True


def test_twenty_kills_leave_no_version_or_the_whole_one(
    publisher: Publisher, run: RunLayout, releases: str, tmp_path: Path
) -> None:
    assert publisher.publish("1")[0] == 0
    code, quiet_s = publisher.publish("2")
    assert code == 0

    rng = random.Random(7)
    version, kills, wholes = 3, 0, 0
    while kills < KILLS:
        code, _ = publisher.publish(str(version), rng.uniform(0, quiet_s))
        assert code in (0, -signal.SIGKILL)
        kills += code != 0
        if is_published_whole(releases, str(version), tmp_path / f"got-{version}", run):
            wholes += 1
            version += 1
    sys.stdout.write(f"{kills} kills, {wholes} versions whole in between, {quiet_s:.2f} s quiet\n")

    assert publisher.publish(str(version))[0] == 0
    assert is_published_whole(releases, str(version), tmp_path / "got-last", run)
    index = read_index(ReleasesLayout(releases)).releases
    assert index[-1].version == str(version)
