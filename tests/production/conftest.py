"""Folders and files that tests of productions share."""

from pathlib import Path

import pytest
from small_survey import write_cutouts, write_positions, write_surveys, write_votes

from catalogtool.config.run import RunConfig


@pytest.fixture
def surveys(tmp_path: Path) -> tuple[Path, Path]:
    """Files of a simulated survey and of one that learns from it."""
    return write_surveys(tmp_path)


@pytest.fixture
def simulated_config(surveys: tuple[Path, Path], tmp_path: Path) -> RunConfig:
    """A production that needs no files."""
    return RunConfig(survey=str(surveys[0]), output=str(tmp_path / "out"))


@pytest.fixture
def real_config(surveys: tuple[Path, Path], tmp_path: Path) -> RunConfig:
    """A production of ten FITS cutouts, with their positions and votes in the first band."""
    names = write_cutouts(tmp_path / "cutouts", 10)
    write_positions(names, tmp_path / "positions.csv")
    write_votes(names, tmp_path / "votes.csv")
    return RunConfig(
        survey=str(surveys[1]),
        input=str(tmp_path / "cutouts"),
        labels=str(tmp_path / "positions.csv"),
        output=str(tmp_path / "out"),
    )
