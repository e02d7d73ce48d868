import numpy as np
import pyarrow as pa
import pytest

from catalogtool.catalogs import load_kind
from catalogtool.catalogs._base import CatalogContext, Predictions
from catalogtool.catalogs._common import entropy_nat
from catalogtool.flags import Flag
from catalogtool.inputs._base import MANIFEST_SCHEMA

CONTEXT = CatalogContext(("round", "flat"), ("g", "r"), per_band=True, model_id="m")


def two_objects() -> pa.Table:
    common = {"flags": 0, "uris": [], "row": 0, "identity": "", "votes": None, "split": ""}
    rows = [
        {"object_id": 5, "source_id": "five", "ra": 10.0, "dec": 1.0, **common},
        {"object_id": 3, "source_id": "three", "ra": None, "dec": None, **common},
    ]
    return pa.Table.from_pylist(rows, schema=MANIFEST_SCHEMA)


def one_missing_band() -> Predictions:
    p = np.array([[[0.8, 0.2], [np.nan, np.nan]], [[0.5, 0.5], [0.0, 1.0]]], dtype=np.float32)
    flags = np.array([[256, 4], [0, 128]], dtype=np.int32)
    return Predictions(p, flags)


def test_the_long_form_has_one_row_per_object_and_band() -> None:
    table = load_kind("morphology").finalize(CONTEXT, two_objects(), one_missing_band())
    assert table.column("object_id").to_pylist() == [5, 5, 3, 3]
    assert table.column("band").to_pylist() == ["g", "r", "g", "r"]
    assert table.column("predicted_class").to_pylist() == ["round", "", "round", "flat"]
    assert table.column("p_flat").to_pylist() == [pytest.approx(0.2), None, 0.5, 1.0]
    assert table.column("flags").to_pylist() == [256, 4, 0, 128]
    assert table.column("confidence").to_pylist() == [pytest.approx(0.8), None, 0.5, 1.0]


def test_the_wide_form_keeps_a_fatal_flag_in_its_band() -> None:
    table = load_kind("morphology_wide").finalize(CONTEXT, two_objects(), one_missing_band())
    assert table.column("object_id").to_pylist() == [5, 3]
    assert table.column("flags").to_pylist() == [256, 128]
    assert table.column("flags_r").to_pylist() == [4, 128]
    assert table.column("p_round_r").to_pylist() == [None, 0.0]
    assert table.column("predicted_bands").to_pylist() == [1, 2]
    assert table.column("has_prediction").to_pylist() == [True, True]


def test_the_wide_form_is_flagged_where_no_band_has_a_prediction() -> None:
    predictions = Predictions(
        np.full((2, 2, 2), np.nan, dtype=np.float32), np.array([[1, 4], [2, 2]], dtype=np.int32)
    )
    table = load_kind("morphology_wide").finalize(CONTEXT, two_objects(), predictions)
    expected = [int(Flag.UNREADABLE | Flag.MISSING_BAND), int(Flag.MISSING_FILE)]
    assert table.column("flags").to_pylist() == expected


def test_entropy_of_equal_classes_is_the_logarithm_of_their_number() -> None:
    p = np.array([[0.25] * 4, [1, 0, 0, 0], [0.5, 0.5, 0, 0]], dtype=np.float32)
    np.testing.assert_allclose(entropy_nat(p), [np.log(4), 0, np.log(2)], rtol=1e-6)
