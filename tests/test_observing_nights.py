"""Nights run from local noon to local noon."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from catalogtool.nights import last_complete_night, night_start, observing_night

SANTIAGO = "America/Santiago"


def local(*numbers: int, zone: str = SANTIAGO) -> datetime:
    return datetime(*numbers, tzinfo=ZoneInfo(zone))  # type: ignore[misc,arg-type]


def test_a_night_is_named_by_the_date_of_its_evening() -> None:
    assert observing_night(local(2026, 3, 10, 12, 0), SANTIAGO) == date(2026, 3, 10)
    assert observing_night(local(2026, 3, 10, 23, 59), SANTIAGO) == date(2026, 3, 10)
    assert observing_night(local(2026, 3, 11, 11, 59), SANTIAGO) == date(2026, 3, 10)
    assert observing_night(local(2026, 3, 11, 12, 0), SANTIAGO) == date(2026, 3, 11)


def test_the_utc_date_does_not_matter() -> None:
    # 02:00 UTC on the eleventh is the evening of the tenth in Hawaii.
    moment = datetime(2026, 3, 11, 2, tzinfo=UTC)
    assert observing_night(moment, "Pacific/Honolulu") == date(2026, 3, 10)
    # 20:00 UTC on the tenth is after midnight in Sydney, in the night of the tenth.
    assert observing_night(datetime(2026, 3, 10, 20, tzinfo=UTC), "Australia/Sydney") == date(
        2026, 3, 10
    )


def test_a_night_with_a_clock_change_is_one_night() -> None:
    # In 2026 New York moves its clocks forward on 8 March at 02:00.
    zone = "America/New_York"
    assert observing_night(local(2026, 3, 7, 12, 0, zone=zone), zone) == date(2026, 3, 7)
    assert observing_night(local(2026, 3, 8, 11, 59, zone=zone), zone) == date(2026, 3, 7)
    assert observing_night(local(2026, 3, 8, 12, 0, zone=zone), zone) == date(2026, 3, 8)


@given(
    st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2035, 1, 1)),  # noqa: DTZ001
    st.sampled_from([SANTIAGO, "UTC", "Pacific/Honolulu", "Australia/Sydney"]),
)
def test_the_last_complete_night_is_the_one_before_the_running_one(
    naive: datetime, zone: str
) -> None:
    moment = naive.replace(tzinfo=UTC)
    assert last_complete_night(moment, zone) + timedelta(days=1) == observing_night(moment, zone)


@given(
    st.integers(0, 3 * 365 * 24 * 60),
    st.sampled_from(["America/Santiago", "Europe/Berlin", "Pacific/Auckland", "UTC"]),
)
def test_a_moment_is_between_the_start_of_its_night_and_that_of_the_next(
    minutes: int, timezone: str
) -> None:
    moment = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    night = observing_night(moment, timezone)
    start, end = (night_start(night + timedelta(days=days), timezone) for days in (0, 1))
    assert start <= moment < end
