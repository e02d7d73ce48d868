"""Survey files: names, private ones, and what their rules refuse."""

import tomllib
from importlib import resources
from pathlib import Path

import pytest
from astropy import units as u

from catalogtool.config._base import build_settings
from catalogtool.errors import ConfigError, UnknownNameError
from catalogtool.surveys import Survey, load_survey


def values_of(name: str) -> dict[str, object]:
    text = (resources.files("catalogtool.surveys") / f"{name}.toml").read_text()
    return tomllib.loads(text)


def test_clash_has_its_sixteen_bands_in_order_of_wavelength() -> None:
    clash = load_survey("clash")
    wavelengths = [band.pivot_wavelength.to_value(u.nm) for band in clash.bands]
    assert wavelengths == sorted(wavelengths)
    assert clash.rows_per_object == len(clash.bands) == 16
    assert clash.network_channels == 1
    assert clash.pixel_scale_arcsec == 0.065
    for band, nanometres in zip(clash.bands, wavelengths, strict=True):
        digits = int(band.name[1:4])
        # HST names its filters by nanometres, in the infrared by tens of them.
        assert nanometres == pytest.approx(digits * (10 if digits < 200 else 1), rel=0.07)


def test_colour_surveys_see_all_bands_at_once() -> None:
    for name in ("sdss", "desi"):
        survey = load_survey(name)
        assert survey.rows_per_object == 1
        assert survey.network_channels == 3


def test_a_private_survey_is_read_from_a_path(tmp_path: Path) -> None:
    source = resources.files("catalogtool.surveys") / "candels.toml"
    path = tmp_path / "mine.toml"
    path.write_text(source.read_text().replace('name = "candels"', 'name = "mine"'))
    assert load_survey(str(path)).name == "mine"


def test_a_misspelt_name_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match=r"'clsh' is not one of surveys.*mean 'clash'\?"):
        load_survey("clsh")


def test_an_absent_path_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere/x.toml: cannot be read"):
        load_survey("nowhere/x.toml")


@pytest.mark.parametrize(
    ("name", "table", "changes", "sentence"),
    [
        ("clash", None, {"pixel_scale": 0.065}, "pixel_scale: needs a number with a unit"),
        ("clash", None, {"bands": []}, "bands: Tuple should have at least 1 item"),
        ("clash", "labels", {"columns": ["one"]}, "labels: columns needs 5 names"),
        ("sdss", "labels", {"column": None}, "column and values are needed"),
        ("sdss", "labels", {"values": {"0": "round"}}, "not declared: round"),
        ("sdss", "labels", {"mirrored": {"spiral": "round"}}, "not declared: round"),
        (
            "sdss_spin",
            "labels",
            {"mirrored": {"clockwise": "anticlockwise", "anticlockwise": "elliptical"}},
            "labels.mirrored: the mirror image of a mirror image must be the class itself",
        ),
        ("sdss_spin", "labels", {"flips": False}, "flips = false says that mirror images have no"),
        ("sdss", "input", {"id_colum": "x"}, "input.id_colum: is not a known key"),
    ],
)
def test_a_survey_that_contradicts_itself_is_refused(
    name: str, table: str | None, changes: dict[str, object], sentence: str
) -> None:
    values = values_of(name)
    (values if table is None else values[table]).update(changes)  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match=sentence):
        build_settings(Survey, values, "file")


def test_a_band_may_be_declared_once_only() -> None:
    values = values_of("sdss")
    values["bands"] = [*values["bands"], values["bands"][0]]  # type: ignore[misc,index]
    with pytest.raises(ConfigError, match="bands: band names must differ; twice: i"):
        build_settings(Survey, values, "file")


def test_a_recipe_is_found_by_its_kind() -> None:
    clash = load_survey("clash")
    assert clash.recipe_for(None) is clash.recipes[0]
    assert clash.recipe_for("morphology_wide") is clash.recipes[0]
    assert clash.recipe_for("nothing") is None


def test_a_pair_of_mirror_images_is_declared_once() -> None:
    both = {"clockwise": "anticlockwise", "anticlockwise": "clockwise"}
    assert load_survey("desi_spin").labels.mirrored == both
    assert load_survey("desi").labels.mirrored == {}
