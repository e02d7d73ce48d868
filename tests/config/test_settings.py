"""Settings files: units, unknown keys, and mistakes reported together."""

from pathlib import Path

import pytest
from astropy import units as u
from hypothesis import given
from hypothesis import strategies as st

from catalogtool.config._base import Settings, build_settings, canonical_json, load_toml
from catalogtool.errors import ConfigError
from catalogtool.surveys import Survey, load_survey, survey_names
from catalogtool.units import Angle, Length, Magnitude


class Telescope(Settings):
    scale: Angle
    wavelength: Length = 1 * u.micron
    limit: Magnitude = 25 * u.mag
    mirrors: int = 1


def test_a_number_with_a_unit_is_a_quantity() -> None:
    telescope = build_settings(Telescope, {"scale": "0.065 arcsec"}, "test")
    assert telescope.scale == 0.065 * u.arcsec
    assert build_settings(Telescope, {"scale": "1 arcmin"}, "t").scale.to_value("arcsec") == 60


@pytest.mark.parametrize("value", [0.065, "0.065", "fast", "3 furlongs", True, None, ["1 deg"]])
def test_a_number_without_a_unit_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match=r"file: scale: needs .*such as '0.065 arcsec'"):
        build_settings(Telescope, {"scale": value}, "file")


def test_a_unit_of_another_dimension_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"needs a unit like that of '0.065 arcsec'; got '3 s'"):
        build_settings(Telescope, {"scale": "3 s"}, "file")


@given(
    st.floats(1e-6, 1e6),
    st.sampled_from(["arcsec", "arcmin", "deg", "rad"]),
    st.floats(1e-3, 1e3),
    st.floats(-30, 30),
)
def test_quantities_survive_json(scale: float, unit: str, microns: float, limit: float) -> None:
    telescope = Telescope(
        scale=scale * u.Unit(unit), wavelength=microns * u.micron, limit=limit * u.mag
    )
    again = build_settings(Telescope, telescope.to_json(), "json")
    assert again == telescope
    assert canonical_json(again.to_json()) == canonical_json(telescope.to_json())


def test_settings_are_frozen() -> None:
    telescope = Telescope(scale=1 * u.arcsec)
    with pytest.raises(ValueError, match="frozen"):
        telescope.mirrors = 2


def test_unknown_keys_are_refused_by_name() -> None:
    values = {"scale": "1 arcsec", "mirors": 2}
    with pytest.raises(ConfigError, match=r"file: mirors: is not a known key; remove it"):
        build_settings(Telescope, values, "file")


def test_all_mistakes_of_a_file_come_together(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text('scale = 3\nwavelength = "1 s"\nmirrors = "many"\ncolour = "red"\n')
    with pytest.raises(ConfigError) as caught:
        load_toml(Telescope, path)
    lines = str(caught.value).splitlines()
    assert caught.value.context["count"] == len(lines) == 4
    assert [line.split(": ")[:2] for line in lines] == [
        [str(path), key] for key in ("scale", "wavelength", "mirrors", "colour")
    ]


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_toml(Telescope, tmp_path / "absent.toml")
    (tmp_path / "bad.toml").write_text("scale = = 3")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load_toml(Telescope, tmp_path / "bad.toml")
    (tmp_path / "latin.toml").write_bytes(b"title = '\xe9'")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load_toml(Telescope, tmp_path / "latin.toml")


@pytest.mark.parametrize("name", survey_names())
def test_every_survey_survives_json_text(name: str) -> None:
    survey = load_survey(name)
    again = Survey.model_validate_json(canonical_json(survey.to_json()))
    assert again == survey
