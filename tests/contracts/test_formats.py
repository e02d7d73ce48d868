"""What every input format must hold; a new one is tested without editing this."""

import numpy as np
import pyarrow as pa
import pytest

from catalogtool.errors import CatalogtoolError
from catalogtool.inputs import format_names, load_format
from catalogtool.inputs._base import MANIFEST_SCHEMA, Format
from catalogtool.surveys import load_survey


@pytest.fixture(params=format_names())
def kind(request: pytest.FixtureRequest) -> type[Format]:
    return load_format(request.param)


def test_the_expected_formats_are_there() -> None:
    assert {"fits_cutouts", "image_table", "simulated"} <= set(format_names())


def test_nothing_is_recognised_where_nothing_is(kind: type[Format], tmp_path: object) -> None:
    assert not kind.recognises(str(tmp_path))
    assert not kind.recognises(f"{tmp_path}/nowhere")


def test_an_empty_input_is_an_error_and_no_empty_list(kind: type[Format], tmp_path: object) -> None:
    if kind.simulated:
        pytest.skip("a simulation is never empty")
    with pytest.raises(CatalogtoolError, match=f"{tmp_path}: holds no"):
        list(kind(load_survey("clash"), str(tmp_path)).list_objects())


def test_no_rows_give_no_cutouts(kind: type[Format], tmp_path: object) -> None:
    survey = load_survey("clash")
    source = kind(survey, None if kind.simulated else str(tmp_path))
    cutouts = source.read(MANIFEST_SCHEMA.empty_table())
    assert cutouts.images.shape == cutouts.mask.shape == (0, 16, 80, 80)
    assert cutouts.flags.shape == (0, 16)


def test_empty_cutouts_are_masked_and_zero(kind: type[Format]) -> None:
    cutouts = kind(load_survey("sdss"), None).empty_cutouts(2)
    assert cutouts.images.shape == (2, 3, 64, 64)
    assert cutouts.images.dtype == np.float32
    assert cutouts.mask.all()
    assert not cutouts.flags.any()


def test_a_format_lists_the_manifest_schema(kind: type[Format]) -> None:
    if not kind.simulated:
        pytest.skip("needs files; its own tests list some")
    first = next(kind(load_survey("clash"), None).list_objects())
    assert first.cast(MANIFEST_SCHEMA).num_rows > 0
    assert pa.compute.count_distinct(first.column("object_id")).as_py() == first.num_rows
