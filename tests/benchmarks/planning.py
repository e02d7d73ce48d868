"""Time and memory of planning many objects, and of resuming a run with many finished units.

Run with ``python tests/benchmarks/planning.py [--objects N] [--units N] [--s3]``. The objects are
synthetic rows of realistic manifests; the finished units are ledger lines and parts of a real
layout, on the local disk, and with ``--s3`` also on a real S3 server that the script starts.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

sys.path.insert(0, str(Path(__file__).parents[1]))

from s3_server import running_server, s3_client, s3_environment

from catalogtool import storage
from catalogtool.inputs._base import MANIFEST_SCHEMA, Cutouts
from catalogtool.inputs._base import Format as BaseFormat
from catalogtool.inputs.manifest import build_manifest
from catalogtool.layout import RunLayout
from catalogtool.ledger import LedgerLine, PartLine, finished_units
from catalogtool.surveys import load_survey

KIND = "morphology"
UNIT_OBJECTS = 2000
ROWS_PER_TABLE = 20_000
PART = bytes(200)
WRITERS = 32
_ODD = 0x9E3779B97F4A7C15
"""A multiplier that scatters numbers over all integers without a collision."""


class SyntheticFormat(BaseFormat):
    """Objects of a survey of FITS cutouts, a file each; one in a hundred has a label."""

    objects = 0

    @staticmethod
    def recognises(uri: str) -> bool:
        return uri == "synthetic"

    def list_objects(self) -> Iterator[pa.Table]:
        for start in range(0, self.objects, ROWS_PER_TABLE):
            yield synthetic_rows(np.arange(start, min(start + ROWS_PER_TABLE, self.objects)))

    def read(self, rows: pa.Table) -> Cutouts:
        return self.empty_cutouts(rows.num_rows)


def synthetic_rows(numbers: np.ndarray) -> pa.Table:
    count = len(numbers)
    scattered = (numbers.astype(np.uint64) * np.uint64(_ODD)).view(np.int64) & (2**63 - 1)
    share = scattered / 2.0**63
    names = pc.binary_join_element_wise("J", pa.array(scattered).cast(pa.string()), "")
    uris = pc.binary_join_element_wise("s3://survey-archive/dr2/cutouts/", names, ".fits", "")
    labelled = numbers % 100 == 0
    offsets = np.concatenate([[0], np.cumsum(np.where(labelled, 5, 0))]).astype(np.int32)
    votes = pa.ListArray.from_arrays(
        pa.array(offsets), pa.array(np.full(offsets[-1], 0.2, np.float32)), mask=pa.array(~labelled)
    )
    columns = [
        pa.array(scattered),
        names,
        pa.array(360 * share),
        pa.array(np.degrees(np.arcsin(2 * ((share * 7919) % 1) - 1))),
        pa.array(np.zeros(count, np.int32)),
        pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32)), uris),
        pa.array(np.zeros(count, np.int64)),
        pc.binary_join_element_wise("60480-", pa.array(scattered).cast(pa.string()), ""),
        votes,
        pa.array([""] * count),
        pa.array(60_400 + 365 * share),
    ]
    return pa.Table.from_arrays(columns, schema=MANIFEST_SCHEMA)


def plan(objects: int, folder: Path) -> None:
    source = SyntheticFormat(load_survey("clash"), "synthetic")
    source.objects = objects
    started = time.perf_counter()
    for _ in source.list_objects():
        pass
    report("making the rows", time.perf_counter() - started)
    started = time.perf_counter()
    manifest = build_manifest(source, str(folder), UNIT_OBJECTS)
    report("making and writing the manifest", time.perf_counter() - started)
    size_gib = storage.file_info(manifest.uri).size_bytes / 2**30
    print(f"{manifest.objects:,} objects, {manifest.units:,} units, {size_gib:.2f} GiB")
    started = time.perf_counter()
    print(f"{manifest.unplaced:,} without a position, {manifest.labelled:,} labelled")
    report("counting from the footer", time.perf_counter() - started)
    started = time.perf_counter()
    manifest.read_unit(manifest.units // 2)
    report("reading one unit", time.perf_counter() - started)


def resume(units: int, uri: str) -> None:
    run = RunLayout(uri)
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda unit: write_unit(run, unit), range(units)))
    started = time.perf_counter()
    finished = finished_units(run, (KIND,))
    report(f"finding {len(finished):,} finished units in {uri}", time.perf_counter() - started)


def write_unit(run: RunLayout, unit: int) -> None:
    part = PartLine(
        kind=KIND,
        rows_in=UNIT_OBJECTS,
        rows_written=UNIT_OBJECTS - 3,
        rows_flagged=3,
        rows_unplaced=0,
        reasons={"UNREADABLE": 3},
        size_bytes=len(PART),
        sha256="0" * 64,
    )
    line = LedgerLine(unit=unit, objects=UNIT_OBJECTS, form="exact", parts=(part,))
    if storage.is_local(run.uri):  # without the sync to disk, which is not what is measured
        for uri, data in ((run.part(KIND, unit), PART), (run.ledger_line(unit), line.to_bytes())):
            Path(uri).parent.mkdir(parents=True, exist_ok=True)
            Path(uri).write_bytes(data)
        return
    storage.write_bytes(run.part(KIND, unit), PART)
    storage.write_bytes(run.ledger_line(unit), line.to_bytes())


def report(what: str, seconds: float) -> None:
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what}: {seconds:.1f} s, peak memory so far {peak_gib:.2f} GiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=100_000_000)
    parser.add_argument("--units", type=int, default=50_000)
    parser.add_argument("--s3", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plan(options.objects, Path(folder) / "manifests")
        resume(options.units, f"{folder}/run")
        if options.s3:
            server_folder = Path(folder) / "server"
            server_folder.mkdir()
            with running_server(server_folder) as port:
                os.environ.update(s3_environment(port))
                s3_client(port).create_bucket(Bucket="planning")
                resume(options.units, "s3://planning/run")


if __name__ == "__main__":
    main()
