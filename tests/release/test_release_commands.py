"""Publishing and downloading from the command line."""

import json
from pathlib import Path

import pytest
from publish_samples import NAME, Shape, make_committed_run
from typer.testing import CliRunner

from catalogtool.cli.main import app
from catalogtool.errors import ConfigError, ReleaseError

runner = CliRunner()


def call(*words: str) -> object:
    done = runner.invoke(app, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_run_is_published_listed_and_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_committed_run(tmp_path / "output", Shape(objects=60, rows_per_partition=40))
    card = tmp_path / "card.toml"
    card.write_text('title = "Toys"\nauthors = [{ name = "Doe, Jane" }]\nlicence = "CC0-1.0"\n')
    monkeypatch.setenv("CATALOGTOOL_RELEASES", str(tmp_path / "releases"))
    monkeypatch.chdir(tmp_path)
    words = ("publish", "output", "--survey", "toy", "--version", "2026.1", "--card", str(card))
    (published,) = call(*words)
    assert published["title"] == "Toys"
    assert call(*words)[0]["was_there"]
    (listed,) = call("catalog", "list")
    assert (listed["name"], listed["version"], listed["licence"]) == (NAME, "2026.1", "CC0-1.0")
    whole = call("download", NAME)
    assert whole["rows"] == 120
    assert (tmp_path / whole["path"] / "toy_morphology" / "collection.properties").exists()
    chosen = call("download", f"{NAME}@2026.1", "--where", "p_disk > 0.5", "--format", "csv")
    assert 0 < chosen["rows"] < 120
    assert Path(chosen["path"]).read_text().count("\n") == chosen["rows"] + 1


def test_a_card_with_mistakes_names_them_all(tmp_path: Path) -> None:
    make_committed_run(tmp_path / "output", Shape(objects=60, rows_per_partition=40))
    card = tmp_path / "card.toml"
    card.write_text('titel = "Toys"\nlicence = "my own"\n')
    words = ["publish", str(tmp_path / "output"), "--survey", "toy", "--version", "1"]
    with pytest.raises(ConfigError, match=r"(?s)licence: .*titel: is not a known key"):
        runner.invoke(app, [*words, "--card", str(card)], catch_exceptions=False)


def test_a_place_that_is_not_given_is_asked_for() -> None:
    done = runner.invoke(app, ["download", NAME], env={"CATALOGTOOL_RELEASES": ""})
    assert done.exit_code == 2
    assert "--from" in done.output


def test_an_unfinished_run_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="is not a finished run; finish it with produce"):
        runner.invoke(app, ["publish", str(tmp_path), "--version", "1"], catch_exceptions=False)
