"""How fast many small objects are read, over plain boto3 in a loop and over 64 boto3 threads.

Run with ``python tests/benchmarks/object_storage.py [--objects N] [--rounds N]``. A real S3 server
is started; the objects are FITS cutouts of 60 kB. Runs are interleaved; printed are medians and
their ratios, for bytes alone and for the fits_cutouts format, which decodes them, as inference
reads them.
"""

import argparse
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import numpy as np
import pyarrow as pa
from astropy.io import fits
from botocore.config import Config

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "inputs"))

from input_samples import small_survey
from s3_server import running_server, s3_client, s3_environment

from catalogtool import storage
from catalogtool.inference.unit import read_ahead
from catalogtool.inputs import load_format
from catalogtool.inputs._base import Format

BUCKET = "benchmark"
SIZE_PIX = 120
"""120 x 120 float32 and a header are 60 kB."""
THREADS = 64
CHUNK = 256


def write_cutouts(count: int) -> list[str]:
    rng = np.random.default_rng(1)
    stream = io.BytesIO()
    pixels = rng.normal(size=(SIZE_PIX, SIZE_PIX)).astype(np.float32)
    fits.PrimaryHDU(pixels).writeto(stream)
    keys = [f"cutouts/{number}.fits" for number in range(count)]
    with ThreadPoolExecutor(16) as pool:
        data = stream.getvalue()
        list(pool.map(lambda key: storage.write_bytes(f"s3://{BUCKET}/{key}", data), keys))
    print(f"{count} objects of {len(data)} bytes")
    return keys


def manifest_rows(keys: list[str]) -> pa.Table:
    return pa.table({"uris": [[f"s3://{BUCKET}/{key}"] for key in keys]})


def make_runs(keys: list[str]) -> dict[str, Callable[[], None]]:
    client = boto3.client(
        "s3", config=Config(max_pool_connections=THREADS, s3={"addressing_style": "path"})
    )
    uris = [f"s3://{BUCKET}/{key}" for key in keys]
    survey = small_survey("g").model_copy(update={"cutout_size_pix": SIZE_PIX})
    source: Format = load_format("fits_cutouts")(survey, f"s3://{BUCKET}/cutouts")
    rows = manifest_rows(keys)

    def get(key: str) -> bytes:
        body: bytes = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return body

    def loop() -> None:
        for key in keys:
            get(key)

    def threads() -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(get, keys))

    def read_cutouts() -> None:
        with ThreadPoolExecutor(1) as reader:
            for cutouts in read_ahead(reader, source, rows, CHUNK):
                assert not cutouts.flags.any()

    return {
        "boto3 loop": loop,
        "boto3 64 threads": threads,
        "storage.read_many": lambda: check(storage.read_many(uris)),
        "fits_cutouts": read_cutouts,
    }


def check(contents: list[object]) -> None:
    assert all(isinstance(content, bytes) for content in contents)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as port:
        os.environ.update(s3_environment(port))
        s3_client(port).create_bucket(Bucket=BUCKET)
        runs = make_runs(write_cutouts(options.objects))
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(options.rounds):
            for name, run in runs.items():
                started = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, median in medians.items():
        print(f"{name}: {median:.2f} s, {options.objects / median:.0f} objects/s")
    for name in ("storage.read_many", "fits_cutouts"):
        for other in ("boto3 loop", "boto3 64 threads"):
            print(f"{name} over {other}: {medians[other] / medians[name]:.2f} times as fast")


if __name__ == "__main__":
    main()
