"""Productions as Ray jobs on three machines, with everything on object storage."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cluster_rig import ADDRESS, Rig, running_rig
from small_pair import write_pair
from small_survey import write_cutouts, write_positions, write_survey

pytestmark = [pytest.mark.ray, pytest.mark.s3, pytest.mark.slow, pytest.mark.timeout(900)]

OBJECTS = 120
BUCKET = "s3://ready"  # made by the server's own start
FORM = "channels_last"
CLUSTER = ("--cluster", ADDRESS)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Three machines; every run of theirs bears the same date."""
    with running_rig(tmp_path_factory.mktemp("rig")) as rig:
        rig.environment["SOURCE_DATE_EPOCH"] = "1767225600"
        rig.boot_all()
        yield rig


@pytest.fixture(scope="module")
def words(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What to produce: cutouts and positions are on object storage, the survey file is not."""
    folder = tmp_path_factory.mktemp("input")
    survey = write_survey(folder, "tiny", "tiny")
    write_positions(write_cutouts(folder / "cutouts", OBJECTS), folder / "positions.csv")
    rig.upload(folder, f"{BUCKET}/input")
    inputs = ("--input", f"{BUCKET}/input/cutouts", "--labels", f"{BUCKET}/input/positions.csv")
    return ["produce", "--json", "--survey", str(survey), *inputs, "--unit-objects", "8"]


@pytest.fixture(scope="module")
def trained_there(rig: Rig, words: list[str]) -> dict[str, Any]:
    """Outcome of a production with a model that two workers on two machines have trained."""
    there = (*CLUSTER, "--output", f"{BUCKET}/out", "--form", FORM, "--train-workers", "2")
    return finished(rig.run(*words, *there))


@pytest.fixture(scope="module")
def local(
    rig: Rig,
    words: list[str],
    trained_there: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """Folder of the catalogs that one machine alone makes with that model."""
    output = tmp_path_factory.mktemp("local") / "out"
    model = dict(trained_there["places"])["model"]
    names = ("run.json", "weights.safetensors")
    program = (
        "import sys\nfrom catalogtool import storage\n"
        "for name in sys.argv[3:]: storage.write_bytes("
        "storage.join(sys.argv[2], name), storage.read_bytes(storage.join(sys.argv[1], name)))"
    )
    rig.python(program, model, str(output / "models" / model.rpartition("/")[2]), *names)
    outcome = finished(rig.run(*words, "--output", str(output), "--form", FORM))
    return f"{dict(outcome['places'])['run']}/catalogs"


def finished(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


def test_a_job_with_all_data_on_object_storage_leaves_the_bytes_of_a_local_run(
    rig: Rig, trained_there: dict[str, Any], local: str
) -> None:
    there = f"{dict(trained_there['places'])['run']}/catalogs"
    assert there.startswith("s3://")
    hashes = rig.hashes(there)
    assert len(hashes) > 10
    assert hashes == rig.hashes(local)
    assert trained_there["counts"] == [
        ["morphology", 2 * OBJECTS, 0, 0],
        ["morphology_wide", OBJECTS, 0, 0],
    ]


def test_training_on_two_machines_ends_with_a_model_that_has_learned(
    trained_there: dict[str, Any], rig: Rig
) -> None:
    record = f"{dict(trained_there['places'])['model']}/run.json"
    program = "import sys; from catalogtool import storage; \
sys.stdout.buffer.write(storage.read_bytes(sys.argv[1]))"
    metrics = json.loads(rig.python(program, record))["metrics"]
    losses = [sum(epoch["train"].values()) for epoch in metrics["history"]]
    assert losses[-1] < losses[0]
    assert 0 < metrics["test"]["rmse"] < 0.5


@pytest.mark.long
def test_a_comparison_is_one_job(rig: Rig, tmp_path: Path) -> None:
    """Only what travels: its trials are tested without a cluster of machines."""
    words = ["compare", "--json", "--all-pairs", "--methods", "source_only", "--shots", "0"]
    for file in write_pair(tmp_path, linked=False):
        words += ["--survey", str(file)]
    words += [*CLUSTER, "--output", f"{BUCKET}/compared", "--seeds", "1", "--validation-shots", "2"]

    done = rig.run(*words)

    outcome = finished(done)
    assert set(outcome["figures"]) == {
        f"{pair}, 0 labels per class"
        for pair in ("shallow_mock to deep_mock", "deep_mock to shallow_mock")
    }
    assert dict(outcome["places"])["page"].startswith(f"{BUCKET}/compared/comparisons/")
    assert "2 trials, 0 of them finished" in done.stderr
    assert newest(rig).startswith("catalogtool-compare-")


@pytest.mark.long
def test_a_comparison_of_anomaly_methods_is_one_job(rig: Rig, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    features = {f"f{axis}": np.repeat([0.0, 9.0], 40) + rng.normal(size=80) for axis in range(3)}
    table = pa.table({**features, "class": np.repeat(["near", "far"], 40)})
    pq.write_table(table, tmp_path / "features.parquet")
    rig.upload(tmp_path, f"{BUCKET}/features")
    words = ["compare", "--json", "--catalog", "anomaly", "--methods", "mahalanobis"]
    words += ["--input", f"{BUCKET}/features/features.parquet", "--seeds", "2"]

    done = rig.run(*words, *CLUSTER, "--output", f"{BUCKET}/unusual")

    outcome = finished(done)
    assert outcome["figures"]["anomalies"]["method"] == "mahalanobis"
    assert dict(outcome["places"])["page"].startswith(f"{BUCKET}/unusual/comparisons/")
    assert "4 trials, 0 of them finished" in done.stderr
    assert newest(rig).startswith("catalogtool-compare-anomalies-features-")


def newest(rig: Rig) -> str:
    jobs = json.loads(rig.run("job", "list", "--json", *CLUSTER).stdout)
    return str(jobs[0]["job"])


@pytest.mark.long
@pytest.mark.parametrize(("runtime", "attempt"), [("upload", 2), ("installed", 3)])
def test_the_same_command_again_finds_that_nothing_is_left_to_do(
    rig: Rig, words: list[str], trained_there: dict[str, Any], runtime: str, attempt: int
) -> None:
    there = (*CLUSTER, "--output", f"{BUCKET}/out", "--form", FORM, "--train-workers", "2")
    again = rig.run(*words, *there, "--runtime", runtime)
    assert finished(again) == trained_there
    assert "nothing to do" in again.stderr
    assert newest(rig).endswith(f"-{attempt}")


def test_the_exit_code_of_the_driver_is_that_of_the_command(
    rig: Rig, words: list[str], trained_there: dict[str, Any]
) -> None:
    assert trained_there
    there = (*CLUSTER, "--output", f"{BUCKET}/out", "--catalog", "host")
    done = rig.run(*words, *there)
    assert done.returncode == 2
    assert "no recipe for the catalog 'host'" in done.stderr
    job = newest(rig)
    status = json.loads(rig.run("job", "status", job, "--json", *CLUSTER).stdout)
    assert (status["status"], status["exit_code"]) == ("FAILED", 2)
    assert "no recipe" in rig.run("job", "logs", job, *CLUSTER).stdout
    assert rig.run("job", "logs", "--follow", job, *CLUSTER).returncode == 2


@pytest.mark.long
def test_ctrl_c_and_a_lost_terminal_leave_the_job_running_to_be_attached_to_and_stopped(
    rig: Rig, words: list[str], tmp_path: Path
) -> None:
    there = [*words, *CLUSTER, "--output", f"{BUCKET}/stopped", "--epochs", "5000"]
    first = rig.start(*there, log=tmp_path / "first.log")
    await_text(tmp_path / "first.log", "train source_only")
    second = rig.start(*there, log=tmp_path / "second.log")
    await_text(tmp_path / "second.log", "runs already")
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=120)
    assert first.returncode == 130
    told = (tmp_path / "first.log").read_text()
    job = newest(rig)
    assert f"catalogtool job logs --follow {job} --cluster {ADDRESS}" in told
    third = rig.start(*there, log=tmp_path / "third.log")
    await_text(tmp_path / "third.log", "runs already")
    third.send_signal(signal.SIGHUP)
    third.communicate(timeout=120)
    assert third.returncode == -signal.SIGHUP
    status = json.loads(rig.run("job", "status", job, "--json", *CLUSTER).stdout)
    assert status["status"] == "RUNNING"
    assert rig.run("job", "stop", job, *CLUSTER).returncode == 0
    second.communicate(timeout=120)
    assert second.returncode == 4
    assert "ended as STOPPED" in (tmp_path / "second.log").read_text()


def await_text(file: Path, text: str) -> None:
    deadline = time.monotonic() + 240
    while text not in (file.read_text() if file.exists() else ""):
        assert time.monotonic() < deadline, file.read_text()
        time.sleep(0.2)


def test_local_paths_are_refused_before_anything_is_submitted(rig: Rig, words: list[str]) -> None:
    done = rig.run(*words, *CLUSTER, "--output", "results", "--source-input", "cutouts")
    assert done.returncode == 2
    assert "--output: results is a path of this machine" in done.stderr
    assert "--source-input: cutouts is a path" in done.stderr
    assert "--shared-disk" in done.stderr


def test_a_wrong_token_is_an_error_with_its_remedy(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(rig.environment, "RAY_AUTH_TOKEN", "0" * 64)
    done = rig.run("job", "list", *CLUSTER)
    assert done.returncode == 4
    assert "the cluster refused the token" in done.stderr
    assert "Traceback" not in done.stderr
    assert "0" * 64 not in done.stderr


def test_a_missing_token_is_an_error_with_its_remedy(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delitem(rig.environment, "RAY_AUTH_TOKEN")
    monkeypatch.setitem(rig.environment, "HOME", str(tmp_path))
    done = rig.run("job", "list", *CLUSTER)
    assert done.returncode == 4
    assert "put it into RAY_AUTH_TOKEN" in done.stderr


@pytest.mark.long
def test_a_cluster_that_asks_for_no_token_is_refused_unless_that_is_accepted(rig: Rig) -> None:
    rig.boot(4, 0, is_head=True, RAY_AUTH_MODE="disabled")
    list_there = ("job", "list", "--cluster", "http://10.77.0.4:8265")
    refused = rig.run(*list_there)
    accepted = rig.run(*list_there, "--insecure-cluster")
    rig.kill(4)
    assert refused.returncode == 4
    assert "asks for no token" in refused.stderr
    assert "--insecure-cluster" in refused.stderr
    assert accepted.returncode == 0, accepted.stderr


def test_an_address_where_no_cluster_is_is_an_error_with_its_remedy(rig: Rig) -> None:
    done = rig.run("job", "list", "--cluster", "http://127.0.0.1:9")
    assert done.returncode == 4
    assert "the cluster cannot be reached" in done.stderr
