"""Print how fast ZTF packets become pixels and facts, against the usual recipe, on one core.

``python tests/benchmarks/alert_reading.py [ROUNDS]`` takes the packets of CATALOGTOOL_DATA, or
makes some. All ways take turns; figures are medians over the rounds, in alerts per CPU second.
"""

import gzip
import io
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
from astropy.io import fits
from fastavro.types import Schema
from isal import isal_zlib

sys.path.insert(0, str(Path(__file__).parents[1] / "inputs"))
from alert_samples import alert_survey, candidate, packet

from catalogtool.inputs._alerts.layout import Layout
from catalogtool.inputs._alerts.packets import first_packet
from catalogtool.inputs._alerts.planes import fill_cutouts
from catalogtool.inputs._alerts.schema import projected
from catalogtool.inputs._base import Cutouts
from catalogtool.inputs.ztf_alerts import Format

CUTOUTS = ("cutoutScience", "cutoutTemplate", "cutoutDifference")
SIZE_PIX = 63


def packets() -> list[bytes]:
    """Real packets of 63 x 63 pixels in all their cutouts, else synthetic ones."""
    folder = Path(os.environ.get("CATALOGTOOL_DATA", "nowhere")) / "ztf-alerts" / "packets"
    found = [path.read_bytes() for path in sorted(folder.glob("*.avro"))]
    whole = [data for data in found if _is_whole(data)]
    if whole:
        print(f"{len(whole)} real packets, {np.mean([len(d) for d in whole]):,.0f} bytes each")
        return whole
    print("300 synthetic packets")
    return [packet(candidate(candid)) for candid in range(1, 301)]


def _is_whole(data: bytes) -> bool:
    return all(image.shape == (SIZE_PIX, SIZE_PIX) for image in usual(data)[1])


def usual(data: bytes) -> tuple[dict[str, Any], list[Any]]:
    """All fields by fastavro, pixels by gzip and astropy."""
    (record,) = fastavro.reader(io.BytesIO(data))
    return record["candidate"], [usual_cutout(record[name]["stampData"]) for name in CUTOUTS]


def usual_cutout(data: bytes) -> Any:  # noqa: ANN401
    """Pixels by gzip and astropy."""
    with (
        gzip.open(io.BytesIO(data)) as stream,
        fits.open(io.BytesIO(stream.read()), ignore_missing_simple=True) as file,
    ):
        return file[0].data.astype(np.float32)


class Floor:
    """Projected Avro with schemas that are ready, and inflating; nothing else."""

    def __init__(self, packets: list[bytes]) -> None:
        found = [first_packet(data, Format.fields) for data in packets]
        self.bodies = [one.body for one in found]
        self.schemas = [_schemas(one.layout) for one in found if one.layout]

    def read(self) -> None:
        """All packets."""
        for body, (writer, reader) in zip(self.bodies, self.schemas, strict=True):
            record = fastavro.schemaless_reader(io.BytesIO(body), writer, reader)
            for name in CUTOUTS:
                isal_zlib.decompress(record[name]["stampData"], wbits=31)


@lru_cache
def _schemas(layout: Layout) -> tuple[Schema, Schema]:
    wanted = projected(layout.schema, Format.fields.wanted["reading"])
    return fastavro.parse_schema(layout.schema), fastavro.parse_schema(wanted)


def main(rounds: int) -> None:
    """Measure and print."""
    data = packets()
    cutouts = [
        record[name]["stampData"]
        for d in data
        for record in fastavro.reader(io.BytesIO(d))
        for name in CUTOUTS
    ]
    source = Format(alert_survey(SIZE_PIX), None)
    batch = source.empty_cutouts(1)
    floor = Floor(data)
    check(source.decode(data), data)
    ways: dict[str, Callable[[], object]] = {
        "reader": lambda: source.decode(data),
        "usual recipe": lambda: [usual(one) for one in data],
        "floor": floor.read,
        "cutouts": lambda: [
            fill_cutouts(batch, 0, cutouts[at : at + 3]) for at in range(0, len(cutouts), 3)
        ],
        "cutouts by astropy": lambda: [usual_cutout(one) for one in cutouts],
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.process_time()
            way()
            seconds[name].append(time.process_time() - started)
    rates = {name: len(data) / statistics.median(taken) for name, taken in seconds.items()}
    for name, rate in rates.items():
        print(f"{name}: {rate:,.0f} alerts per CPU second")
    print(f"reader over usual recipe: {rates['reader'] / rates['usual recipe']:.1f}")
    print(f"cutouts over astropy: {rates['cutouts'] / rates['cutouts by astropy']:.1f}")
    print(f"reader over floor: {rates['reader'] / rates['floor']:.2f}")


def check(cutouts: Cutouts, data: list[bytes]) -> None:
    """Both ways must give the same pixels."""
    for image, mask, one in zip(cutouts.images, cutouts.mask, data, strict=True):
        expected = np.array(usual(one)[1])
        np.testing.assert_array_equal(np.where(mask, 0, expected), image)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
