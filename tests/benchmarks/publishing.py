"""Publishing and downloading a large release over the raw rates of the S3 server.

Raw rates are those of boto3 with its default transfer manager, file by file, and of obstore with
eight files at once; neither hashes anything. Runs are interleaved, ratios are of medians.

    python tests/benchmarks/publishing.py --mib 1024 --runs 3
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import obstore
from obstore.store import S3Store

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "release"))

from publish_samples import NAME, Shape, make_committed_run, publish_run
from s3_server import running_server, s3_client, s3_environment

from catalogtool import storage
from catalogtool.layout import RunLayout
from catalogtool.progress import Progress
from catalogtool.release.download import download_release, find_release
from catalogtool.release.releases import ReleasesLayout

FILE_MIB = 32
BUCKET = "benchmark"


def make_large_run(folder: Path, mib: int) -> RunLayout:
    """A committed run whose catalog has so many files of random bytes beside a small table."""
    run = make_committed_run(folder, Shape(objects=60, rows_per_partition=60))
    collection = Path(run.catalog("toy", "morphology"))
    rng = random.Random(0)
    manifest = collection / "MANIFEST.sha256"
    lines = [manifest.read_text()]
    for index in range(-(-mib // FILE_MIB)):
        data = rng.randbytes(FILE_MIB << 20)
        (collection / f"large-{index:03d}.bin").write_bytes(data)
        lines.append(f"{hashlib.sha256(data).hexdigest()}  large-{index:03d}.bin\n")
    manifest.write_text("".join(lines))
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
    Path(run.commit).write_text(json.dumps({"catalogs": {"morphology": digest}}))
    return run


def seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def in_threads(action: Callable[[str], object], names: list[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(action, names))


class Rivals:
    """The same files with boto3 and with obstore, without hashes."""

    def __init__(self, port: int, source: Path, target: Path) -> None:
        self.client = boto3.client("s3")  # with its default patience
        self.store = S3Store(
            BUCKET,
            endpoint=f"http://127.0.0.1:{port}",
            region="us-east-1",
            client_options={"allow_http": True, "timeout": "600s"},
        )
        self.source, self.target = source, target
        self.names = [str(p.relative_to(source)) for p in source.rglob("*") if p.is_file()]

    def boto3_put(self) -> None:
        for name in self.names:
            self.client.upload_file(str(self.source / name), BUCKET, f"boto3/{name}")

    def boto3_get(self) -> None:
        for name in self.names:
            self.client.download_file(BUCKET, f"boto3/{name}", str(self._place(name)))

    def obstore_put(self) -> None:
        in_threads(
            lambda name: obstore.put(self.store, f"obstore/{name}", self.source / name), self.names
        )

    def obstore_get(self) -> None:
        in_threads(self._obstore_get, self.names)

    def _obstore_get(self, name: str) -> None:
        with self._place(name).open("wb") as file:
            file.writelines(obstore.get(self.store, f"obstore/{name}").stream())

    def _place(self, name: str) -> Path:
        path = self.target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def measure(port: int, run: RunLayout, scratch: Path, runs: int) -> dict[str, list[float]]:
    """Seconds of every action and run; what a run leaves is removed before the next."""
    rivals = Rivals(port, Path(run.catalog("toy", "morphology")), scratch / "got")
    releases = f"s3://{BUCKET}/releases"
    layout = ReleasesLayout(releases)
    actions: dict[str, Callable[[], object]] = {
        "boto3 put": rivals.boto3_put,
        "obstore put": rivals.obstore_put,
        "publish": lambda: publish_run(run, releases),
        "boto3 get": rivals.boto3_get,
        "obstore get": rivals.obstore_get,
        "download": lambda: download_release(
            find_release(layout, NAME), scratch / "got", Progress()
        ),
    }
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(runs):
        for name, action in actions.items():
            times[name].append(seconds(action))
            shutil.rmtree(scratch / "got", ignore_errors=True)
            os.sync()
        for info in list(storage.list_files(f"s3://{BUCKET}")):
            storage.delete(info.uri)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", help="Where the server and the files are; needs 6 times --mib.")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        scratch = Path(folder)
        (scratch / "server").mkdir()
        run = make_large_run(scratch / "output", asked.mib)
        with running_server(scratch / "server") as port:
            os.environ.update(s3_environment(port))
            s3_client(port).create_bucket(Bucket=BUCKET)
            times = measure(port, run, scratch, asked.runs)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, values in times.items():
        spread = ", ".join(f"{value:.2f}" for value in values)
        print(f"{name:12} {asked.mib / medians[name]:8.0f} MiB/s   runs {spread} s")
    for ours, rivals in (("publish", "put"), ("download", "get")):
        for rival in ("boto3", "obstore"):
            ratio = medians[f"{rival} {rivals}"] / medians[ours]
            print(f"{ours} over raw {rival} {rivals}: {ratio:.2f}")


if __name__ == "__main__":
    main()
