"""Simulated files as a user asks for them."""

import json
from pathlib import Path

from typer.testing import CliRunner

from catalogtool.cli.main import app
from catalogtool.errors import ConfigError

runner = CliRunner()


def test_simulated_alerts_are_written_and_counted(tmp_path: Path) -> None:
    output, labels = tmp_path / "night", tmp_path / "labels.csv"
    words = ["--count", "8", "--distinct", "4", "--corrupt-share", "0.25", "--seed", "3"]
    command = ["simulate", "alerts", *words, "--output", str(output), "--labels", str(labels)]
    result = runner.invoke(app, [*command, "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["packets"] == len(list(output.iterdir())) == 8
    assert sum(told["broken"].values()) == 2
    assert len(labels.read_text().splitlines()) == 9
    shown = runner.invoke(app, command)
    assert "broken: truncated" in shown.stdout


def test_only_surveys_of_alerts_can_be_written_as_alerts(tmp_path: Path) -> None:
    words = ["simulate", "alerts", "--count", "1", "--output", str(tmp_path / "night.tar")]
    for survey, sentence in (("sdss", "has no [difference_imaging]"), ("mock_ztf", "simulated al")):
        result = runner.invoke(app, [*words, "--survey", survey, "--seed", "1"])
        assert isinstance(result.exception, ConfigError)
        assert sentence in str(result.exception)
    assert not list(tmp_path.iterdir())


def test_simulated_hosts_are_written_as_cutouts_or_as_a_mosaic(tmp_path: Path) -> None:
    words = ["simulate", "hosts", "--count", "4", "--seed", "3", "--output"]
    result = runner.invoke(app, [*words, str(tmp_path / "fields"), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["transients"] == 4
    assert len(list((tmp_path / "fields/cutouts").iterdir())) == 4
    shown = runner.invoke(app, [*words, str(tmp_path / "sky"), "--mosaic"])
    assert "galaxies" in shown.stdout
    names = {path.name for path in (tmp_path / "sky").iterdir()}
    assert names == {"mosaic.fits", "labels.csv", "galaxies.parquet"}


def test_only_surveys_of_fields_can_be_written_as_hosts(tmp_path: Path) -> None:
    words = ["simulate", "hosts", "--count", "1", "--output", str(tmp_path / "x")]
    result = runner.invoke(app, [*words, "--survey", "sdss"])
    assert isinstance(result.exception, ConfigError)
    assert "has no [host_field]" in str(result.exception)
