"""Which nights are due is decided from facts alone."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from catalogtool.schedule.due import (
    LOCK_WAIT,
    RETRY_WAITS,
    Attempt,
    Decision,
    Outcome,
    decide,
    missing_nights,
)

NOW = datetime(2026, 3, 10, 9, tzinfo=UTC)
ONE, TWO = date(2026, 3, 8), date(2026, 3, 9)


def attempts(night: date, *outcomes: Outcome, last: datetime = NOW) -> Sequence[Attempt]:
    return [
        Attempt(n, "clash", night, last, last, outcome, 1, Path("log"))
        for n, outcome in enumerate(outcomes)
    ]


def test_nights_without_a_commit_are_missing_oldest_first() -> None:
    committed = {date(2026, 3, 3), date(2026, 1, 1)}
    found = missing_nights(date(2026, 3, 2), date(2026, 3, 5), committed, 30)
    assert found == (date(2026, 3, 2), date(2026, 3, 4), date(2026, 3, 5))


def test_nights_beyond_the_look_back_are_left_alone() -> None:
    found = missing_nights(date(2020, 1, 1), date(2026, 3, 5), (), 2)
    assert found == (date(2026, 3, 4), date(2026, 3, 5))


def test_before_the_first_night_nothing_is_missing() -> None:
    assert missing_nights(date(2026, 3, 5), date(2026, 3, 4), (), 30) == ()


def test_the_oldest_night_comes_first() -> None:
    assert decide((ONE, TWO), (), NOW) == Decision(ONE, None)
    assert decide((), (), NOW) == Decision(None, None)


def test_a_failed_night_waits_and_does_not_block_the_next() -> None:
    failed = attempts(ONE, Outcome.FAILED)
    assert decide((ONE, TWO), failed, NOW).night == TWO
    assert decide((ONE,), failed, NOW) == Decision(None, NOW + RETRY_WAITS[0])
    assert decide((ONE, TWO), failed, NOW + RETRY_WAITS[0]).night == ONE


def test_the_second_wait_is_longer_and_then_comes_the_next_tick() -> None:
    twice = attempts(ONE, Outcome.FAILED, Outcome.LOST)
    assert decide((ONE,), twice, NOW) == Decision(None, NOW + RETRY_WAITS[1])
    thrice = attempts(ONE, *[Outcome.FAILED] * (len(RETRY_WAITS) + 1))
    assert decide((ONE,), thrice, NOW + timedelta(days=9)) == Decision(None, None)


def test_another_run_is_waited_for_and_is_no_failure() -> None:
    locked = attempts(ONE, *[Outcome.LOCKED] * 9)
    assert decide((ONE, TWO), locked, NOW) == Decision(None, NOW + LOCK_WAIT)
    assert decide((ONE, TWO), locked, NOW + LOCK_WAIT).night == ONE


def test_an_attempt_that_was_stopped_is_no_failure() -> None:
    assert decide((ONE,), attempts(ONE, *[Outcome.STOPPED] * 9), NOW).night == ONE


NIGHTS = st.lists(st.sampled_from([ONE, TWO]), unique=True).map(sorted)
FACTS = st.lists(
    st.tuples(st.sampled_from([ONE, TWO]), st.sampled_from(Outcome), st.integers(0, 60))
)


@given(NIGHTS, FACTS)
def test_whatever_happened_the_answer_is_a_missing_night_or_a_later_moment(
    missing: list[date], facts: list[tuple[date, Outcome, int]]
) -> None:
    known = [
        attempt
        for night, outcome, minutes in facts
        for attempt in attempts(night, outcome, last=NOW - timedelta(minutes=minutes))
    ]
    decision = decide(missing, known, NOW)
    if decision.night is not None:
        assert decision.night in missing
        assert decision.again_at is None
    elif decision.again_at is not None:
        assert decision.again_at > NOW
