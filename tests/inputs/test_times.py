"""Times of observation: what headers and columns say, and what they leave open."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogtool.errors import LabelError
from catalogtool.inputs._times import column_mjd, mjd_of, observed_mjd_of

NOON_2000 = 51544.5


def test_the_zero_point_is_that_of_the_modified_julian_date() -> None:
    assert mjd_of(datetime(1858, 11, 17, tzinfo=UTC)) == 0
    assert mjd_of(datetime(2000, 1, 1, 12)) == NOON_2000  # noqa: DTZ001 - without a zone


@pytest.mark.parametrize(
    "header",
    [
        {"MJD-OBS": NOON_2000},
        {"EXPSTART": NOON_2000},
        {"DATE-OBS": "2000-01-01T12:00:00"},
        {"DATE-OBS": "2000-01-01T12:00:00.000Z "},
        {"DATE-OBS": "2000-01-01T14:00:00+02:00"},
        {"DATE-OBS": "2000-01-01", "TIME-OBS": "12:00:00"},
        {"MJD-OBS": 2451545.0, "DATE-OBS": "2000-01-01T12:00:00"},
        {"MJD-OBS": float("nan"), "DATE-BEG": "2000-01-01T12:00:00"},
    ],
)
def test_headers_tell_the_time_in_several_ways(header: dict[str, object]) -> None:
    assert observed_mjd_of(header) == NOON_2000


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"DATE-OBS": "2000-01-01"},
        {"DATE-OBS": "01/01/00", "TIME-OBS": "12:00:00"},
        {"MJD-OBS": "unknown"},
        {"MJD-OBS": 0.0},
        {"DATE-OBS": ""},
    ],
)
def test_no_time_is_better_than_a_wrong_one(header: dict[str, object]) -> None:
    assert observed_mjd_of(header) is None


@given(st.text(max_size=30), st.text(max_size=12))
def test_no_text_in_a_header_breaks_the_listing(date: str, time: str) -> None:
    found = observed_mjd_of({"DATE-OBS": date, "TIME-OBS": time})
    assert found is None or 0 < found < 100_000


@pytest.mark.parametrize(
    "values",
    [
        pa.array([NOON_2000, None, -1.0]),
        pa.array(["2000-01-01T12:00:00", None, None]),
        pa.array(["2000-01-01 12:00:00Z", None, None]),
        pa.array([datetime(2000, 1, 1, 12, tzinfo=UTC), None, None]),
        pa.array([946728000, None, None], pa.timestamp("s")),
    ],
)
def test_columns_hold_numbers_timestamps_or_texts(values: pa.Array) -> None:
    found = column_mjd("here", pa.table({"time": values}), "time")
    np.testing.assert_array_equal(found, [NOON_2000, np.nan, np.nan])


def test_a_column_that_is_not_there_leaves_times_unknown() -> None:
    table = pa.table({"a": [1, 2]})
    assert np.isnan(column_mjd("here", table, "time")).all()
    assert np.isnan(column_mjd("here", table, None)).all()


def test_a_column_of_something_else_is_refused() -> None:
    table = pa.table({"time": ["yesterday"]})
    with pytest.raises(LabelError, match="here: column time: expected MJDs"):
        column_mjd("here", table, "time")
