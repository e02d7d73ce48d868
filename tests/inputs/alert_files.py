"""Files and archives of synthetic alerts, and how they are read."""

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from alert_samples import (
    alert_survey,
    candidate,
    noise,
    packet,
)
from input_samples import listed

from catalogtool.inputs._base import Cutouts
from catalogtool.inputs.ztf_alerts import Format

RECORDS = [candidate(candid) for candid in range(1, 9)]
PIXELS = np.array([[noise(3 * candid + band) for band in range(3)] for candid in range(1, 9)])


def write_files(folder: Path, records: Sequence[Mapping[str, Any]] = RECORDS) -> str:
    folder.mkdir(exist_ok=True)
    for number, record in enumerate(records):
        (folder / f"{number:03d}.avro").write_bytes(packet(record))
    return str(folder)


def write_archive(path: Path, members: Sequence[bytes], mode: str = "w:gz") -> str:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for number, data in enumerate(members):
            info = tarfile.TarInfo(f"{number:03d}.avro")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return str(path)


def read_all(uri: str, size_pix: int = 63) -> tuple[pa.Table, Cutouts]:
    source = Format(alert_survey(size_pix), uri)
    rows = listed(source)
    return rows, source.read(rows)


def same(first: Cutouts, second: Cutouts) -> bool:
    return (
        np.array_equal(first.images, second.images)
        and np.array_equal(first.mask, second.mask)
        and np.array_equal(first.flags, second.flags)
        and first.facts == second.facts
    )
