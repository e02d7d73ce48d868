"""What every input format must hold; a new one is tested without editing this."""

import numpy as np
import pyarrow as pa
import pytest

from catalogtool.errors import CatalogtoolError
from catalogtool.inputs import format_names, load_format
from catalogtool.inputs._base import MANIFEST_SCHEMA, Format
from catalogtool.surveys import Survey, load_survey, survey_names


@pytest.fixture(params=format_names())
def kind(request: pytest.FixtureRequest) -> type[Format]:
    return load_format(request.param)


def survey_of(kind: type[Format]) -> Survey:
    """A survey that has this format by itself, or else one whose input can be of any."""
    surveys = [load_survey(name) for name in survey_names()]
    own = [survey for survey in surveys if load_format(survey.input.format) is kind]
    return own[0] if own else load_survey("clash")


def test_the_expected_formats_are_there() -> None:
    files = {"fits_cutouts", "image_table", "rubin_alerts", "ztf_alerts"}
    assert files | {"simulated", "simulated_differences"} <= set(format_names())


def test_nothing_is_recognised_where_nothing_is(kind: type[Format], tmp_path: object) -> None:
    assert not kind.recognises(str(tmp_path))
    assert not kind.recognises(f"{tmp_path}/nowhere")


def test_an_empty_input_is_an_error_and_no_empty_list(kind: type[Format], tmp_path: object) -> None:
    if kind.simulated:
        pytest.skip("a simulation is never empty")
    with pytest.raises(CatalogtoolError, match=f"{tmp_path}: holds no"):
        list(kind(survey_of(kind), str(tmp_path)).list_objects())


def test_no_rows_give_no_cutouts(kind: type[Format], tmp_path: object) -> None:
    survey = survey_of(kind)
    source = kind(survey, None if kind.simulated else str(tmp_path))
    cutouts = source.read(MANIFEST_SCHEMA.empty_table())
    bands, size = len(survey.bands), survey.cutout_size_pix
    assert cutouts.images.shape == cutouts.mask.shape == (0, bands, size, size)
    assert cutouts.flags.shape == (0, bands)


def test_empty_cutouts_are_masked_and_zero(kind: type[Format]) -> None:
    survey = survey_of(kind)
    cutouts = kind(survey, None).empty_cutouts(2)
    size = survey.cutout_size_pix
    assert cutouts.images.shape == (2, len(survey.bands), size, size)
    assert cutouts.images.dtype == np.float32
    assert cutouts.mask.all()
    assert not cutouts.flags.any()


def test_a_format_lists_the_manifest_schema(kind: type[Format]) -> None:
    if not kind.simulated:
        pytest.skip("needs files; its own tests list some")
    first = next(kind(survey_of(kind), None).list_objects())
    assert first.cast(MANIFEST_SCHEMA).num_rows > 0
    assert pa.compute.count_distinct(first.column("object_id")).as_py() == first.num_rows


@pytest.mark.parametrize("name", format_names())
def test_the_name_of_a_format_says_whether_its_pixels_are_made_up(name: str) -> None:
    assert load_format(name).simulated is name.startswith("simulated")
