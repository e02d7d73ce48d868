import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from alert_files import PIXELS, RECORDS, read_all, same, write_archive, write_files
from alert_samples import (
    SCHEMA,
    alert_survey,
    candidate,
    fits_bytes,
    message,
    noise,
    packet,
)
from input_samples import listed

from catalogtool import storage
from catalogtool.errors import ManifestError
from catalogtool.flags import Flag
from catalogtool.inputs import open_input_format
from catalogtool.inputs.ztf_alerts import Format


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return write_files(tmp_path / "night")


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy"])
def test_one_file_may_hold_many_packets_in_several_blocks(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "many.avro"
    stream = io.BytesIO()
    fastavro.writer(stream, SCHEMA, RECORDS, codec=codec, sync_interval=150_000)
    path.write_bytes(stream.getvalue())
    rows, cutouts = read_all(str(path))
    assert rows.column("row").to_pylist() == list(range(8))
    np.testing.assert_array_equal(cutouts.images, PIXELS)
    part = Format(alert_survey(), str(path)).read(rows.slice(3, 2))
    np.testing.assert_array_equal(part.images, PIXELS[3:5])
    single = Format(alert_survey(), str(path)).read(rows.slice(0, 1))
    np.testing.assert_array_equal(single.images, PIXELS[:1])


@pytest.mark.parametrize(
    ("name", "mode"), [("n.tar.gz", "w:gz"), ("n.tgz", "w:gz"), ("n.tar", "w")]
)
def test_archives_are_read_as_the_files_in_them(
    tmp_path: Path, folder: str, name: str, mode: str
) -> None:
    uri = write_archive(tmp_path / name, [packet(record) for record in RECORDS], mode)
    rows, cutouts = read_all(uri)
    expected_rows, expected = read_all(folder)
    assert same(cutouts, expected)
    assert rows.column("object_id") == expected_rows.column("object_id")
    assert rows.column("uris").to_pylist() == [[uri]] * 8
    source = Format(alert_survey(), uri)
    backwards = source.read(rows.take(pa.array([6, 2, 2, 0])))
    np.testing.assert_array_equal(backwards.images, PIXELS[[6, 2, 2, 0]])


def test_long_names_and_other_members_of_archives_are_no_trouble(tmp_path: Path) -> None:
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
        path = tmp_path / f"n{form}.tar.gz"
        with tarfile.open(path, "w:gz", format=form) as archive:
            folder = tarfile.TarInfo("public")
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
            for number, record in enumerate(RECORDS[:2]):
                data = packet(record)
                name = "/".join(["n" * 60] * 3) if form != tarfile.USTAR_FORMAT else "n" * 60
                info = tarfile.TarInfo(f"{name}/{number}.avro")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
                archive.addfile(tarfile.TarInfo(f"{number}.txt"), io.BytesIO())
        assert listed(Format(alert_survey(), str(path))).num_rows == 2


@pytest.mark.s3
def test_packets_come_from_object_storage_too(s3_bucket: str, folder: str, tmp_path: Path) -> None:
    for path in Path(folder).iterdir():
        storage.write_bytes(f"{s3_bucket}/night/{path.name}", path.read_bytes())
    archive = write_archive(tmp_path / "n.tar.gz", [packet(record) for record in RECORDS])
    storage.upload_file(Path(archive), f"{s3_bucket}/n.tar.gz")
    _, expected = read_all(folder)
    for uri in (f"{s3_bucket}/night", f"{s3_bucket}/n.tar.gz"):
        assert Format.recognises(uri)
        assert same(read_all(uri)[1], expected)


def test_messages_of_a_stream_need_their_schema_beside_them(tmp_path: Path) -> None:
    for number, record in enumerate(RECORDS):
        (tmp_path / f"{number}.avro").write_bytes(message(record, 402))
    with pytest.raises(ManifestError, match=r"schema\*.avsc in the same folder"):
        listed(Format(alert_survey(), str(tmp_path)))
    (tmp_path / "schema_402.avsc").write_text(json.dumps(SCHEMA))
    (tmp_path / "schema_401.avsc").write_text(json.dumps({**SCHEMA, "fields": []}))
    _, cutouts = read_all(str(tmp_path))
    np.testing.assert_array_equal(cutouts.images, PIXELS)


def as_table(records: Sequence[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([dict(record) for record in records])


def test_tables_of_brokers_are_read_as_packets(tmp_path: Path, folder: str) -> None:
    path = tmp_path / "alerts.parquet"
    pq.write_table(as_table(RECORDS), path, row_group_size=3)
    _, expected = read_all(folder)
    rows, cutouts = read_all(str(path))
    assert same(cutouts, expected)
    again = Format(alert_survey(), str(path)).read(rows.slice(5, 2))
    np.testing.assert_array_equal(again.images, PIXELS[5:7])
    assert isinstance(open_input_format(alert_survey(), str(path)), Format)


def test_flat_tables_and_tables_of_bytes_or_numbers_are_read(tmp_path: Path) -> None:
    flat = [
        {"objectId": record["objectId"], **record["candidate"], "cutoutScience": image}
        for record, image in zip(
            RECORDS, [fits_bytes(noise(1)), noise(1).tolist()] * 4, strict=True
        )
    ]
    for kind in (0, 1):
        path = tmp_path / f"{kind}.parquet"
        pq.write_table(as_table(flat[kind::2]), path)
        rows, cutouts = read_all(str(path))
        assert rows.column("object_id").to_pylist() == [kind + 1 + 2 * n for n in range(4)]
        np.testing.assert_array_equal(cutouts.images[:, 0], [noise(1)] * 4)
        assert (cutouts.flags[:, 1:] == Flag.MISSING_BAND).all()


def test_another_file_in_the_place_of_a_listed_one_is_not_taken_for_it(tmp_path: Path) -> None:
    uri = write_files(tmp_path / "night")
    source = Format(alert_survey(), uri)
    rows = listed(source)
    (tmp_path / "night" / "003.avro").write_bytes(packet(candidate(77)))
    (tmp_path / "night" / "004.avro").unlink()
    flags = source.read(rows).flags[:, 0].tolist()
    assert flags == [0, 0, 0, Flag.UNREADABLE, Flag.MISSING_FILE, 0, 0, 0]


def test_pixels_and_light_curves_of_an_archive_are_read_in_turn_in_one_pass_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_archive(tmp_path / "night.tar.gz", [packet(record) for record in RECORDS])
    source = Format(alert_survey(), archive)
    rows = listed(source)
    opened: list[str] = []
    read_stream = storage.read_stream
    monkeypatch.setattr(
        storage, "read_stream", lambda uri: (opened.append(uri), read_stream(uri))[1]
    )

    for start in range(rows.num_rows):
        source.read(rows.slice(start, 1))
        source.read_history(rows.slice(start, 1))

    assert len(opened) == 2
