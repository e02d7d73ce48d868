"""The README keeps its promises."""

import re
import shlex
from pathlib import Path

from typer.testing import CliRunner

from catalogtool.cli.main import app

README = (Path(__file__).parents[1] / "README.md").read_text()
runner = CliRunner()


def _top_level() -> list[str]:
    groups = [str(group.name) for group in app.registered_groups]
    return [*_single_commands(), *groups]


def _single_commands() -> list[str]:
    return [str(command.name) for command in app.registered_commands]


def _commands() -> list[list[str]]:
    verbs = "|".join(_top_level())
    found = re.findall(rf"(?:^|/|`)catalogtool ((?:{verbs})[^`\n]*)", README, flags=re.MULTILINE)
    return [shlex.split(line.split("&&")[0], comments=True) for line in found]


def test_the_readme_shows_the_two_commands() -> None:
    assert "<!-- run -->" in README
    assert "<!-- test -->" in README


def test_every_command_that_the_readme_names_exists_with_those_options() -> None:
    commands = _commands()
    assert len(commands) > 5
    for words in commands:
        verbs = [word for word in words[:2] if re.fullmatch(r"[a-z]+", word)]
        verbs = verbs[:1] if verbs[0] in _single_commands() else verbs
        shown = runner.invoke(app, [*verbs, "--help"])
        assert shown.exit_code == 0, words
        for option in (word for word in words if word.startswith("--")):
            assert option in shown.output, words


def test_the_readme_names_every_top_level_command() -> None:
    for command in _top_level():
        assert f"catalogtool {command}" in README
