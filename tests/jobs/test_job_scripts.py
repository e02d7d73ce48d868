"""The job scripts read their settings and return an exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

JOBS = Path(__file__).parents[2] / "jobs"


def run(settings: Path, script: str = "produce_catalog.py") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(JOBS / script), str(settings)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)


def test_missing_settings_end_with_3_and_their_address(tmp_path: Path) -> None:
    done = run(tmp_path / "settings.json")
    assert done.returncode == 3
    assert f"{tmp_path}/settings.json: does not exist" in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_settings_end_with_2_and_their_keys(tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"survey": "clash", "output": "out", "colour": 1}))
    done = run(settings)
    assert done.returncode == 2
    assert "colour: is not a known key" in done.stderr


@pytest.mark.long
def test_the_settings_of_a_comparison_are_another_kind(tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"surveys": ["clash"], "output": "out", "seeds": 0}))
    done = run(settings, "compare_methods.py")
    assert done.returncode == 2
    assert "seeds: Input should be greater than 0" in done.stderr
