"""The command line as a user meets it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from catalogtool.cli.main import app
from catalogtool.surveys import survey_names

ROOT = Path(__file__).parents[2]
runner = CliRunner()


def call(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "catalogtool", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)


def loaded(*words: str) -> subprocess.CompletedProcess[str]:
    """Call in a process that tells at its end which modules were loaded."""
    program = (
        f"import sys; sys.argv = ['catalogtool', *{words!r}]\n"
        "from catalogtool.cli.main import run\n"
        "try: run()\n"
        "except SystemExit: pass\n"
        "print('loaded', *(name for name in sys.modules if '.' not in name))"
    )
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_help_loads_neither_ray_nor_torch() -> None:
    done = loaded("--help")
    modules = set(done.stdout.rpartition("loaded")[2].split())
    assert "catalogtool" in modules, done.stderr
    assert not {"ray", "torch", "pyarrow", "numpy", "astropy"} & modules


@pytest.mark.parametrize(
    ("option", "typo", "meant"),
    [
        ("--survey", "clsh", "clash"),
        ("--method", "mem", "mme"),
        ("--catalog", "morphlogy", "morphology"),
    ],
)
def test_a_misspelt_name_is_told_before_ray_and_torch_are_loaded(
    option: str, typo: str, meant: str
) -> None:
    done = loaded("produce", "--survey", "clash", option, typo)
    modules = set(done.stdout.rpartition("loaded")[2].split())
    assert f"Did you mean '{meant}'?" in done.stderr
    assert not {"ray", "torch"} & modules


def test_survey_list_names_every_shipped_survey() -> None:
    found = json.loads(runner.invoke(app, ["survey", "list", "--json"]).stdout)
    assert tuple(survey["name"] for survey in found) == survey_names()


def test_a_misspelt_survey_ends_with_exit_code_2_and_the_closest_name() -> None:
    done = call("survey", "show", "clsh")
    assert done.returncode == 2
    assert "Did you mean 'clash'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_misspelt_option_ends_with_exit_code_2() -> None:
    assert call("produce", "--survy", "clash").returncode == 2


@pytest.mark.parametrize("name", survey_names())
def test_survey_check_accepts_every_shipped_survey(name: str) -> None:
    result = runner.invoke(app, ["survey", "check", name])
    assert result.exit_code == 0, result.output


def test_survey_check_reports_every_unknown_name_of_a_file_at_once(tmp_path: Path) -> None:
    text = (ROOT / "catalogtool/surveys/candels.toml").read_text()
    text = text.replace('"deep_clash"', '"deep_crash"').replace('"source_only"', '"sauce_only"')
    file = tmp_path / "private.toml"
    file.write_text(text)
    done = call("survey", "check", str(file))
    assert done.returncode == 2
    assert f"{file}: recipes.0.network: 'deep_crash' is not one of networks" in done.stderr
    assert f"{file}: recipes.0.method: 'sauce_only' is not one of adaptation" in done.stderr


def test_survey_check_reports_options_and_changes_that_a_recipe_cannot_have(
    tmp_path: Path,
) -> None:
    text = (ROOT / "catalogtool/surveys/desi.toml").read_text()
    text = text.replace('method = "fine_tune"', 'method = "mme"\nmethod_options = { trade = 1 }')
    text = text.replace('column = "label"', 'column = "label"\nflips = false')
    file = tmp_path / "private.toml"
    file.write_text(text)
    done = call("survey", "check", str(file))
    assert done.returncode == 2
    assert f"{file}: recipes.0.method: method mme: trade: is not a known key" in done.stderr
    assert f"{file}: recipes.0.training: survey desi: augment has flip" in done.stderr


def test_survey_check_reports_every_mistake_of_a_file_with_its_key(tmp_path: Path) -> None:
    text = (ROOT / "catalogtool/surveys/candels.toml").read_text()
    text = text.replace('pixel_scale = "0.06 arcsec"', "pixel_scale = 0.06\ncolour = 1")
    file = tmp_path / "private.toml"
    file.write_text(text)
    done = call("survey", "check", str(file))
    assert done.returncode == 2
    assert "pixel_scale: needs a number with a unit" in done.stderr
    assert "colour: is not a known key" in done.stderr


def test_catalog_schema_prints_units_and_ucds_of_all_columns() -> None:
    result = runner.invoke(app, ["catalog", "schema", "morphology", "--json"])
    columns = {column["column"]: column for column in json.loads(result.stdout)}
    assert columns["ra"]["unit"] == "deg"
    assert columns["p_disk"]["ucd"].startswith("stat.probability")


def test_method_list_says_what_each_method_learns_from() -> None:
    methods = json.loads(runner.invoke(app, ["method", "list", "--json"]).stdout)
    learns_from = {method["name"]: method["learns from"] for method in methods}
    assert learns_from["source_only"] == "source"
    assert learns_from["fine_tune"] == "target_labelled"
    labels = {method["name"]: method["target labels"] for method in methods}
    assert (labels["source_only"], labels["fine_tune"], labels["mme"]) == (
        "none",
        "needed",
        "optional",
    )


def test_doctor_reports_on_versions_disk_and_compiler(tmp_path: Path) -> None:
    result = runner.invoke(app, ["doctor", "--json", "--output", str(tmp_path / "not-yet")])
    subjects = {finding["subject"]: finding for finding in json.loads(result.stdout)}
    assert {"ray", "torch", "disk", "C++ compiler", "GPUs", "S3 credentials"} <= set(subjects)
    assert subjects["torch"]["verdict"] == "ok"


def test_a_plan_says_what_would_be_done_and_leaves_nothing(tmp_path: Path) -> None:
    output = tmp_path / "out"
    words = ["produce", "--survey", "clash", "--plan", "--json", "--output", str(output)]
    plan = json.loads(runner.invoke(app, words).stdout)
    assert plan["objects"] == "400"
    assert plan["rows per object"] == "16"
    assert "to be trained" in plan["model fine_tune"]
    assert not output.exists()


def test_a_plan_takes_as_many_simulated_objects_as_asked(tmp_path: Path) -> None:
    words = ["produce", "--survey", "mock_alerts", "--input", "simulated_alerts:30", "--plan"]
    plan = json.loads(runner.invoke(app, [*words, "--json", "--output", str(tmp_path)]).stdout)
    assert plan["objects"] == "30"


def test_a_misspelt_form_of_the_network_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    done = call("produce", "--survey", "clash", "--output", str(tmp_path), "--form", "float23")
    assert done.returncode == 2
    assert "Did you mean 'float32'?" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unsupported_scheme_is_a_clear_error() -> None:
    done = call("produce", "--survey", "clash", "--plan", "--input", "ftp://host/cutouts")
    assert done.returncode == 3
    assert "the scheme ftp:// is not supported; use a path, file:// or s3://" in done.stderr


def test_a_catalog_kind_without_a_recipe_is_refused() -> None:
    done = call("produce", "--survey", "clash", "--plan", "--catalog", "host")
    assert done.returncode == 2
    assert "no recipe for the catalog 'host'; known: morphology" in done.stderr


def test_an_empty_input_folder_is_a_data_error(tmp_path: Path) -> None:
    done = call("produce", "--survey", "clash", "--plan", "--input", str(tmp_path))
    assert done.returncode in (2, 3)
    assert str(tmp_path) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare"], "give --survey, or --catalog anomaly and --input"),
        (["compare", "--catalog", "anomaly"], "input: is missing; give it"),
        (["compare", "--catalog", "anomaly", "--survey", "clash"], "leave --survey out"),
        (["compare", "--catalog", "anomaly", "--shots", "5"], "leave --shots out"),
    ],
)
def test_a_comparison_without_its_words_says_what_to_give(words: list[str], message: str) -> None:
    done = call(*words)
    assert done.returncode == 2
    assert message in done.stderr
