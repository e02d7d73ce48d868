import time
from collections.abc import Iterator

import pytest

from catalogtool.distributed.watchdog import Watched
from catalogtool.errors import NoProgressError


def stalled() -> NoProgressError:
    return NoProgressError("stood still")


def test_values_arrive_in_order() -> None:
    assert list(Watched(lambda: range(5), 5, stalled)) == [0, 1, 2, 3, 4]


def test_error_of_the_thread_is_raised_after_the_values_before_it() -> None:
    def fails() -> Iterator[int]:
        yield 1
        raise KeyError("bug")

    values = iter(Watched(fails, 5, stalled))
    assert next(values) == 1
    with pytest.raises(KeyError, match="bug"):
        next(values)


def test_silence_ends_with_the_given_error_even_after_values() -> None:
    def falls_silent() -> Iterator[int]:
        yield 1
        time.sleep(5)

    values = iter(Watched(falls_silent, 0.2, stalled))
    assert next(values) == 1
    with pytest.raises(NoProgressError, match="stood still"):
        next(values)


def test_time_the_caller_takes_does_not_count_as_silence() -> None:
    for _ in Watched(lambda: range(2), 0.2, stalled):
        time.sleep(0.8)
