import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogtool.identifiers import object_id_of
from catalogtool.inputs._names import first_few, parse_name, without_endings
from catalogtool.surveys import load_survey

CLUSTERS = st.from_regex(r"[a-z]{1,6}[0-9]{0,4}", fullmatch=True)
NUMBERS = st.integers(0, 10**6).map(str)
NAMES = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20)


@given(CLUSTERS, st.sampled_from(load_survey("clash").band_names), NUMBERS)
def test_a_clash_name_splits_into_galaxy_and_band(cluster: str, band: str, number: str) -> None:
    pattern = load_survey("clash").input.id_pattern
    for text in (f"{cluster}_{band}_{number}", f"{cluster}_{band.upper()}_{number}.fits.gz"):
        assert parse_name(text, pattern) == (f"{cluster}_{number}", band)
    assert parse_name(f"{cluster}_{number}", pattern) == (f"{cluster}_{number}", None)


@given(NAMES)
def test_the_default_pattern_takes_any_name_whole(name: str) -> None:
    pattern = load_survey("candels").input.id_pattern
    parsed = parse_name(name, pattern)
    assert (parsed.source_id if parsed else "") == without_endings(name)


@given(st.text(max_size=30), st.sampled_from(["clash", "candels", "sdss", "desi"]))
def test_no_text_breaks_the_parser(text: str, survey: str) -> None:
    parsed = parse_name(text, load_survey(survey).input.id_pattern)
    assert parsed is None or parsed.source_id


@pytest.mark.parametrize("text", ["weight_map", "macs_f435w_12_extra", "", "_f435w_12"])
def test_names_that_do_not_fit_are_none(text: str) -> None:
    assert parse_name(text, load_survey("clash").input.id_pattern) is None


def test_fits_endings_go_and_dots_of_the_name_stay() -> None:
    for ending in (".fits", ".fit", ".FITS.GZ", ".fits.fz"):
        assert without_endings(f"x1.r{ending}") == "x1.r"
    assert without_endings("x1.r") == "x1.r"


@given(st.integers(0, 2**63 - 1))
def test_a_number_stands_for_itself(number: int) -> None:
    assert object_id_of(str(number)) == number


@given(st.text())
def test_every_name_gets_a_fixed_positive_id(name: str) -> None:
    assert 0 <= object_id_of(name) < 2**63
    assert object_id_of(name) == object_id_of(name)


@given(st.integers(0, 10**17))
def test_leading_zeros_make_another_name(number: int) -> None:
    assert object_id_of(f"0{number}") != number


def test_numbers_beyond_63_bits_and_foreign_digits_are_hashed() -> None:
    assert object_id_of(str(2**63)) != 2**63
    assert object_id_of("٣") != 3
    # SHA-256 of "a" starts with ca978112ca1bbdca
    assert object_id_of("a") == 0xCA978112CA1BBDCA >> 1


@given(st.lists(st.integers(), max_size=12))
def test_the_first_few_end_with_dots_if_there_are_more(items: list[int]) -> None:
    text = first_few(items)
    assert text.endswith("…") == (len(items) > 5)
    assert len(re.findall(r"-?\d+", text)) == min(len(items), 5)
