"""Exported files are accepted by their own tools, and mean what the schedule means."""

import shlex
import shutil
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml
from cronsim import CronSim
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schedule_samples import NEW_YORK

from catalogtool.errors import ConfigError
from catalogtool.schedule.definition import Schedule, parse_cron
from catalogtool.schedule.export import FORMATS, Site, export, on_calendar

BASE = datetime(2026, 2, 20, 12, tzinfo=UTC)
TICKS = 12
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
needs_cron = pytest.mark.skipif(shutil.which("crontab") is None, reason="cron is not installed")


def schedule(cron: str = "0 4 * * *", timezone: str = "UTC") -> Schedule:
    return Schedule(
        name="clash_nightly",
        survey="clash",
        cron=cron,
        timezone=timezone,
        output="s3://bucket/out",
        cluster="http://head:8265",
        first_night=date(2026, 1, 1),
        folder="/",
        options=("--input", "s3://bucket/in 100%'s"),
    )


def site(folder: Path, timezone: str | None = "UTC") -> Site:
    return Site(folder / "the state 5%", timezone, "registry/catalogtool:1")


def cron_line(text: str) -> str:
    (line,) = [line for line in text.splitlines() if line and not line.startswith("#")]
    return line


def test_every_format_but_those_of_pods_calls_the_same_command(tmp_path: Path) -> None:
    for format_ in FORMATS:
        text = "\n".join(export(schedule(), format_, site(tmp_path)).values())
        assert "schedule run-now clash_nightly --state" in text


def test_an_unknown_format_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected one of cron, systemd"):
        export(schedule(), "anacron", site(tmp_path))


def test_a_crontab_in_the_zone_of_the_host_ticks_as_the_schedule(tmp_path: Path) -> None:
    (text,) = export(schedule("5 4,16 * * MON-FRI"), "cron", site(tmp_path)).values()
    words = cron_line(text).split(maxsplit=5)
    assert " ".join(words[:5]) == "5 4,16 * * 1,2,3,4,5"
    command = shlex.split(words[5].replace("\\%", "%"))
    assert command[1:] == [
        *("-m", "catalogtool", "schedule", "run-now", "clash_nightly"),
        *("--state", str(tmp_path / "the state 5%")),
    ]


@pytest.mark.parametrize("host", [NEW_YORK, None])
def test_a_crontab_in_another_zone_asks_often_whether_a_tick_came(
    tmp_path: Path, host: str | None
) -> None:
    (text,) = export(schedule(), "cron", site(tmp_path, host)).values()
    line = cron_line(text)
    assert line.startswith("*/15 * * * * ")
    assert line.endswith(" --if-due")


@needs_cron
@pytest.mark.parametrize("host", ["UTC", None])
def test_cron_accepts_its_file(tmp_path: Path, host: str | None) -> None:
    (text,) = export(schedule("*/7 1-5 * JAN MON"), "cron", site(tmp_path, host)).values()
    path = tmp_path / "crontab"
    path.write_text(text)
    done = check_crontab("-T", path)
    if "invalid option" in done.stderr:  # Debian's has another flag that only checks
        done = check_crontab("-n", path)
    assert done.returncode == 0, done.stderr


def check_crontab(flag: str, path: Path) -> subprocess.CompletedProcess[str]:
    command = ["crontab", flag, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_scrontab_carries_its_options_right_before_the_line(tmp_path: Path) -> None:
    (text,) = export(schedule(), "scrontab", site(tmp_path)).values()
    *rest, line = text.strip().splitlines()
    assert line.startswith("0 4 * * * ")
    assert [word for word in rest if word.startswith("#SCRON --")] == rest[-3:]
    next(CronSim(" ".join(line.split()[:5]), BASE))


@needs_systemd
def test_systemd_accepts_its_files(tmp_path: Path) -> None:
    files = export(schedule("30 4 1,15 * MON", NEW_YORK), "systemd", site(tmp_path))
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    command = ["systemd-analyze", "verify", *(str(tmp_path / name) for name in files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if "catalogtool" in line]
    assert complaints == []
    assert done.returncode == 0, done.stderr


def systemd_ticks(events: tuple[str, ...], base: datetime) -> list[datetime]:
    """The next moments at which any of the events comes true, by systemd itself."""
    stamp = base.strftime("%Y-%m-%d %H:%M:%S UTC")
    options = [f"--iterations={TICKS}", f"--base-time={stamp}"]
    done = subprocess.run(
        ["systemd-analyze", "calendar", *options, *events],
        capture_output=True,
        text=True,
        check=True,
        env={"TZ": "UTC", "LC_ALL": "C"},
    )
    keys = ("Next elapse:", "Iter. #")
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip().startswith(keys)]
    moments = {
        datetime.strptime(line.split(": ", 1)[1], "%a %Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
        for line in lines
    }
    return sorted(moments)[:TICKS]


def cron_ticks(made: Schedule, base: datetime) -> list[datetime]:
    ticks = []
    for _ in range(TICKS):
        base = made.next_tick(base)
        ticks.append(base)
    return ticks


def fields(low: int, high: int) -> st.SearchStrategy[str]:
    numbers = st.integers(low, high)
    ranges = st.tuples(numbers, numbers).map(lambda ends: f"{min(ends)}-{max(ends)}")
    steps = st.tuples(st.just("*") | ranges, st.integers(1, 9)).map(lambda s: f"{s[0]}/{s[1]}")
    one = numbers.map(str) | ranges | steps
    return st.just("*") | one | st.lists(one, min_size=2, max_size=3).map(",".join)


DAYS = st.one_of(
    st.tuples(fields(1, 28), fields(1, 12), st.just("*")),
    st.tuples(st.just("*"), fields(1, 12), fields(0, 7)),
    st.tuples(st.integers(1, 28).map(str), st.just("*"), st.integers(0, 7).map(str)),
)


@needs_systemd
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fields(0, 59), fields(0, 23), DAYS)
def test_systemd_understands_the_calendar_events_as_cron_does_the_schedule(
    minutes: str, hours: str, days: tuple[str, str, str]
) -> None:
    made = schedule(" ".join((minutes, hours, *days)))
    events = on_calendar(parse_cron(made.cron), "UTC")
    assert systemd_ticks(events, BASE) == cron_ticks(made, BASE)


@needs_systemd
def test_the_zone_of_a_calendar_event_is_that_of_the_schedule() -> None:
    made = schedule("0 4 * * *", NEW_YORK)
    events = on_calendar(parse_cron(made.cron), NEW_YORK)
    # Over the change to summer time on 8 March.
    base = datetime(2026, 3, 3, tzinfo=UTC)
    assert systemd_ticks(events, base) == cron_ticks(made, base)


@given(fields(0, 59), fields(0, 23), DAYS)
def test_the_plain_form_of_a_cron_expression_means_the_same(
    minutes: str, hours: str, days: tuple[str, str, str]
) -> None:
    made = schedule(" ".join((minutes, hours, *days)))
    plain = made.model_copy(update={"cron": parse_cron(made.cron).to_text()})
    assert cron_ticks(made, BASE)[:5] == cron_ticks(plain, BASE)[:5]


TEXT = {"type": "string", "minLength": 1}
POD = {
    "type": "object",
    "required": ["containers"],
    "properties": {
        "restartPolicy": {"enum": ["Never", "OnFailure"]},
        "containers": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["name", "image"],
                "properties": {
                    "name": TEXT,
                    "image": TEXT,
                    "command": {"type": "array", "items": TEXT},
                    "resources": {
                        "type": "object",
                        "additionalProperties": {
                            "type": "object",
                            "additionalProperties": {"type": "string"},
                        },
                    },
                    "envFrom": {"type": "array"},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
TEMPLATE = {"type": "object", "required": ["spec"], "properties": {"spec": POD}}
PARAMETERS = {"type": "object", "additionalProperties": {"type": "string"}}
RAY_JOB = {
    "type": "object",
    "required": ["entrypoint", "rayClusterSpec"],
    "properties": {
        "entrypoint": TEXT,
        "shutdownAfterJobFinishes": {"type": "boolean"},
        "ttlSecondsAfterFinished": {"type": "integer", "minimum": 0},
        "backoffLimit": {"type": "integer", "minimum": 0},
        "rayClusterSpec": {
            "type": "object",
            "required": ["headGroupSpec"],
            "properties": {
                "rayVersion": TEXT,
                "enableInTreeAutoscaling": {"type": "boolean"},
                "authOptions": {
                    "type": "object",
                    "properties": {"mode": {"enum": ["disabled", "token"]}},
                    "additionalProperties": False,
                },
                "headGroupSpec": {
                    "type": "object",
                    "required": ["template"],
                    "properties": {"rayStartParams": PARAMETERS, "template": TEMPLATE},
                    "additionalProperties": False,
                },
                "workerGroupSpecs": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["groupName", "maxReplicas", "minReplicas", "template"],
                        "properties": {
                            "groupName": TEXT,
                            "replicas": {"type": "integer", "minimum": 0},
                            "minReplicas": {"type": "integer", "minimum": 0},
                            "maxReplicas": {"type": "integer", "minimum": 1},
                            "rayStartParams": PARAMETERS,
                            "template": TEMPLATE,
                        },
                        "additionalProperties": False,
                    },
                },
            },
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}


def kubernetes_object(api: str, kind: str, spec: dict[str, object]) -> dict[str, object]:
    name = {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", "maxLength": 52}
    return {
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": api},
            "kind": {"const": kind},
            "metadata": {"type": "object", "properties": {"name": name}, "required": ["name"]},
            "spec": {
                "type": "object",
                "required": ["schedule", "jobTemplate"],
                "properties": {"schedule": TEXT, "timeZone": TEXT, **spec},
                "additionalProperties": False,
            },
        },
        "additionalProperties": False,
    }


SCHEMAS = {
    # The fields of these kinds that we write, as KubeRay 1.7 and Kubernetes 1.27 define them.
    "raycronjob": kubernetes_object("ray.io/v1", "RayCronJob", {"jobTemplate": RAY_JOB}),
    "cronjob": kubernetes_object(
        "batch/v1",
        "CronJob",
        {
            "concurrencyPolicy": {"const": "Forbid"},
            "startingDeadlineSeconds": {"type": "integer", "minimum": 10},
            "jobTemplate": {
                "type": "object",
                "properties": {
                    "spec": {
                        "type": "object",
                        "required": ["template"],
                        "properties": {"backoffLimit": {"const": 0}, "template": TEMPLATE},
                        "additionalProperties": False,
                    }
                },
            },
        },
    ),
}


@pytest.mark.parametrize("format_", SCHEMAS)
def test_a_kubernetes_object_has_the_structure_of_its_kind(tmp_path: Path, format_: str) -> None:
    made = schedule("0 4 * * SUN", NEW_YORK)
    (text,) = export(made, format_, site(tmp_path)).values()
    found = yaml.safe_load(text)
    Draft202012Validator(SCHEMAS[format_]).validate(found)
    assert found["metadata"]["name"] == "catalogtool-clash-nightly"
    assert found["spec"]["schedule"] == "0 4 * * 0"
    assert found["spec"]["timeZone"] == NEW_YORK


@pytest.mark.parametrize("format_", SCHEMAS)
def test_a_pod_adds_the_schedule_before_it_runs_it(tmp_path: Path, format_: str) -> None:
    (text,) = export(schedule(), format_, site(tmp_path)).values()
    template = yaml.safe_load(text)["spec"]["jobTemplate"]
    if format_ == "cronjob":
        command = template["spec"]["template"]["spec"]["containers"][0]["command"]
    else:
        command = shlex.split(template["entrypoint"])
    assert command[:2] == ["/bin/sh", "-c"]
    add, run = (shlex.split(part) for part in command[2].split(" && "))
    assert add[:4] == ["catalogtool", "schedule", "add", "clash"]
    assert add[-3:] == ["--", "--input", "s3://bucket/in 100%'s"]
    # Inside a Ray cluster the work stays there.
    assert ("--cluster" in add) == (format_ == "cronjob")
    assert run[:4] == ["catalogtool", "schedule", "run-now", "clash_nightly"]


def test_pods_need_an_image_and_an_output_that_they_can_reach(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give --image"):
        export(schedule(), "cronjob", Site(tmp_path, "UTC"))
    on_disk = schedule().model_copy(update={"output": str(tmp_path)})
    with pytest.raises(ConfigError, match="use an s3:// output"):
        export(on_disk, "raycronjob", site(tmp_path))
