"""The commands about schedules as a user meets them."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from catalogtool.cli.main import app
from catalogtool.errors import ConfigError, UnknownNameError

runner = CliRunner()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "catalogtool"


def call(*words: str) -> str:
    result = runner.invoke(app, ["schedule", *words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_schedule_is_added_listed_and_removed(state: Path, tmp_path: Path) -> None:
    said = call("add", "clash", "--cron", "0 4 * * *", "--timezone", "UTC", "--", "--workers", "2")
    assert "clash: added" in said
    (listed,) = json.loads(call("list", "--json"))
    assert listed["name"] == "clash"
    assert listed["output"] == str(tmp_path / "catalogtool-output")
    assert listed["next tick"].endswith("04:00:00+00:00")
    assert state.stat().st_mode & 0o077 == 0
    assert json.loads(call("history", "clash", "--json")) == []
    assert "removed" in call("remove", "clash")
    assert json.loads(call("list", "--json")) == []


def test_mistakes_are_refused_when_adding() -> None:
    for words, error, sentence in (
        (("clash", "--cron", "0 4 * *"), ConfigError, "expected five fields"),
        (("clash", "--cron", "0 4 * * *", "--timezone", "Mars"), ConfigError, "time zone"),
        (("clsh", "--cron", "0 4 * * *"), UnknownNameError, "Did you mean 'clash'"),
    ):
        with pytest.raises(error, match=sentence):
            call("add", *words)
    misspelt = ["schedule", "add", "clash", "--cron", "0 4 * * *", "--", "--wrkers", "2"]
    assert runner.invoke(app, misspelt).exit_code == 2
    assert json.loads(call("list", "--json")) == []


def test_nothing_is_run_before_the_first_night() -> None:
    tomorrow = str(date.today() + timedelta(days=1))  # noqa: DTZ011 - any day to come
    call("add", "clash", "--cron", "0 4 * * *", "--first-night", tomorrow)
    assert call("run-now", "clash", "--if-due") == ""
    assert "every night has its commit" in call("run-now", "clash")


def test_files_are_exported_to_a_folder(tmp_path: Path) -> None:
    call("add", "clash", "--cron", "0 4 * * *")
    call("export", "clash", "--format", "systemd", "--to", str(tmp_path / "units"))
    names = {path.name for path in (tmp_path / "units").iterdir()}
    assert names == {"catalogtool-clash.service", "catalogtool-clash.timer"}
    assert "run-now clash" in call("export", "clash", "--format", "cron")
