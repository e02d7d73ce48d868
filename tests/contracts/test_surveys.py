"""What every survey file must hold; a new one is tested without editing this."""

import re

import pytest
from astropy import units as u

from catalogtool.adaptation import method_names
from catalogtool.catalogs import kind_names
from catalogtool.errors import ConfigError
from catalogtool.inputs import format_names, open_input_format
from catalogtool.networks import network_names
from catalogtool.production.fit import refuse_unequal_surveys
from catalogtool.surveys import Survey, load_survey, survey_names


@pytest.fixture(params=survey_names())
def survey(request: pytest.FixtureRequest) -> Survey:
    return load_survey(request.param)


def test_the_expected_surveys_are_there() -> None:
    assert {"candels", "clash", "desi", "sdss"} <= set(survey_names())


def test_a_survey_is_named_like_its_file(survey: Survey) -> None:
    assert load_survey(survey.name) == survey
    assert survey.reference


def test_bands_are_physical(survey: Survey) -> None:
    assert len(set(survey.band_names)) == len(survey.bands)
    for band in survey.bands:
        assert 0.1 < band.pivot_wavelength.to_value(u.micron) < 5
        assert 20 < band.zeropoint.to_value(u.mag) < 32
        assert 15 < band.depth.to_value(u.mag) < 32
        assert 0.05 < band.psf_fwhm.to_value(u.arcsec) < 6
        # The point-spread function is sampled, if only just.
        assert band.psf_fwhm > survey.pixel_scale


def test_input_and_pattern_are_usable(survey: Survey) -> None:
    assert survey.input.format in format_names()
    groups = re.compile(survey.input.id_pattern).groupindex
    assert set(groups) - {"band"}


def test_recipes_name_what_there_is(survey: Survey) -> None:
    for recipe in survey.recipes:
        assert set(recipe.kinds) <= set(kind_names())
        if recipe.hosts is not None:  # its model is of another kind
            continue
        assert recipe.network in network_names()
        assert recipe.method in method_names()
        source = load_survey(recipe.source_survey)
        assert source.labels.classes == survey.labels.classes
        seen = recipe.crop_pix or survey.cutout_size_pix
        assert min(source.cutout_size_pix, recipe.crop_pix or source.cutout_size_pix) == seen
        assert source.network_channels == survey.network_channels
        if source != survey:
            refuse_unequal_surveys(source, survey, recipe)


def test_a_survey_works_without_data_or_asks_for_some(survey: Survey) -> None:
    sections = (survey.simulation, survey.difference_imaging, survey.host_field)
    if not any(sections) and survey.input.uri is None:
        with pytest.raises(ConfigError, match=f"survey {survey.name}: .* name it with --input"):
            open_input_format(survey, None)


def test_a_survey_survives_json(survey: Survey) -> None:
    assert Survey.model_validate(survey.to_json()) == survey
