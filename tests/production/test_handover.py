"""Settings that a cluster can use."""

from pathlib import Path

import pytest
from small_pair import write_pair
from small_survey import write_survey, write_surveys

from catalogtool.config.anomaly import AnomalyCompareConfig
from catalogtool.config.compare import CompareConfig
from catalogtool.config.run import RunConfig
from catalogtool.errors import ConfigError
from catalogtool.production.handover import (
    job_kind,
    job_name,
    make_portable,
    read_outcome,
    write_outcome,
    write_settings,
)
from catalogtool.production.outcome import Outcome


def test_every_local_path_is_refused_unless_the_disk_is_shared() -> None:
    config = RunConfig(survey="clash", output="out", input="s3://b/in", labels="votes.csv")
    with pytest.raises(ConfigError) as caught:
        make_portable(config, shared_disk=False)
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "--output",
        "--labels",
    ]


def test_paths_of_a_shared_disk_become_absolute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    config = RunConfig(survey="clash", output="out", input="s3://b/in/")
    portable = make_portable(config, shared_disk=True)
    assert portable.output == str(tmp_path / "out")
    assert portable.input == "s3://b/in"


def test_simulations_are_no_paths() -> None:
    config = RunConfig(survey="clash", output="s3://b/out", input="simulated:9")
    assert make_portable(config, shared_disk=False).input == "simulated:9"


def test_a_private_survey_file_travels_under_a_name_of_its_content(tmp_path: Path) -> None:
    file = write_survey(tmp_path, "tiny", "tiny")
    config = RunConfig(survey=str(file), output=str(tmp_path / "out"))
    portable = make_portable(config, shared_disk=True)
    assert Path(portable.survey).read_bytes() == file.read_bytes()
    assert portable.survey == make_portable(config, shared_disk=True).survey
    file.write_text(file.read_text() + "\n")
    assert portable.survey != make_portable(config, shared_disk=True).survey


def test_a_source_survey_that_stays_behind_is_refused(tmp_path: Path) -> None:
    _, real = write_surveys(tmp_path)
    config = RunConfig(survey=str(real), output=str(tmp_path / "out"))
    with pytest.raises(ConfigError, match=r"source survey .*tiny.toml is a path"):
        make_portable(config, shared_disk=True)


def test_all_surveys_of_a_comparison_travel(tmp_path: Path) -> None:
    files = tuple(str(file) for file in write_pair(tmp_path, linked=False))
    config = CompareConfig(surveys=(*files, "clash"), output=str(tmp_path / "out"))
    portable = make_portable(config, shared_disk=True)
    assert [Path(name).read_bytes() for name in portable.surveys[:2]] == [
        Path(name).read_bytes() for name in files
    ]
    assert portable.surveys[2] == "clash"
    assert job_name(portable).startswith("catalogtool-compare-shallow_mock-")
    assert job_name(portable) != job_name(portable.model_copy(update={"seeds": 9}))


def test_a_table_of_features_travels_as_an_address() -> None:
    config = AnomalyCompareConfig(input="s3://b/features.parquet", output="s3://b/out")
    assert make_portable(config, shared_disk=False) == config
    assert job_kind(config) == "compare-anomalies"
    assert job_name(config).startswith("catalogtool-compare-anomalies-features-")
    with pytest.raises(ConfigError, match=r"--input: features\.csv is a path of this machine"):
        make_portable(config.model_copy(update={"input": "features.csv"}), shared_disk=False)


def test_equal_settings_have_equal_job_names_and_others_do_not() -> None:
    config = RunConfig(survey="clash", output="s3://b/out")
    assert job_name(config) == job_name(config.model_copy())
    assert job_name(config) != job_name(config.model_copy(update={"seed": 1}))
    assert job_name(config).startswith("catalogtool-clash-")


def test_an_outcome_comes_back_as_it_was_left(tmp_path: Path) -> None:
    config = RunConfig(survey="clash", output=str(tmp_path))
    outcome = Outcome(
        places=(("run", "s3://b/out/runs/1"),),
        counts=(("morphology", 3, 1, 0),),
        timings=(("plan", "0.1"),),
        figures={"test": {"rmse": 0.1}},
        remarks=("simulated",),
    )
    write_outcome(write_settings(config, "job-1"), outcome)
    assert read_outcome(config, "job-1") == outcome
