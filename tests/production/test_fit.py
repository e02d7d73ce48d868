"""Surveys, recipes and methods that do not fit together are refused with the remedy."""

import pytest
from astropy import units as u

from catalogtool.adaptation import load_method
from catalogtool.errors import ConfigError, UnknownNameError
from catalogtool.production.fit import (
    method_options_for,
    options_for,
    refuse_single_views,
    refuse_unequal_surveys,
    refuse_unusable_changes,
)
from catalogtool.surveys import Survey, load_survey
from catalogtool.surveys._recipe import Recipe, TrainingOptions


def _pair() -> tuple[Survey, Survey, Recipe]:
    source, target = load_survey("sdss"), load_survey("desi")
    return source, target, target.recipes[0]


def _with_labels(survey: Survey, **changes: object) -> Survey:
    return survey.model_copy(update={"labels": survey.labels.model_copy(update=changes)})


def _with_recipe(recipe: Recipe, **changes: object) -> Recipe:
    return recipe.model_copy(update=changes)


def test_surveys_that_ship_fit_together() -> None:
    refuse_unequal_surveys(*_pair())


def test_classes_of_one_survey_only_are_named() -> None:
    source, target, recipe = _pair()
    source = _with_labels(source, classes=("elliptical", "spiral", "merger"))
    sentence = "sdss and desi do not fit together: their classes differ: merger only in sdss; decl"
    with pytest.raises(ConfigError, match=sentence):
        refuse_unequal_surveys(source, target, recipe)


def test_classes_in_another_order_are_no_other_classes() -> None:
    source, target, recipe = _pair()
    source = _with_labels(source, classes=("spiral", "elliptical"))
    with pytest.raises(ConfigError, match=r"another order; write labels\.classes of both as ellip"):
        refuse_unequal_surveys(source, target, recipe)


def test_mirror_images_must_have_the_same_classes() -> None:
    source, target, recipe = _pair()
    with pytest.raises(ConfigError, match=r"labels\.mirrored and labels\.flips must be equal"):
        refuse_unequal_surveys(_with_labels(source, flips=False), target, recipe)


def test_cutouts_of_another_size_do_not_fit() -> None:
    source, target, recipe = _pair()
    source = source.model_copy(update={"cutout_size_pix": 32})
    with pytest.raises(ConfigError, match="channels and cutout size must be equal; found"):
        refuse_unequal_surveys(source, target, recipe)


def test_other_bands_need_a_mapping_that_the_message_spells_out() -> None:
    source, target, recipe = _pair()
    sentence = r'different bands in the same channel: i and z; .* band_mapping = \{ z = "i" \}'
    with pytest.raises(ConfigError, match=sentence):
        refuse_unequal_surveys(source, target, _with_recipe(recipe, band_mapping={}))


def test_a_mapping_to_the_band_of_another_channel_is_refused() -> None:
    source, target, recipe = _pair()
    with pytest.raises(ConfigError, match="i and z"):
        refuse_unequal_surveys(source, target, _with_recipe(recipe, band_mapping={"z": "r"}))


def test_a_network_that_sees_single_bands_takes_any() -> None:
    source, target = load_survey("candels"), load_survey("clash")
    refuse_unequal_surveys(source, target, target.recipes[0])


@pytest.mark.parametrize(("scale", "is_refused"), [(0.32, False), (0.3, True), (0.6, True)])
def test_pixel_scales_may_differ_by_a_quarter(scale: float, is_refused: bool) -> None:  # noqa: FBT001
    source, target, recipe = _pair()
    target = target.model_copy(update={"pixel_scale": scale * u.arcsec})
    recipe = _with_recipe(recipe, rescaled=False)
    if not is_refused:
        refuse_unequal_surveys(source, target, recipe)
        return
    sentence = rf"sdss \(0.396 arcsec per pixel\) and desi \({scale:g}\): .* by more than 25%; .*"
    with pytest.raises(ConfigError, match=sentence + "state rescaled = true"):
        refuse_unequal_surveys(source, target, recipe)


def test_flips_that_break_labels_are_refused_with_both_remedies() -> None:
    survey = _with_labels(load_survey("desi"), flips=False)
    sentence = "survey desi: augment has flip, .*take flip out of augment .*, or say in labels.mirr"
    with pytest.raises(ConfigError, match=sentence):
        refuse_unusable_changes(survey, TrainingOptions(augment=("rotate", "flip")))
    refuse_unusable_changes(survey, TrainingOptions(augment=("rotate", "shift")))


@pytest.mark.parametrize("name", ["augment", "strong"])
def test_a_misspelt_change_is_refused_before_training(name: str) -> None:
    options = TrainingOptions().model_copy(update={name: ("rotation",)})
    with pytest.raises(UnknownNameError, match="Did you mean 'rotate'"):
        refuse_unusable_changes(load_survey("desi"), options)


def test_a_method_of_two_views_needs_strong_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    survey = load_survey("desi")
    monkeypatch.setattr(load_method("mme"), "wants_strong", True)
    sentence = "survey desi: method mme compares weak and strong views .* training.strong: backg"
    with pytest.raises(ConfigError, match=sentence):
        refuse_single_views(survey, TrainingOptions(), "mme")
    refuse_single_views(survey, TrainingOptions(strong=("blur",)), "mme")


def test_what_has_no_effect_on_a_method_is_no_part_of_its_training() -> None:
    _, _, recipe = _pair()
    training = recipe.training.model_copy(update={"domain_norm": True, "strong": ("blur",)})
    recipe = _with_recipe(recipe, training=training)
    assert options_for("mme", recipe).domain_norm
    assert options_for("mme", recipe).strong == ()
    assert not options_for("fine_tune", recipe).domain_norm
    assert options_for("source_only", recipe) == recipe.source_training


def test_options_of_a_recipe_are_those_of_its_own_method() -> None:
    _, _, recipe = _pair()
    recipe = _with_recipe(recipe, method="mme", method_options={"trade_off": 0.5})
    assert method_options_for("mme", recipe) == {"trade_off": 0.5}
    assert method_options_for("source_only", recipe) == {}


def test_a_misspelt_option_of_a_method_is_refused() -> None:
    _, _, recipe = _pair()
    recipe = _with_recipe(recipe, method="mme", method_options={"trade_of": 0.5})
    with pytest.raises(ConfigError, match="method mme: trade_of: is not a known key"):
        method_options_for("mme", recipe)
