import csv
import gzip
import io
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from alert_files import read_all
from alert_samples import (
    CUTOUTS,
)
from astropy.io import fits

from catalogtool.flags import Flag
from catalogtool.inputs._alerts import container
from catalogtool.inputs.ztf_alerts import Format

pytestmark = pytest.mark.data


def expected(path: Path) -> list[npt.NDArray[Any] | None]:
    with path.open("rb") as stream:
        (record,) = fastavro.reader(stream)
    return [by_astropy(record.get(name)) for name in CUTOUTS]


def test_every_packet_is_read_and_its_pixels_are_those_of_astropy(data_folder: Path) -> None:
    folder = data_folder / "ztf-alerts" / "packets"
    rows, cutouts = read_all(str(folder))
    with (folder / "index.csv").open() as stream:
        shapes = {row["file"]: row["stamp_shape"] for row in csv.DictReader(stream)}
    assert rows.num_rows == len(shapes) == 138
    assert not rows.column("flags").to_numpy().any()
    for index, (uri,) in enumerate(rows.column("uris").to_pylist()):
        whole = shapes[Path(uri).name] == "63x63"
        assert set(cutouts.flags[index]) == {0 if whole else Flag.PADDED}
        for band, pixels in enumerate(expected(Path(uri))):
            assert pixels is not None
            valid = np.abs(pixels) < 3.4e38
            mask = cutouts.mask[index, band]
            assert np.count_nonzero(~mask) == np.count_nonzero(valid)
            image = cutouts.images[index, band]
            np.testing.assert_array_equal(image[~mask], pixels[valid])
            if whole:
                np.testing.assert_array_equal(image, np.where(valid, pixels, 0))


@pytest.mark.parametrize(
    ("survey", "count"),
    [
        ("pgir", 17),
        ("winter", 11),
        ("wirc", 10),
        ("turbo", 11),
        ("atlas", 32),
        ("decam-desirt", 2),
    ],
)
def test_packets_of_other_surveys_are_read(data_folder: Path, survey: str, count: int) -> None:
    rows, cutouts = read_all(str(data_folder / "other-survey-alerts" / survey), 81)
    assert rows.num_rows == count
    good = rows.column("flags").to_numpy() == 0
    assert good.sum() >= count / 2  # the others repeat an id
    flags = np.bitwise_or.reduce(cutouts.flags[good], axis=0)
    missing = Flag.MISSING_BAND if survey == "atlas" else 0
    assert (flags & ~Flag.PADDED).tolist() == [0, missing, 0]
    assert rows.filter(pa.array(good)).column("observed_mjd").null_count == 0
    assert cutouts.facts is not None
    magnitudes = cutouts.facts.filter(pa.array(good)).column("magnitude_ab")
    assert magnitudes.null_count == 0


def test_cutouts_found_from_the_end_are_those_read_in_order(data_folder: Path) -> None:
    for path in sorted((data_folder / "ztf-alerts" / "packets").glob("*.avro"))[::6]:
        (found,) = container.packets_in(
            container.ByteSource([path.read_bytes()]), Format.fields, lambda _: None
        )
        assert found.layout is not None
        plan = found.layout._plans["reading"]
        assert plan._tail is not None
        quick = found.read("reading")
        plan._tail, tail = None, plan._tail
        slow = found.read("reading")
        plan._tail = tail
        assert {name: quick[name] for name in CUTOUTS} == {name: slow[name] for name in CUTOUTS}
        assert quick["candidate"].items() >= slow["candidate"].items()


def by_astropy(value: Any) -> npt.NDArray[Any] | None:  # noqa: ANN401
    if value is None:
        return None
    data = value["stampData"] if isinstance(value, dict) else value
    with (
        gzip.open(io.BytesIO(data)) as stream,
        fits.open(io.BytesIO(stream.read()), ignore_missing_simple=True) as file,
    ):
        return np.array(file[0].data, dtype=np.float32)


def test_facts_are_those_that_the_packets_hold(data_folder: Path) -> None:
    rows, cutouts = read_all(str(data_folder / "ztf-alerts" / "packets"))
    assert cutouts.facts is not None
    table = pq.read_table(data_folder / "ztf-alerts" / "candidates.parquet")
    places = {candid: row for row, candid in enumerate(table.column("candid").to_pylist())}
    known = [i for i, candid in enumerate(rows.column("object_id").to_pylist()) if candid in places]
    assert len(known) > 100
    expected = table.take([places[rows.column("object_id")[i].as_py()] for i in known])
    facts = cutouts.facts.take(known)
    for name in ("magpsf", "sgscore1", "distpsnr3", "chinr", "ncovhist", "ra", "rb", "classtar"):
        values = expected.column(name).cast(pa.float64()).to_numpy()
        unknown = ~(values > -99)
        column = facts.column(name)
        np.testing.assert_array_equal(column.is_null().to_numpy(), unknown)
        np.testing.assert_array_equal(
            column.to_numpy()[~unknown], values[~unknown].astype(np.float32)
        )
    bands = [{1: "g", 2: "r"}[fid] for fid in expected.column("fid").to_pylist()]
    assert facts.column("band").to_pylist() == bands
    assert rows.take(known).column("source_id").to_pylist() == expected["objectId"].to_pylist()
