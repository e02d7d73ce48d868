"""Schedules are checked when they are made, and know their ticks."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from schedule_samples import NEW_YORK, local

from catalogtool.config._base import build_settings
from catalogtool.errors import ConfigError
from catalogtool.schedule.definition import Schedule, parse_cron


def make(**changes: Any) -> Schedule:  # noqa: ANN401 - settings of any type
    values = {
        "name": "clash",
        "survey": "clash",
        "cron": "0 4 * * *",
        "timezone": "UTC",
        "output": "/data/out",
        "first_night": date(2026, 1, 1),
        "folder": "/data",
    }
    return build_settings(Schedule, values | changes, where="test")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"cron": "0 4 * *"}, "expected five fields"),
        ({"cron": "0 4 * * * *"}, "expected five fields"),
        ({"cron": "0 25 * * *"}, "Bad hour"),
        ({"cron": "@daily"}, "expected five fields"),
        ({"cron": "0 4 L * *"}, "not a plain cron expression"),
        ({"cron": "0 4 * * MON#2"}, "not a plain cron expression"),
        ({"cron": "0 4 31 2 *"}, "cron"),
        ({"cron": "0 4 */2 * MON"}, "restrict one"),
        ({"timezone": "Mars"}, "expected a name like UTC or America/Santiago"),
        ({"timezone": "Europe"}, "is not a time zone"),
        ({"options": ("--night", "2026-01-01")}, "is set by the schedule itself"),
        ({"options": ("--output=elsewhere",)}, "is set by the schedule itself"),
        ({"options": ("--labels", "https://me:word@host/x")}, "holds a password"),
        ({"options": ("--labels", "a\n0 0 * * * rm")}, "line break"),
        ({"name": "two words"}, "name"),
    ],
)
def test_a_mistake_is_refused_with_what_was_expected(
    changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        make(**changes)
    assert "word@" not in str(caught.value)


def test_a_cron_expression_becomes_plain_numbers() -> None:
    assert parse_cron("*/30 2-4 * JAN,3 *").to_text() == "0,30 2,3,4 * 1,3 *"
    assert parse_cron("0 4 * * SUN,5-7").to_text() == "0 4 * * 0,5,6"
    assert parse_cron("0 4 1-31 * MON").to_text() == "0 4 * * *"
    assert parse_cron("0 4 1,15 * 1").to_text() == "0 4 1,15 * 1"


def test_a_tick_in_the_hour_that_a_change_skips_comes_right_after_it() -> None:
    schedule = make(cron="30 2 * * *", timezone=NEW_YORK)
    assert schedule.next_tick(local(2026, 3, 7, 3)) == local(2026, 3, 8, 3, 0)
    assert schedule.next_tick(local(2026, 3, 8, 3)) == local(2026, 3, 9, 2, 30)


def test_a_tick_in_the_hour_that_a_change_repeats_comes_once() -> None:
    schedule = make(cron="30 1 * * *", timezone=NEW_YORK)
    first = schedule.next_tick(local(2026, 10, 31, 12))
    assert first == local(2026, 11, 1, 1, 30)
    assert schedule.next_tick(first) == local(2026, 11, 2, 1, 30)
    between = first + timedelta(minutes=45)
    assert schedule.next_tick(between) == local(2026, 11, 2, 1, 30)


MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1))  # noqa: DTZ001 - UTC is added
CRONS = st.sampled_from(
    ["0 4 * * *", "30 2 * * *", "*/20 * * * *", "15 1,23 * * 1-5", "0 0 1 * *", "59 23 * * 0"]
)
ZONES = st.sampled_from(["UTC", NEW_YORK, "America/Santiago", "Australia/Lord_Howe"])


@given(MOMENTS, CRONS, ZONES)
def test_ticks_only_go_forward(naive: datetime, cron: str, zone: str) -> None:
    schedule = make(cron=cron, timezone=zone)
    moment = naive.replace(tzinfo=UTC)
    for _ in range(4):
        tick = schedule.next_tick(moment)
        assert tick > moment
        assert tick.tzinfo is UTC
        moment = tick


def test_a_schedule_survives_being_written_down(tmp_path: Path) -> None:
    schedule = make(options=("--input", str(tmp_path / "ä b%$'\".fits")), cluster="ray://host:1")
    assert build_settings(Schedule, schedule.to_json(), where="test") == schedule
