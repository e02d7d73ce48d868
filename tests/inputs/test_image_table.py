import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fault_proxy import FaultProxy
from input_samples import COLUMNS, PER_BAND, jpeg, listed, picture, pixels, small_survey
from web_server import serving

from catalogtool.errors import ConfigError, LabelError, ManifestError
from catalogtool.flags import Flag
from catalogtool.inputs import _table_rows, open_input_format
from catalogtool.inputs._base import Cutouts, votes_of
from catalogtool.inputs.image_table import Format
from catalogtool.surveys import Survey, load_survey

RGB = "i r g"


def write(path: Path, images: object, group_rows: int = 4, **columns: Any) -> str:  # noqa: ANN401
    values = columns or {"object_id": [f"n{row}" for row in range(len(images))]}
    pq.write_table(pa.table({**values, "image": images}), path, row_group_size=group_rows)
    return str(path)


def read_all(survey: Survey, uri: str) -> Cutouts:
    source = Format(survey, uri)
    return source.read(listed(source))


def test_png_pixels_arrive_unchanged_in_channel_order(tmp_path: Path) -> None:
    images = [picture(seed) for seed in range(10)]
    uri = write(tmp_path / "t.parquet", [jpeg(image, "PNG") for image in images])
    cutouts = read_all(small_survey(RGB), uri)
    np.testing.assert_array_equal(cutouts.images, np.array(images).transpose(0, 3, 1, 2))
    assert not cutouts.flags.any()
    assert not cutouts.mask.any()


def test_jpeg_pixels_arrive_nearly_unchanged(tmp_path: Path) -> None:
    image = picture(1)
    cutouts = read_all(small_survey(RGB), write(tmp_path / "t.parquet", [jpeg(image)]))
    assert np.abs(cutouts.images[0] - image.transpose(2, 0, 1)).mean() < 5  # chroma is halved


def test_larger_pictures_are_shrunk_with_antialiasing(tmp_path: Path) -> None:
    checkers = np.kron(np.indices((16, 16)).sum(0) % 2 * 200, np.ones((2, 2))).astype(np.uint8)
    fine = (np.indices((64, 64)).sum(0) % 2 * 200).astype(np.uint8)
    uri = write(tmp_path / "t.parquet", [jpeg(checkers, "PNG"), jpeg(fine, "PNG")])
    cutouts = read_all(small_survey("g"), uri)
    assert cutouts.flags.tolist() == [[Flag.RESAMPLED]] * 2
    assert cutouts.images[0, 0, 8, 8] < cutouts.images[0, 0, 8, 9]
    np.testing.assert_allclose(cutouts.images[1, 0], 100, atol=2)  # no moiré


def test_sixteen_bit_pictures_keep_their_depth(tmp_path: Path) -> None:
    image = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    cutouts = read_all(small_survey("g"), write(tmp_path / "t.parquet", [jpeg(image, "PNG")]))
    np.testing.assert_allclose(cutouts.images[0, 0], image / 257, rtol=1e-5)


@pytest.mark.parametrize("kind", ["nested", "fixed", "tensor", "flat", "double"])
def test_numbers_are_read_however_they_are_nested(tmp_path: Path, kind: str) -> None:
    cubes = np.stack([[pixels(seed), pixels(seed + 50)] for seed in range(6)])
    cubes[3, 1, 2, 2] = np.nan
    flat = pa.array(cubes.reshape(-1))
    column = {
        "nested": pa.array(cubes.tolist(), pa.list_(pa.list_(pa.list_(pa.float32())))),
        "double": pa.array(cubes.tolist()),
        "fixed": pa.array(cubes.tolist(), pa.list_(pa.list_(pa.list_(pa.float32(), 16), 16), 2)),
        "tensor": pa.FixedShapeTensorArray.from_numpy_ndarray(cubes),
        "flat": pa.FixedSizeListArray.from_arrays(flat, 2 * 16 * 16),
    }[kind]
    cutouts = read_all(small_survey(), write(tmp_path / "t.parquet", column))
    np.testing.assert_array_equal(cutouts.images, np.nan_to_num(cubes))
    assert np.flatnonzero(cutouts.mask).tolist() == [np.flatnonzero(np.isnan(cubes))[0]]
    assert np.flatnonzero(cutouts.flags).tolist() == [7]
    assert cutouts.flags[3, 1] == Flag.PARTLY_MASKED


def test_each_trouble_of_a_picture_is_a_flag_of_its_row_alone(tmp_path: Path) -> None:
    good = jpeg(picture(1, 64))
    flat = picture(2)
    flat[..., 1] = 9
    cases = [
        (good, Flag.RESAMPLED),
        (good[:-200], Flag.UNREADABLE),
        (good[:30], Flag.UNREADABLE),
        (b"", Flag.UNREADABLE),
        (os.urandom(300), Flag.UNREADABLE),
        (None, Flag.MISSING_FILE),
        (jpeg(picture(1)[..., 0]), Flag.WRONG_SHAPE),
        (jpeg(np.dstack([picture(1), picture(2)[..., :1]]), "PNG"), Flag.WRONG_SHAPE),
        (jpeg(picture(3), "PNG")[:-40], Flag.UNREADABLE),
        (jpeg(picture(3), "GIF"), Flag.UNREADABLE),
        (good, Flag.RESAMPLED),
    ]
    uri = write(tmp_path / "t.parquet", [data for data, _ in cases] + [jpeg(flat, "PNG")])
    cutouts = read_all(small_survey(RGB), uri)
    assert cutouts.flags[:-1].tolist() == [[flag] * 3 for _, flag in cases]
    assert cutouts.flags[-1].tolist() == [0, Flag.NO_SIGNAL, 0]
    fatal = cutouts.flags & ~Flag.RESAMPLED != 0
    assert cutouts.mask[fatal].all()
    assert not cutouts.images[fatal].any()
    np.testing.assert_array_equal(cutouts.images[0], cutouts.images[10])


def test_each_trouble_of_numbers_is_a_flag_of_its_row_alone(tmp_path: Path) -> None:
    plane = pixels(1).tolist()
    rows = [[plane, plane], [plane], [plane, plane[:5]], None, [[], []], [plane[:8], plane[:8]]]
    cutouts = read_all(small_survey(), write(tmp_path / "t.parquet", pa.array(rows)))
    assert cutouts.flags[:, 0].tolist() == [
        0,
        Flag.WRONG_SHAPE,
        Flag.WRONG_SHAPE,
        Flag.MISSING_FILE,
        Flag.WRONG_SHAPE,
        Flag.RESAMPLED,
    ]
    text = write(tmp_path / "text.parquet", ["a", "b"])
    assert read_all(small_survey(), text).flags.tolist() == [[Flag.WRONG_SHAPE] * 2] * 2


def test_any_choice_of_rows_gives_the_same_pixels(tmp_path: Path) -> None:
    images = [jpeg(picture(seed), "PNG") for seed in range(300)]
    uri = write(tmp_path / "t.parquet", images, group_rows=150)
    source = Format(small_survey(RGB), uri)
    rows = listed(source)
    everything = source.read(rows).images
    for choice in ([299, 0, 149, 150], [70, 71, 3], [], [200, 201], [10] * 2):
        chosen = source.read(rows.take(pa.array(choice, pa.int64()))).images
        np.testing.assert_array_equal(chosen, everything[choice])


def test_consecutive_units_decode_a_row_group_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = write(tmp_path / "t.parquet", [jpeg(picture(1))] * 400, group_rows=200)
    starts = []
    original = pq.ParquetFile.iter_batches

    def counted(self: pq.ParquetFile, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        starts.append(options["row_groups"])
        return original(self, *args, **options)

    source = Format(small_survey(RGB), uri)
    rows = listed(source)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    for start in range(0, 400, 30):
        source.read(rows.slice(start, 30))
    assert starts == [[0], [1]]


def test_damage_inside_a_file_touches_only_its_rows(tmp_path: Path) -> None:
    noise = [os.urandom(3000) for _ in range(4)]
    good = [jpeg(picture(seed), "PNG") for seed in range(8)]
    uri = write(tmp_path / "t.parquet", [*good[:4], *noise, *good[4:]], group_rows=4)
    source = Format(small_survey(RGB), uri)
    rows = listed(source)
    data = bytearray(Path(uri).read_bytes())
    where = pq.ParquetFile(uri).metadata.row_group(1).column(1).data_page_offset
    data[where : where + 40] = bytes(40)
    Path(uri).write_bytes(data)
    flags = source.read(rows).flags[:, 0].tolist()
    assert flags == [0] * 4 + [Flag.UNREADABLE] * 4 + [0] * 4
    assert [source.read(rows.slice(row, 1)).flags[0, 0] for row in range(12)] == flags


def test_a_file_that_is_gone_or_no_longer_parquet_flags_its_rows(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / f"{name}.parquet", [jpeg(picture(1))], object_id=[name])
    source = Format(small_survey(RGB), str(tmp_path))
    rows = listed(source)
    (tmp_path / "b.parquet").unlink()
    (tmp_path / "c.parquet").write_bytes(b"other")
    assert source.read(rows).flags[:, 0].tolist() == [0, Flag.MISSING_FILE, Flag.UNREADABLE]


def test_rows_beyond_the_end_of_a_file_are_missing(tmp_path: Path) -> None:
    uri = write(tmp_path / "t.parquet", [jpeg(picture(1))])
    assert _table_rows.read_rows(uri, "image", [7]) == [Flag.MISSING_FILE]
    assert _table_rows.read_rows(uri, "pixels", [0]) == [Flag.UNREADABLE]


def test_labels_positions_and_splits_are_columns_of_the_table(tmp_path: Path) -> None:
    labels = {"kind": "class", "classes": ["e", "s"], "column": "k", "values": {"0": "e", "1": "s"}}
    survey = small_survey(RGB, labels, id_column="name", split_column="part")
    uri = write(
        tmp_path / "t.parquet",
        [jpeg(picture(1))] * 3,
        name=[11, 12, 13],
        k=pa.array([1, 7, 0], pa.int8()),
        part=["test", "train", None],
        ra=[1.0, None, 3.0],
        dec=[-1.0, 2.0, 3.0],
    )
    rows = listed(Format(survey, uri))
    assert rows.column("object_id").to_pylist() == [11, 12, 13]
    np.testing.assert_array_equal(votes_of(rows, survey)[:, 0], [[0, 1], [np.nan] * 2, [1, 0]])
    assert rows.column("votes")[1].as_py() is None
    assert rows.column("split").to_pylist() == ["test", "train", ""]
    assert rows.column("ra").to_pylist() == [1, None, 3]
    assert rows.column("flags").to_pylist() == [0, Flag.NO_POSITION, 0]


def test_times_are_a_column_of_the_table_or_of_the_label_table(tmp_path: Path) -> None:
    survey = small_survey(RGB, time_column="mjd")
    pictures = [jpeg(picture(1))] * 2
    own = write(tmp_path / "own.parquet", pictures, object_id=["a", "b"], mjd=[60000.5, None])
    assert listed(Format(survey, own)).column("observed_mjd").to_pylist() == [60000.5, None]
    table = tmp_path / "labels.csv"
    table.write_text("object_id,ra,dec,mjd\nb,5,6,60001.5\n")
    rows = listed(Format(survey, own, str(table)))
    assert rows.column("observed_mjd").to_pylist() == [60000.5, 60001.5]


def test_a_label_table_takes_the_place_of_the_own_columns(tmp_path: Path) -> None:
    own = {name: [1 / 3, 1 / 3] for name in COLUMNS}
    uri = write(tmp_path / "t.parquet", [jpeg(picture(1))] * 2, object_id=["a", "b"], **own)
    table = tmp_path / "labels.csv"
    table.write_text("object_id,p_round,p_flat,p_odd,ra,dec\nb,1,0,0,5,6\n")
    rows = listed(open_input_format(small_survey(RGB), uri, str(table)))
    assert rows.column("votes").to_pylist() == [None, [1, 0, 0]]
    assert rows.column("ra").to_pylist() == [None, 5]
    table.write_text("object_id,ra,dec\nb,5,6\n")
    rows = listed(Format(small_survey(RGB), uri, str(table)))
    assert rows.column("votes").to_pylist() == [pytest.approx([1 / 3] * 3)] * 2
    table.write_text("object_id,ra,dec\nc,5,6\n")
    with pytest.raises(LabelError, match="not in the input: c"):
        listed(Format(small_survey(RGB), uri, str(table)))


def test_tables_that_do_not_fit_the_survey_are_refused(tmp_path: Path) -> None:
    image = [jpeg(picture(1))]
    uri = write(tmp_path / "t.parquet", image, name=["a"])
    with pytest.raises(ManifestError, match=r"no column object_id; found: name, image\. Set"):
        listed(Format(small_survey(RGB), uri))
    uri = write(tmp_path / "t.parquet", image, object_id=["a"], p_round=[1.0])
    with pytest.raises(LabelError, match="no column p_flat, p_odd; found"):
        listed(Format(small_survey(RGB), uri))
    uri = write(tmp_path / "t.parquet", image * 2, object_id=["", None])
    with pytest.raises(ManifestError, match="2 names in object_id are empty"):
        listed(Format(small_survey(RGB), uri))
    (tmp_path / "t.parquet").write_bytes(b"no Parquet")
    with pytest.raises(ManifestError, match="is not a Parquet file, or damaged"):
        listed(Format(small_survey(RGB), uri))


def test_labels_per_band_do_not_come_from_a_row(tmp_path: Path) -> None:
    own = {name: [1 / 3] for name in COLUMNS}
    uri = write(tmp_path / "t.parquet", [jpeg(picture(1))], object_id=["a"], **own)
    assert listed(Format(small_survey(RGB, PER_BAND), uri)).column("votes").to_pylist() == [None]


def test_an_input_that_no_format_knows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    for uri in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ConfigError, match="no input format recognises this"):
            open_input_format(small_survey(), str(uri))


@pytest.mark.s3
def test_object_storage_reads_like_a_disk(
    tmp_path: Path, s3_bucket: str, s3_faults: FaultProxy
) -> None:
    from catalogtool import storage

    s3_faults.share = 0.2

    images = [jpeg(picture(seed)) for seed in range(9)]
    uri = write(tmp_path / "t.parquet", images)
    storage.write_bytes(f"{s3_bucket}/t/t.parquet", Path(uri).read_bytes())
    remote = open_input_format(small_survey(RGB), f"{s3_bucket}/t")
    assert isinstance(remote, Format)
    cutouts = remote.read(listed(remote))
    np.testing.assert_array_equal(cutouts.images, read_all(small_survey(RGB), uri).images)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "count", "labels", "flags"),
    [("sdss", 6664, [4645, 1848], Flag.NO_POSITION), ("desi", 900, [300, 600], 0)],
)
def test_real_galaxy_images_are_read(
    data_folder: Path, name: str, count: int, labels: list[int], flags: int
) -> None:
    survey = load_survey(name)
    uri = data_folder / f"galaxy-{name}-gz1" / f"{name}_gz1_images.parquet"
    source = open_input_format(survey, str(uri))
    rows = listed(source)
    assert rows.num_rows == count
    assert np.nansum(votes_of(rows, survey), axis=(0, 1)).tolist() == labels
    assert set(rows.column("flags").to_pylist()) == {flags}
    if name == "sdss":
        assert rows.column("split").to_pylist().count("test") == 1319
    cutouts = source.read(rows.slice(400, 300))
    assert set(cutouts.flags.ravel()) == {Flag.RESAMPLED}
    assert cutouts.images.shape == (300, 3, 64, 64)


def test_a_table_on_a_web_server_reads_like_a_disk(tmp_path: Path) -> None:
    uri = write(tmp_path / "t.parquet", [jpeg(picture(seed)) for seed in range(9)])
    with serving(tmp_path) as port:
        remote = open_input_format(small_survey(RGB), f"http://127.0.0.1:{port}/t.parquet")
        cutouts = remote.read(listed(remote))
    np.testing.assert_array_equal(cutouts.images, read_all(small_survey(RGB), uri).images)
