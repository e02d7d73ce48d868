"""Conditions are parsed, never executed, and mean what Python says."""

import operator
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogtool.errors import ConfigError, UnknownNameError
from catalogtool.release._where import named_columns, parse_where

TABLE = pa.table(
    {
        "p_disk": pa.array([0.0, 0.25, 0.5, 1.0, None], pa.float32()),
        "flags": pa.array([0, 1, 2, 6, 4], pa.int32()),
        "name": pa.array(["disk", "", "spheroid", "disk", "it's"]),
        "good": pa.array([True, False, True, True, False]),
    }
)


def rows(text: str) -> list[int]:
    table = TABLE.append_column("row", pa.array(range(5)))
    found: list[int] = table.filter(parse_where(text, TABLE.schema)).column("row").to_pylist()
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p_disk > 0.25", [2, 3]),
        ("0 < p_disk <= 0.5", [1, 2]),
        ("p_disk is null", [4]),
        ("p_disk is not null and not good", [1]),
        ("p_disk is None or good", [0, 2, 3, 4]),
        ("name == 'disk' or name == \"it's\"", [0, 3, 4]),
        ("name in ('disk', 'spheroid') and flags != 6", [0, 2]),
        ("name not in ['disk']", [1, 2, 4]),
        ("flags & 2", [2, 3]),
        ("not (flags & 6)", [0, 1]),
        ("flags & 6 == 4", [4]),
        ("flags > -1 and flags < +2", [0, 1]),
        ("good", [0, 2, 3]),
        ("not good", [1, 4]),
        ("p_disk > flags", []),
        (" p_disk >= 0.5\n", [2, 3]),
    ],
)
def test_a_condition_chooses_its_rows(text: str, expected: list[int]) -> None:
    assert rows(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "p_disk >",
        "p_disk = 1",
        "p_disk AND good",
        "p_disk > 1; import os",
        "__import__('os').system('true')",
        "().__class__",
        "p_disk.real > 1",
        "name[0] == 'd'",
        "(lambda: 1)() == 1",
        "[x for x in (1, 2)]",
        "p_disk + 1 > 2",
        "2 ** 99999999 > flags",
        "f'{name}' == 'disk'",
        "p_disk > 1j",
        "name == b'disk'",
        "name is 'disk'",
        "flags in ()",
        "flags in name",
        "flags == ...",
        "(flags := 3) == 3",
        "flags > 10 ** 3",
        f"flags > {10**40}",
        "name > 3",
        "flags & 'x'",
        "p_disk & 1",
        "name",
        "3",
        "-name == 3",
        "(" * 1500 + "good" + ")" * 1500,
        "a" * 5000,
        "good\0",
    ],
)
def test_anything_else_is_a_setting_error(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_where(text, TABLE.schema)


def test_an_unknown_column_is_named_with_the_closest_known_one() -> None:
    with pytest.raises(UnknownNameError, match=r"'p_dsk' is not one of columns.*'p_disk'\?"):
        parse_where("p_dsk > 0.5", TABLE.schema)


def test_the_columns_of_a_condition_are_told_once() -> None:
    assert named_columns("p_disk > 1 or p_disk is null and good") == ("p_disk", "good")


@given(st.text(max_size=40))
def test_no_text_does_anything_but_parse_or_fail(text: str) -> None:
    with suppress(ConfigError):
        rows(text)


_COMPARE = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_atoms = st.tuples(
    st.sampled_from(["flags", "p_disk"]),
    st.sampled_from(list(_COMPARE)),
    st.sampled_from([0, 1, 2, 0.25, 0.5, -1]),
)
_trees = st.recursive(
    _atoms,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), inner, inner),
    ),
    max_leaves=8,
)


def write(tree: tuple[Any, ...]) -> str:
    if tree[0] == "not":
        return f"not ({write(tree[1])})"
    if tree[0] in ("and", "or"):
        return f"({write(tree[1])}) {tree[0]} ({write(tree[2])})"
    return f"{tree[0]} {tree[1]} {tree[2]}"


def truth(tree: tuple[Any, ...], row: dict[str, Any]) -> bool | None:
    """Three-valued logic, spelt out."""
    if tree[0] == "not":
        inner = truth(tree[1], row)
        return None if inner is None else not inner
    if tree[0] in ("and", "or"):
        decides = tree[0] == "or"
        sides = (truth(tree[1], row), truth(tree[2], row))
        return decides if decides in sides else None if None in sides else not decides
    value = row[tree[0]]
    return None if value is None else bool(_COMPARE[tree[1]](value, tree[2]))


@given(_trees)
def test_conditions_agree_with_a_slow_evaluation_by_rows(tree: tuple[Any, ...]) -> None:
    expected = [i for i, row in enumerate(TABLE.to_pylist()) if truth(tree, row) is True]
    assert rows(write(tree)) == expected
