import hashlib
import io
import json
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from alert_files import PIXELS, RECORDS, read_all, write_archive
from alert_samples import (
    SCHEMA,
    alert_survey,
    candidate,
    message,
    packet,
    rubin_packet,
    schema_of,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from input_samples import listed

from catalogtool.errors import ManifestError
from catalogtool.flags import Flag
from catalogtool.identifiers import object_id_of
from catalogtool.inputs._alerts import container
from catalogtool.inputs._alerts.layout import Layout
from catalogtool.inputs._alerts.seen import SeenIds
from catalogtool.inputs.manifest import build_manifest
from catalogtool.inputs.rubin_alerts import Format as RubinFormat
from catalogtool.inputs.ztf_alerts import Format


def test_what_cannot_be_read_is_a_row_with_its_place_and_hash(tmp_path: Path) -> None:
    data = [packet(record) for record in RECORDS]
    data[2] = data[2][:4000]
    data[5] = b"garbage"
    folder = tmp_path / "night"
    folder.mkdir()
    for number, content in enumerate(data):
        (folder / f"{number}.avro").write_bytes(content)
    archive = write_archive(tmp_path / "n.tar.gz", data)
    for uri, places in (
        (str(folder), ["2.avro#0", "5.avro#0"]),
        (archive, ["n.tar.gz#2", "n.tar.gz#5"]),
    ):
        rows, cutouts = read_all(uri)
        assert rows.num_rows == 8
        bad = rows.take(pa.array([2, 5]))
        assert bad.column("source_id").to_pylist() == places
        assert bad.column("object_id").to_pylist() == [object_id_of(place) for place in places]
        assert bad.column("flags").to_pylist() == [Flag.UNREADABLE | Flag.NO_POSITION] * 2
        assert bad.column("identity").to_pylist()[1] == hashlib.sha256(b"garbage").hexdigest()
        assert bad.column("ra").null_count == bad.column("observed_mjd").null_count == 2
        good = [0, 1, 3, 4, 6, 7]
        np.testing.assert_array_equal(cutouts.images[good], PIXELS[good])
        assert (cutouts.flags[[2, 5]] == Flag.UNREADABLE).all()
        assert cutouts.mask[[2, 5]].all()
        build_manifest(Format(alert_survey(), uri), str(tmp_path / "out"), 3)


def test_a_repeated_alert_is_a_flagged_row(tmp_path: Path) -> None:
    uri = write_archive(tmp_path / "n.tar", [packet(RECORDS[n]) for n in (0, 1, 0, 0)], "w")
    rows, cutouts = read_all(uri)
    assert rows.column("flags").to_pylist()[:2] == [0, 0]
    assert rows.column("flags").to_pylist()[2:] == [Flag.DUPLICATE | Flag.NO_POSITION] * 2
    assert len(set(rows.column("object_id").to_pylist())) == 4
    assert (cutouts.flags[2:] == Flag.DUPLICATE).all()
    build_manifest(Format(alert_survey(), uri), str(tmp_path / "out"), 3)


@pytest.mark.parametrize("share", [0.3, 0.9, 0.97])
@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_a_truncated_archive_ends_with_an_unreadable_row(
    tmp_path: Path, share: float, mode: str
) -> None:
    path = Path(
        write_archive(
            tmp_path / f"n.tar{mode[1:].replace(':', '.')}", [packet(r) for r in RECORDS], mode
        )
    )
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    rows, cutouts = read_all(str(path))
    assert rows.column("flags").to_pylist()[-1] & Flag.UNREADABLE
    assert not rows.column("flags").to_numpy()[:-1].any()
    np.testing.assert_array_equal(cutouts.images[:-1], PIXELS[: rows.num_rows - 1])


def test_listing_goes_on_behind_a_damaged_member(tmp_path: Path) -> None:
    path = Path(write_archive(tmp_path / "n.tar", [packet(record) for record in RECORDS], "w"))
    data = bytearray(path.read_bytes())
    second = 512 + -(-len(packet(RECORDS[0])) // 512) * 512
    data[second + 130] ^= 0xFF  # the size in its header
    path.write_bytes(data)
    rows, cutouts = read_all(str(path))
    flagged = np.flatnonzero(rows.column("flags").to_numpy()).tolist()
    assert flagged == [1]
    np.testing.assert_array_equal(cutouts.images[2:], PIXELS[2:])


def test_reading_goes_on_behind_a_damaged_block(tmp_path: Path) -> None:
    stream = io.BytesIO()
    fastavro.writer(stream, SCHEMA, RECORDS, codec="snappy", sync_interval=80_000)
    data = bytearray(stream.getvalue())
    at = len(data) // 2
    data[at : at + 50] = bytes(50)
    path = tmp_path / "many.avro"
    path.write_bytes(data)
    rows, cutouts = read_all(str(path))
    bad = rows.column("flags").to_numpy() != 0
    assert rows.num_rows == 8
    assert 0 < bad.sum() < 4
    np.testing.assert_array_equal(cutouts.images[~bad], PIXELS[~bad])


def test_a_folder_of_damaged_files_alone_says_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "a.avro").write_bytes(b"garbage")
    with pytest.raises(
        ManifestError, match="none of the first 1 packets can be read as those of ZTF"
    ):
        listed(Format(alert_survey(), str(tmp_path)))


def test_schemas_with_defaults_that_do_not_fit_are_read() -> None:
    schema = json.loads(json.dumps(SCHEMA))
    for field in schema["fields"][3]["type"]["fields"]:
        field["default"] = None
    text = json.dumps(schema).encode()
    layout = Layout(text, Format.fields)
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(SCHEMA), RECORDS[0])
    assert layout.read(stream.getvalue(), "listing")["candid"] == 1


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": "null"},
        {"type": "array", "items": {"type": "record", "name": "e", "fields": []}},
        {"type": "record", "name": "r", "fields": [{"name": "r", "type": "r"}]},
    ],
    ids=["nothing", "empty records", "itself"],
)
def test_schemas_of_endless_values_are_refused(schema: Any) -> None:  # noqa: ANN401
    fields = [*SCHEMA["fields"], {"name": "endless", "type": schema}]
    text = json.dumps({**SCHEMA, "fields": fields}).encode()
    with pytest.raises(container.DamagedError):
        Layout(text, Format.fields)


def test_a_file_that_is_cut_anywhere_is_a_row() -> None:
    data = packet(candidate(1, [np.eye(5, dtype=np.float32)] * 3, earlier=1))
    header = data.index(data[-16:]) + 16  # the mark between blocks ends both header and file
    for length in range(len(data)):
        found = list(
            container.packets_in(container.ByteSource([data[:length]]), Format.fields, schema_of)
        )
        assert len(found) == (length != header)
        assert not any(one.readable for one in found)


def test_fields_of_other_kinds_than_in_any_survey_are_no_trouble() -> None:
    schema = json.loads(json.dumps(SCHEMA))
    schema["fields"][4]["type"] = "long"  # of the earlier detections
    data = packet(RECORDS[0] | {"prv_candidates": 5}, schema=schema)
    source = Format(alert_survey(), None)
    np.testing.assert_array_equal(source.decode([data]).images[0], PIXELS[0])
    (found,) = container.packets_in(container.ByteSource([data]), source.fields, schema_of)
    read = source._read(found, "history")
    assert not isinstance(read, Flag)
    assert source._history(read) is None


def test_ids_seen_before_are_found_in_little_memory() -> None:
    rng = np.random.default_rng(1)
    seen, known = SeenIds(), set[int]()
    for _ in range(40):
        ids = rng.integers(-500, 2000, size=rng.integers(0, 60))
        expected = []
        for value in ids.tolist():
            expected.append(value in known)
            known.add(value)
        assert seen.again(ids).tolist() == expected
    assert len(seen._sorted) < 12


def damaged(data: bytes, edits: list[tuple[int, bytes, int]]) -> bytes:
    """Each edit puts bytes in the place of some others."""
    for at, new, removed in edits:
        start = at % (len(data) + 1)
        data = data[:start] + new + data[start + removed :]
    return data


EDITS = st.lists(
    st.tuples(st.integers(0, 50_000), st.binary(max_size=12), st.integers(0, 40) | st.just(50_000)),
    min_size=1,
    max_size=4,
)
SMALL = [candidate(n, [np.eye(9, dtype=np.float32) * n] * 3, earlier=2) for n in (1, 2, 3)]
FILES = {
    "null": packet(*SMALL),
    "deflate": packet(*SMALL, codec="deflate"),
    "snappy": packet(*SMALL, codec="snappy"),
    "message": message(SMALL[0]),
    "rubin": rubin_packet(1, 9),
}


@settings(max_examples=150)
@given(kind=st.sampled_from(sorted(FILES)), edits=EDITS)
def test_no_damage_to_a_file_stops_its_reader(
    kind: str, edits: list[tuple[int, bytes, int]]
) -> None:
    data = damaged(FILES[kind], edits)
    source = (RubinFormat if kind == "rubin" else Format)(alert_survey(16), None)
    for found in container.packets_in(container.ByteSource([data]), source.fields, schema_of):
        source._measured(found)
        past = source._read(found, "history")
        if not isinstance(past, Flag):
            source._history(past)
    cutouts = source.decode([FILES[kind], data, FILES[kind]])
    np.testing.assert_array_equal(cutouts.images[0], cutouts.images[2])
    assert cutouts.facts is not None
    assert cutouts.facts.slice(0, 1).equals(cutouts.facts.slice(2, 1))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(zipped=st.booleans(), edits=EDITS)
def test_no_damage_to_an_archive_stops_its_listing(
    tmp_path: Path,
    zipped: bool,  # noqa: FBT001
    edits: list[tuple[int, bytes, int]],
) -> None:
    path = tmp_path / ("n.tar.gz" if zipped else "n.tar")
    write_archive(path, [packet(record) for record in SMALL], "w:gz" if zipped else "w")
    path.write_bytes(damaged(path.read_bytes(), edits))
    try:
        rows, cutouts = read_all(str(path), 16)
    except ManifestError:
        return  # nothing is left
    assert rows.num_rows == len(cutouts.flags)
    assert len(set(rows.column("object_id").to_pylist())) == rows.num_rows


def test_a_wrong_count_of_packets_does_not_mix_them_up() -> None:
    data = packet(*SMALL)
    at = data.index(data[-16:]) + 16
    assert data[at] == 2 * len(SMALL)  # as Avro writes it
    source = Format(alert_survey(16), None)
    first = source.decode([data[:at] + b"\2" + data[at + 1 :]])
    np.testing.assert_array_equal(first.images, source.decode([packet(SMALL[0])]).images)
