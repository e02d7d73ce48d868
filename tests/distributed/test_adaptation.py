"""A whole production that adapts to a survey by its unlabelled cutouts."""

import json
from pathlib import Path

import pytest
from small_survey import write_surveys
from typer.testing import CliRunner

from catalogtool.cli.main import app
from catalogtool.release.verify import verify

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(420)]


def test_two_workers_adapt_without_any_label_of_the_target(tmp_path: Path) -> None:
    _, real = write_surveys(tmp_path)
    words = ["produce", "--json", "--survey", str(real), "--output", str(tmp_path / "out")]
    words += ["--method", "mme", "--shots", "0", "--epochs", "2", "--train-workers", "2"]

    done = CliRunner().invoke(app, words, catch_exceptions=False)

    assert done.exit_code == 0, done.stderr
    places = dict(json.loads(done.stdout)["places"])
    assert verify(places["catalog morphology"]).passed
    assert "chosen by information maximisation" in Path(places["report"]).read_text()
    records = [json.loads(p.read_text()) for p in tmp_path.glob("out/models/*/run.json")]
    metrics = {record["spec"]["method"]: record["metrics"] for record in records}
    assert set(metrics) == {"source_only", "mme"}
    assert metrics["mme"]["unlabelled"] == {"count": 96, "includes_test_pixels": True}
    assert list(metrics["mme"]["labels"]) == ["source"]
    assert metrics["mme"]["test"]["count"] > 0
