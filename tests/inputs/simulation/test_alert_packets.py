"""Simulated packets against independent readers: fastavro, gzip, astropy, tarfile."""

import csv
import gzip
import io
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits

from catalogtool.flags import FATAL
from catalogtool.inputs._simulation import ztf_schema
from catalogtool.inputs._simulation.archive import Member, write_members
from catalogtool.inputs._simulation.damage import DAMAGE
from catalogtool.inputs._simulation.matches import MISSING
from catalogtool.inputs._simulation.night import Night, write_night
from catalogtool.inputs._simulation.packets import PacketParts
from catalogtool.inputs.simulated_alerts import Format
from catalogtool.inputs.ztf_alerts import Format as Reader
from catalogtool.progress import Progress
from catalogtool.surveys import load_survey

CUTOUTS = ("cutoutScience", "cutoutTemplate", "cutoutDifference")


@pytest.fixture(scope="module")
def source() -> Format:
    return Format(load_survey("mock_alerts"), None)


def night_of(count: int, distinct: int | None = None, corrupt_share: float = 0.0) -> Night:
    return Night(load_survey("mock_alerts"), count, distinct, corrupt_share)


def read_packet(packet: bytes) -> dict[str, Any]:
    reader = fastavro.reader(io.BytesIO(packet))
    assert reader.codec == "null"
    (record,) = list(reader)
    return record


def pixels_of(record: dict[str, Any]) -> np.ndarray:
    cutouts = (gzip.decompress(record[name]["stampData"]) for name in CUTOUTS)
    return np.stack([fits.getdata(io.BytesIO(data)) for data in cutouts])


def read_archive(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        files = {member.name: archive.extractfile(member) for member in archive}
        return {name: file.read() for name, file in files.items() if file}


def test_pixels_of_packets_are_those_of_the_format_and_masked_ones_are_nan(source: Format) -> None:
    table = next(source.list_objects()).slice(0, 30)
    cutouts = source.read(table)
    assert cutouts.mask.any()
    for index, number in enumerate(table.column("object_id").to_pylist()):
        record = read_packet(PacketParts.of(source.alert(index)).pack())
        assert record["candid"] == record["candidate"]["candid"] == number
        pixels = pixels_of(record)
        np.testing.assert_array_equal(np.isnan(pixels), cutouts.mask[index])
        np.testing.assert_array_equal(np.nan_to_num(pixels), cutouts.images[index])


def test_facts_of_packets_are_those_of_the_format(source: Format) -> None:
    table = next(source.list_objects()).slice(0, 20)
    facts = source.read(table).facts
    for index, row in enumerate(table.to_pylist()):
        record = read_packet(PacketParts.of(source.alert(index)).pack())
        candidate, told = record["candidate"], facts.slice(index, 1).to_pylist()[0]
        assert record["objectId"] == row["source_id"]
        assert candidate["jd"] - 2_400_000.5 == pytest.approx(row["observed_mjd"], abs=1e-8)
        assert candidate["isdiffpos"] == ("t" if told["is_positive"] else "f")
        assert {1: "g", 2: "r"}[candidate["fid"]] == told["band"]
        for name in set(candidate) & set(told) - {"isdiffpos"}:
            expected = None if candidate[name] == MISSING else candidate[name]
            assert told[name] == pytest.approx(expected, rel=1e-6), name


def test_history_of_packets_is_that_of_the_format(source: Format) -> None:
    table = next(source.list_objects()).slice(0, 12)
    history = source.read_history(table)
    for index, number in enumerate(table.column("object_id").to_pylist()):
        record = read_packet(PacketParts.of(source.alert(index)).pack())
        one = history.filter(pa.compute.equal(history.column("object_id"), number))
        rows = [*(record["prv_candidates"] or []), record["candidate"]]
        np.testing.assert_allclose(
            one.column("mjd"), [row["jd"] - 2_400_000.5 for row in rows], atol=1e-8
        )
        for told, row in zip(one.to_pylist(), rows, strict=True):
            assert told["limit_mag_ab"] == pytest.approx(row["diffmaglim"])
            assert (told["magnitude_ab"] is None) == (row["candid"] is None)
            assert told["magnitude_ab"] == pytest.approx(row["magpsf"])
        known = sum(row["candid"] is not None for row in rows)
        assert known <= record["candidate"]["ndethist"] <= record["candidate"]["ncovhist"]


def test_every_field_is_given_and_fits_its_type(source: Format) -> None:
    for index in range(12):
        record = read_packet(PacketParts.of(source.alert(index)).pack())
        assert fastavro.validate(record, ztf_schema.ALERT)
        assert not [name for name, value in record["candidate"].items() if value is None]


def test_the_schema_is_that_of_real_packets(data_folder: Path) -> None:
    packets = data_folder / "ztf-alerts" / "packets"
    if not packets.is_dir():
        pytest.skip(f"no packets in {packets}")
    with (packets / "1276378355515010003.avro").open("rb") as file:
        real: Any = fastavro.reader(file).writer_schema

    def types(record: dict[str, Any]) -> dict[str, Any]:
        return {
            field["name"]: set(field["type"]) if isinstance(field["type"], list) else field["type"]
            for field in record["fields"]
        }

    fields = {field["name"]: field["type"] for field in real["fields"]}
    assert types(ztf_schema.CANDIDATE) == types(fields["candidate"])
    previous = next(kind for kind in fields["prv_candidates"] if kind != "null")
    assert types(ztf_schema.PREVIOUS) == types(previous["items"])
    assert set(fields) < set(ztf_schema.field_names(ztf_schema.ALERT))


def test_the_same_night_has_the_same_bytes(tmp_path: Path) -> None:
    night = night_of(8, distinct=5, corrupt_share=0.25)
    for name in ("one.tar.gz", "two.tar.gz"):
        write_night(night, str(tmp_path / name), Progress())
    first, second = ((tmp_path / name).read_bytes() for name in ("one.tar.gz", "two.tar.gz"))
    assert first == second
    write_night(night.with_seed(5), str(tmp_path / "other.tar.gz"), Progress())
    assert (tmp_path / "other.tar.gz").read_bytes() != first


def test_archives_and_folders_hold_the_same_files(tmp_path: Path) -> None:
    members = [Member("a.avro", b"x" * 700), Member("b.avro", b""), Member("c.avro", b"y" * 512)]
    for name in ("night.tar", "night.tgz", "night.tar.gz", "night"):
        write_members(members, str(tmp_path / name))
    for name in ("night.tar", "night.tgz", "night.tar.gz"):
        assert read_archive(tmp_path / name) == {member.name: member.data for member in members}
    for member in members:
        assert (tmp_path / "night" / member.name).read_bytes() == member.data


def test_scenes_shown_again_have_numbers_and_positions_of_their_own(tmp_path: Path) -> None:
    written = write_night(night_of(12, distinct=4), str(tmp_path / "night.tar"), Progress())
    records = [read_packet(data) for data in read_archive(tmp_path / "night.tar").values()]
    assert written.packets == len(records) == 12
    assert len({record["candid"] for record in records}) == 12
    assert len({record["objectId"] for record in records}) == 12
    assert len({record["candidate"]["ra"] for record in records}) == 12
    for first, again in zip(records[:4], records[4:8], strict=True):
        np.testing.assert_array_equal(pixels_of(first), pixels_of(again))
        assert first["candidate"]["magpsf"] == again["candidate"]["magpsf"]


def is_readable(packet: bytes) -> bool:
    try:
        pixels_of(read_packet(packet))
    except Exception:  # noqa: BLE001 - whatever other readers raise
        return False
    return True


def test_broken_packets_are_named_counted_and_unreadable(tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    night = night_of(40, distinct=3, corrupt_share=0.5)
    written = write_night(night, str(tmp_path / "night.tar"), Progress(), str(labels))
    assert written.broken == dict.fromkeys(sorted(DAMAGE), 5)
    assert sum(written.classes.values()) == 20
    for name, packet in read_archive(tmp_path / "night.tar").items():
        assert is_readable(packet) == ("-" not in name), name
    with labels.open() as file:
        rows = list(csv.DictReader(file))
    assert Counter(row["damage"] for row in rows) == {"": 20, **written.broken}
    assert Counter(row["class"] for row in rows if not row["damage"]) == written.classes


def test_the_reader_of_packets_sees_what_the_format_draws(source: Format, tmp_path: Path) -> None:
    night = str(tmp_path / "night.tar.gz")
    write_night(night_of(30), night, Progress())
    drawn = next(source.list_objects()).slice(0, 30)
    reader = Reader(load_survey("ztf"), night)
    listed = pa.concat_tables(reader.list_objects())
    for name in ("object_id", "source_id"):
        assert listed.column(name) == drawn.column(name)
    for name in ("ra", "dec", "observed_mjd"):
        np.testing.assert_allclose(listed.column(name), drawn.column(name), atol=1e-8)
    read, expected = reader.read(listed), source.read(drawn)
    np.testing.assert_array_equal(read.images, expected.images)
    np.testing.assert_array_equal(read.mask, expected.mask)
    assert read.facts is not None
    assert read.facts.select(expected.facts.column_names).equals(expected.facts)
    order = [("object_id", "ascending"), ("mjd", "ascending")]
    curves = [
        one.sort_by(order) for one in (reader.read_history(listed), source.read_history(drawn))
    ]
    for name in curves[0].column_names:
        if name == "mjd":
            np.testing.assert_allclose(*(one.column(name) for one in curves), atol=1e-8)
        else:
            assert curves[0].column(name).equals(curves[1].column(name)), name


def test_the_reader_of_packets_flags_the_broken_ones(tmp_path: Path) -> None:
    night = str(tmp_path / "night.tar.gz")
    written = write_night(night_of(40, distinct=3, corrupt_share=0.5), night, Progress())
    reader = Reader(load_survey("ztf"), night)
    listed = pa.concat_tables(reader.list_objects())
    fatal = (reader.read(listed).flags & FATAL).any(axis=1)
    assert listed.num_rows == 40
    assert fatal.sum() == sum(written.broken.values())
