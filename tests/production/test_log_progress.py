"""Log lines are few, and their figures are true."""

import logging

import pytest

from catalogtool.production import log_progress
from catalogtool.production.clock import Clock
from catalogtool.production.log_progress import LogProgress, pace


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> logging.Logger:
    caplog.set_level(logging.INFO, "quiet")
    return logging.getLogger("quiet")


@pytest.mark.parametrize(
    ("done", "seconds", "text"),
    [(100, 10.0, "10/s"), (2, 10.0, "5 s each"), (0, 10.0, "none yet"), (3, 0.0, "3e+09/s")],
)
def test_pace_is_many_per_second_or_seconds_each(done: int, seconds: float, text: str) -> None:
    assert pace(done, seconds) == text


def test_only_the_last_of_many_quick_steps_is_told(
    log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    progress = LogProgress(log)
    with progress.stage("predict"):
        for done in range(1, 101):
            progress.advance(done, 100, "objects", note="all well")
    begin, last, end = caplog.messages
    assert begin == "predict …"
    assert last.startswith("  100 of 100 objects (")
    assert last.endswith("): all well")
    assert end.startswith("predict: done in 0.")


def test_slow_steps_tell_the_time_that_is_left(
    log: logging.Logger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([0.0, 0.0, 20.0])
    progress = LogProgress(log)
    monkeypatch.setattr(log_progress.time, "monotonic", lambda: next(now, 30.0))
    with progress.stage("train"):
        next(now)
        progress.advance(2, 5, "epochs")
    assert caplog.messages[1] == "  2 of 5 epochs (10 s each, 30 s left)"


def test_the_clock_remembers_the_stages_in_order(log: logging.Logger) -> None:
    clock = Clock(LogProgress(log))
    for name in ("plan", "train", "predict"):
        with clock.stage(name):
            pass
    assert [name for name, _ in clock.timings] == ["plan", "train", "predict"]
    assert all(seconds >= 0 for _, seconds in clock.timings)
