from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from input_samples import COLUMNS, PER_BAND, small_survey

from catalogtool.errors import LabelError
from catalogtool.inputs._base import MANIFEST_SCHEMA, votes_of
from catalogtool.inputs.labels import read_labels, row_votes
from catalogtool.surveys import load_survey

HEADER = "object_id," + ",".join(COLUMNS)
PATTERN = r"(?P<field>[a-z]+)_(?:(?P<band>[gr])_)?(?P<number>\d+)"
KINDS = {
    "kind": "class",
    "classes": ["round", "flat"],
    "column": "type",
    "values": {"0": "round", "1": "flat", "S": "flat"},
}


def write(folder: Path, *lines: str) -> str:
    path = folder / "labels.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_votes_join_by_name_and_positions_come_along(tmp_path: Path) -> None:
    uri = write(
        tmp_path,
        HEADER + ",ra,dec",
        "a,1,0,0,10,-5",
        "7,0.5,0.25,0.25,,",
        "c,,,,-10,1",
        "d,,,,400,1",
    )
    labels = read_labels(uri, small_survey())
    np.testing.assert_array_equal(labels.votes_of("7"), [[0.5, 0.25, 0.25]])
    assert labels.position("a") == (10.0, -5.0)
    assert labels.position("7") is None
    assert labels.position("c") == (350.0, 1.0)
    assert labels.position("d") is None
    assert labels.votes_of("c") is None
    assert labels.votes_of("elsewhere") is None
    assert labels.position("elsewhere") is None


def test_votes_per_band_stand_in_the_order_of_the_bands(tmp_path: Path) -> None:
    survey = small_survey(labels=PER_BAND, id_pattern=PATTERN)
    labels = read_labels(
        write(tmp_path, HEADER, "x_r_1,0,1,0", "x_g_1,1,0,0", "x_r_2,0,0,1"), survey
    )
    np.testing.assert_array_equal(labels.votes_of("x_1"), [[1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(labels.votes_of("x_2"), [[np.nan] * 3, [0, 0, 1]])


def test_parquet_tables_and_number_ids_work_too(tmp_path: Path) -> None:
    table = pa.table({"object_id": [1, 2], **{name: [1 / 3, 1 / 3] for name in COLUMNS}})
    pq.write_table(table, tmp_path / "labels.parquet")
    labels = read_labels(str(tmp_path / "labels.parquet"), small_survey())
    assert labels.index == {"1": 0, "2": 1}


def test_ids_of_a_csv_stay_text(tmp_path: Path) -> None:
    labels = read_labels(write(tmp_path, HEADER, "007,1,0,0", "7,0,1,0"), small_survey())
    assert set(labels.index) == {"007", "7"}


def test_classes_become_one_hot_and_other_values_no_label(tmp_path: Path) -> None:
    survey = small_survey(labels=KINDS, split_column="part")
    uri = write(tmp_path, "object_id,type,part", "a,0,train", "b,1,test", "c,5,other", "d,,")
    labels = read_labels(uri, survey)
    np.testing.assert_array_equal(labels.votes_of("b"), [[0, 1]])
    assert labels.votes_of("c") is None
    assert [labels.split_of(name) for name in "abcde"] == ["train", "test", "", "", ""]


def test_classes_may_be_text_or_floats_with_gaps() -> None:
    survey = small_survey(labels=KINDS)
    for values in (["0", "S", None], [0.0, 1.0, None]):
        votes = row_votes("table", pa.table({"type": values}), survey)
        np.testing.assert_array_equal(votes, [[1, 0], [0, 1], [np.nan, np.nan]])


@given(
    st.lists(
        st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any), min_size=1, max_size=8
    )
)
def test_fractions_of_any_panel_are_taken_as_they_are(counts: list[list[int]]) -> None:
    fractions = np.array([np.divide(row, sum(row)) for row in counts])
    table = pa.table(
        {"object_id": range(len(counts)), **dict(zip(COLUMNS, fractions.T, strict=True))}
    )
    votes = row_votes("table", table, small_survey())
    np.testing.assert_allclose(votes, fractions, atol=1e-7)
    np.testing.assert_allclose(votes.sum(axis=1), 1, atol=1e-6)


@given(
    st.lists(st.floats(-0.5, 1.5), min_size=3, max_size=3).filter(
        lambda row: min(row) < 0 or max(row) > 1 or abs(sum(row) - 1) > 1.1e-3
    )
)
def test_fractions_that_no_panel_can_give_are_refused(row: list[float]) -> None:
    table = pa.table({"object_id": ["x"], **{n: [v] for n, v in zip(COLUMNS, row, strict=True)}})
    with pytest.raises(LabelError, match=r"1 rows have vote fractions .*: x"):
        row_votes("table", table, small_survey())


def test_rounded_fractions_are_scaled_to_sum_to_one(tmp_path: Path) -> None:
    labels = read_labels(write(tmp_path, HEADER, "a,0.333,0.333,0.3335"), small_survey())
    assert labels.votes.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([HEADER, "a,1.5,0,0"], r"1 rows have vote fractions outside \[0, 1\]: a"),
        ([HEADER, *[f"a{n},0.5,0,0" for n in range(7)]], r"7 rows .* sum to 1: a0, .*a4, …"),
        ([HEADER, "a,0.5,,0.5"], r"vote fractions outside \[0, 1\]"),
        ([HEADER, "a,1,0,0", "a.fits,1,0,0"], r"1 names occur more than once: a; keep one"),
        ([HEADER, "a,x,0,0"], r"column p_round: expected numbers"),
        (["name,p_round", "a,1"], r"no column object_id; found: name, p_round"),
        (["object_id,p_round", "a,1"], r"no column p_flat, p_odd; found: object_id, p_round"),
        (["object_id,other", "a,1"], r"no column p_round, p_flat, p_odd; found"),
        ([HEADER, ",1,0,0"], r"1 names in object_id do not fit the id_pattern"),
        ([HEADER, "a,1,0"], r"neither CSV nor Parquet"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(
    tmp_path: Path, lines: list[str], sentence: str
) -> None:
    with pytest.raises(LabelError, match=sentence):
        read_labels(write(tmp_path, *lines), small_survey())


def test_labels_per_band_need_a_band_of_the_survey(tmp_path: Path) -> None:
    survey = small_survey(labels=PER_BAND, id_pattern=r"(?P<id>\d+)(?P<band>[a-z])?")
    with pytest.raises(LabelError, match=r"2 labels name no band of small: 1, 2 \(z\); .* g, r"):
        read_labels(write(tmp_path, HEADER, "1,1,0,0", "2z,1,0,0", "3g,1,0,0"), survey)


def test_labels_of_unknown_objects_are_refused(tmp_path: Path) -> None:
    labels = read_labels(write(tmp_path, HEADER, "a,1,0,0", "b,1,0,0"), small_survey())
    labels.refuse_unknown(["a", "b", "c"])
    with pytest.raises(LabelError, match="1 of 2 labelled objects are not in the input: b"):
        labels.refuse_unknown(["a"])


def test_a_table_may_give_positions_alone(tmp_path: Path) -> None:
    labels = read_labels(write(tmp_path, "object_id,ra,dec", "a,1,2", "b,1,99"), small_survey())
    assert labels.position("a") == (1.0, 2.0)
    assert labels.position("b") is None
    assert not labels.has_votes


def test_positions_need_no_band_where_labels_are_per_band(tmp_path: Path) -> None:
    survey = small_survey(labels=PER_BAND, id_pattern=PATTERN)
    labels = read_labels(write(tmp_path, "object_id,ra,dec", "x_1,1,2", "x_2,3,4"), survey)
    assert labels.position("x_2") == (3.0, 4.0)
    assert not labels.has_votes
    both = write(tmp_path, HEADER + ",ra,dec", "x_1,,,,1,2", "x_r_1,0,1,0,,", "x_g_2,1,0,0,5,6")
    labels = read_labels(both, survey)
    np.testing.assert_array_equal(labels.votes_of("x_1"), [[np.nan] * 3, [0, 1, 0]])
    assert [labels.position(name) for name in ("x_1", "x_2")] == [(1.0, 2.0), (5.0, 6.0)]
    with pytest.raises(LabelError, match="1 names occur more than once: x_1"):
        read_labels(write(tmp_path, "object_id,ra,dec", "x_1,1,2", "x_1,1,2"), survey)


@pytest.mark.data
def test_the_real_vote_tables_are_sound(data_folder: Path) -> None:
    folder = data_folder / "galaxy-candels-clash"
    candels = read_labels(str(folder / "CANDELS_labels.csv"), load_survey("candels"))
    clash = read_labels(str(folder / "CLASH_labels.csv"), load_survey("clash"))
    assert candels.votes.shape == (7567, 1, 5)
    # 912 galaxies, 1,600 cutouts; mean vote fractions as tabulated for the published labels.
    assert clash.votes.shape == (912, 16, 5)
    assert np.isfinite(clash.votes).all(axis=2).sum() == 1600
    np.testing.assert_allclose(
        np.nanmean(clash.votes, axis=(0, 1)), [0.428, 0.200, 0.182, 0.064, 0.127], atol=6e-4
    )
    np.testing.assert_allclose(
        np.nanmean(candels.votes, axis=(0, 1)), [0.250, 0.493, 0.147, 0.080, 0.030], atol=6e-4
    )


def test_no_objects_have_no_votes() -> None:
    survey = load_survey("sdss")

    assert votes_of(MANIFEST_SCHEMA.empty_table(), survey).shape == (0, 1, 2)
