import csv
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from alert_samples import (
    CUTOUTS,
    SCHEMA,
    alert_survey,
    candidate,
    fits_bytes,
    message,
    noise,
    packet,
)
from astropy.io import fits
from input_samples import listed

from catalogtool import storage
from catalogtool.errors import LabelError, ManifestError
from catalogtool.flags import Flag
from catalogtool.inputs import open_input_format
from catalogtool.inputs._alerts import HISTORY_SCHEMA, container
from catalogtool.inputs._alerts.layout import Layout
from catalogtool.inputs._alerts.seen import SeenIds
from catalogtool.inputs._base import Cutouts
from catalogtool.inputs._names import object_id_of
from catalogtool.inputs.manifest import build_manifest
from catalogtool.inputs.ztf_alerts import Format
from catalogtool.surveys import load_survey

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


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return write_files(tmp_path / "night")


def test_packets_become_rows_pixels_and_facts(folder: str) -> None:
    rows, cutouts = read_all(folder)
    assert rows.column("object_id").to_pylist() == list(range(1, 9))
    assert rows.column("source_id").to_pylist() == [record["objectId"] for record in RECORDS]
    assert rows.column("ra").to_pylist() == [record["candidate"]["ra"] for record in RECORDS]
    expected = [record["candidate"]["jd"] - 2_400_000.5 for record in RECORDS]
    assert rows.column("observed_mjd").to_pylist() == expected
    assert not rows.column("flags").to_numpy().any()
    np.testing.assert_array_equal(cutouts.images, PIXELS)
    assert not cutouts.mask.any()
    assert not cutouts.flags.any()
    assert cutouts.images.dtype == np.dtype("f4")
    facts = cutouts.facts
    assert facts is not None
    assert facts.column("band").to_pylist() == ["r", "g"] * 4
    assert facts.column("is_positive").to_pylist() == [False, True] * 4
    assert facts.column("isdiffpos").to_pylist() == [1, 0] * 4
    assert facts.column("detections").to_pylist() == [3] * 8
    assert facts.column("non_detections").to_pylist() == [297] * 8
    drb = np.array([record["candidate"]["drb"] for record in RECORDS], dtype=np.float32)
    np.testing.assert_array_equal(facts.column("survey_score").to_numpy(), drb)


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
    container_schemas_forgotten()
    _, cutouts = read_all(str(tmp_path))
    np.testing.assert_array_equal(cutouts.images, PIXELS)


def container_schemas_forgotten() -> None:
    from catalogtool.inputs._alerts.packets import _schemas_in

    _schemas_in.cache_clear()


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


def test_reading_does_not_depend_on_company(folder: str) -> None:
    source = Format(alert_survey(), folder)
    rows = listed(source)
    together = source.read(rows)
    for index in range(rows.num_rows):
        alone = source.read(rows.slice(index, 1))
        np.testing.assert_array_equal(alone.images[0], together.images[index])
        assert alone.facts is not None
        assert together.facts is not None
        assert alone.facts.to_pylist()[0] == together.facts.to_pylist()[index]


@pytest.mark.parametrize("shape", [(62, 63), (48, 63), (63, 63), (61, 61), (102, 81), (30, 30)])
def test_other_sizes_are_centred_by_padding_or_cropping(shape: tuple[int, int]) -> None:
    images = [noise(band, shape) for band in range(3)]
    cutouts = Format(alert_survey(), None).decode([packet(candidate(1, images))])
    if shape == (63, 63):
        assert not cutouts.flags.any()
        return
    assert (cutouts.flags == Flag.PADDED).all()
    height, width = (min(side, 63) for side in shape)
    assert np.count_nonzero(~cutouts.mask[0, 0]) == height * width
    y, x = ((side - 63 + 1) // 2 if side > 63 else -((63 - side) // 2) for side in shape)
    centre = images[0][31 + y, 31 + x]
    assert cutouts.images[0, 0, 31, 31] == centre


@pytest.mark.parametrize(
    ("shape", "where", "source"),
    [
        ((48, 63), {"ypos": 17.0}, (16, 31)),
        ((63, 48), {"xpos": 3056.0}, (31, 31)),
        ((63, 48), {"xpos": 17.0}, (31, 16)),
        ((53, 63), {"ypos": 3058.0}, (31, 31)),
        ((48, 50), {"ypos": 17.0, "xpos": 3054.0}, (16, 31)),
    ],
)
def test_cutouts_at_a_detectors_edge_keep_their_object_in_the_centre(
    shape: tuple[int, int], where: dict[str, float], source: tuple[int, int]
) -> None:
    images = [np.zeros(shape, dtype=np.float32) for _ in range(3)]
    for image in images:
        image[source] = 7
    record = candidate(1, images, **{"mindtoedge": 17.0, **where})
    cutouts = Format(alert_survey(), None).decode([packet(record)])
    assert (cutouts.images[0, :, 31, 31] == 7).all()
    assert (cutouts.flags == Flag.PADDED).all()


def test_nan_infinite_and_fill_values_are_masked() -> None:
    image = noise(1)
    image[3, :4] = np.nan, np.inf, -np.inf, -3.4028235e38
    cutouts = Format(alert_survey(), None).decode([packet(candidate(1, [image] * 3))])
    assert np.argwhere(cutouts.mask[0, 1]).tolist() == [[3, 0], [3, 1], [3, 2], [3, 3]]
    assert not cutouts.images[0, :, 3, :4].any()
    assert not cutouts.flags.any()


def test_sentinels_are_unknown() -> None:
    record = candidate(1, sgscore1=-999.0, distnr=-99.0, rb=float("nan"), drb=None, fwhm=-3.4e38)
    facts = Format(alert_survey(), None).decode([packet(record)]).facts
    assert facts is not None
    unknown = {name for name in facts.column_names if facts.column(name).null_count}
    assert unknown == {"sgscore1", "distnr", "rb", "fwhm", "survey_score"}


def test_trouble_with_one_cutout_is_a_flag_of_its_band() -> None:
    good = noise(1)
    cases = {
        b"": Flag.UNREADABLE,
        b"nothing": Flag.UNREADABLE,
        gzip.compress(b"nothing"): Flag.UNREADABLE,
        fits_bytes(good)[:500]: Flag.UNREADABLE,
        fits_bytes(good, zipped=False): Flag(0),
        None: Flag.MISSING_BAND,
    }
    for data, flag in cases.items():
        record = candidate(1, [good, data, good])
        cutouts = Format(alert_survey(), None).decode([packet(record)])
        assert cutouts.flags.tolist() == [[0, flag, 0]]
        assert cutouts.mask[0, 1].all() == bool(flag)
        np.testing.assert_array_equal(cutouts.images[0, [0, 2]], [good, good])


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


def test_another_file_in_the_place_of_a_listed_one_is_not_taken_for_it(tmp_path: Path) -> None:
    uri = write_files(tmp_path / "night")
    source = Format(alert_survey(), uri)
    rows = listed(source)
    (tmp_path / "night" / "003.avro").write_bytes(packet(candidate(77)))
    (tmp_path / "night" / "004.avro").unlink()
    flags = source.read(rows).flags[:, 0].tolist()
    assert flags == [0, 0, 0, Flag.UNREADABLE, Flag.MISSING_FILE, 0, 0, 0]


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


def test_bands_are_those_that_the_schema_explains() -> None:
    schema = json.loads(json.dumps(SCHEMA))
    schema["fields"][3]["type"]["fields"][1]["doc"] = "Filter ID (1=J; 2=Y)"
    data = [packet(record, schema=schema) for record in RECORDS[:2]]
    facts = Format(alert_survey(), None).decode(data).facts
    assert facts is not None
    assert facts.column("band").to_pylist() == ["y", "j"]


def test_the_history_holds_detections_and_limits_in_the_order_of_time(folder: str) -> None:
    source = Format(alert_survey(), folder)
    rows = listed(source).slice(2, 2)
    history = source.read_history(rows)
    assert history.schema == HISTORY_SCHEMA
    assert history.num_rows == 26
    first = history.slice(0, 13)
    assert set(first.column("object_id").to_pylist()) == {3}
    times = first.column("mjd").to_numpy()
    assert (np.diff(times) > 0).all()
    assert times[-1] == RECORDS[2]["candidate"]["jd"] - 2_400_000.5
    magnitude = np.float32(RECORDS[2]["candidate"]["magpsf"])
    assert first.column("magnitude_ab").to_pylist()[-1] == magnitude
    assert source.read_history(rows.slice(0, 0)).num_rows == 0


def test_limits_have_no_magnitude(tmp_path: Path) -> None:
    record = candidate(5)
    for one in record["prv_candidates"][::2]:
        one |= {"magpsf": None, "isdiffpos": None}
    write_files(tmp_path / "n", [record])
    source = Format(alert_survey(), str(tmp_path / "n"))
    history = source.read_history(listed(source))
    assert history.column("magnitude_ab").null_count == 6
    assert history.column("magnitude_error").null_count == 6
    assert history.column("limit_mag_ab").null_count == 0


def test_labels_join_by_alert_or_by_object(tmp_path: Path, folder: str) -> None:
    survey = alert_survey(id_column="name").model_copy(
        update={"labels": load_survey("clash").labels}
    )
    columns = ",".join(survey.labels.columns)
    fractions = ",".join(["1"] + ["0"] * (len(survey.labels.columns) - 1))
    table = tmp_path / "labels.csv"
    table.write_text(f"name,{columns}\n3,{fractions}\nZTF180000005,{fractions}\n")
    survey = survey.model_copy(
        update={"labels": survey.labels.model_copy(update={"per_band": False})}
    )
    rows = listed(Format(survey, folder, str(table)))
    known = [votes is not None for votes in rows.column("votes").to_pylist()]
    assert np.flatnonzero(known).tolist() == [2, 4]
    table.write_text(f"name,{columns}\nnobody,{fractions}\n")
    with pytest.raises(LabelError, match="nobody"):
        listed(Format(survey, folder, str(table)))


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


@pytest.mark.data
class TestRealPackets:
    def expected(self, path: Path) -> list[npt.NDArray[Any] | None]:
        with path.open("rb") as stream:
            (record,) = fastavro.reader(stream)
        return [by_astropy(record.get(name)) for name in CUTOUTS]

    def test_every_packet_is_read_and_its_pixels_are_those_of_astropy(
        self, data_folder: Path
    ) -> None:
        folder = data_folder / "ztf-alerts" / "packets"
        rows, cutouts = read_all(str(folder))
        with (folder / "index.csv").open() as stream:
            shapes = {row["file"]: row["stamp_shape"] for row in csv.DictReader(stream)}
        assert rows.num_rows == len(shapes) == 138
        assert not rows.column("flags").to_numpy().any()
        for index, (uri,) in enumerate(rows.column("uris").to_pylist()):
            whole = shapes[Path(uri).name] == "63x63"
            assert set(cutouts.flags[index]) == {0 if whole else Flag.PADDED}
            for band, pixels in enumerate(self.expected(Path(uri))):
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
    def test_packets_of_other_surveys_are_read(
        self, data_folder: Path, survey: str, count: int
    ) -> None:
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

    def test_cutouts_found_from_the_end_are_those_read_in_order(self, data_folder: Path) -> None:
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
