"""The language of ``--where``: conditions on columns, as one would write them in Python.

::

    p_disk > 0.8 and not (flags & 6)            numbers, and bits of flags
    predicted_class in ('disk', 'spheroid')     texts
    0.2 < confidence <= 0.9 or entropy is null  ranges, and absent values

The text is parsed, never executed; what is not in the list below is refused. As in SQL, a
comparison with an absent value is neither true nor false, and its row is left out.
"""

import ast
import operator
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from catalogtool._discovery import check_name
from catalogtool.errors import ConfigError

_LONGEST = 4000
_EXAMPLE = "p_disk > 0.8 and predicted_class in ('disk', 'spheroid')"
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_NULLS = ("null", "NULL", "None")


def parse_where(text: str, schema: pa.Schema) -> pc.Expression:
    """Condition of a text, checked against the columns.

    Parameters
    ----------
    text : str
        See the module.
    schema : pa.Schema
        Columns that may be named.

    Raises
    ------
    ConfigError
        If it is not of the language, or compares what cannot be compared.
    UnknownNameError
        If it names a column that is not there; the message has the closest one.
    """
    if len(text) > _LONGEST:
        raise ConfigError(f"--where: longer than {_LONGEST} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        condition = _Translation(tuple(schema.names)).condition(tree.body)
        schema.empty_table().filter(condition)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ConfigError(f"--where {text!r}: {reason}; expected {_EXAMPLE!r}") from error
    except (pa.ArrowException, TypeError, OverflowError) as error:
        reason = str(error).split("\n", 1)[0]
        raise ConfigError(f"--where {text!r}: cannot be evaluated: {reason}") from error
    return condition


def named_columns(text: str) -> tuple[str, ...]:
    """Columns that a parsed text names, each once."""
    names = (
        n.id for n in ast.walk(ast.parse(text.strip(), mode="eval")) if isinstance(n, ast.Name)
    )
    return tuple(dict.fromkeys(name for name in names if name not in _NULLS))


class _Translation:
    """From Python's syntax tree to an Arrow expression."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        self._columns = columns

    def condition(self, node: ast.expr) -> pc.Expression:
        """What is true or false."""
        if isinstance(node, ast.BoolOp):
            parts = [self.condition(value) for value in node.values]
            combine = operator.and_ if isinstance(node.op, ast.And) else operator.or_
            combined = parts[0]
            for part in parts[1:]:
                combined = combine(combined, part)
            return combined
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return ~self.condition(node.operand)
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        if isinstance(node, ast.BinOp):
            return self._bits(node) != 0
        if isinstance(node, ast.Name):
            return self._column(node) == pc.scalar(True)
        raise ValueError(f"{ast.unparse(node)!r} is not a condition")

    def _comparison(self, node: ast.Compare) -> pc.Expression:
        lefts = [node.left, *node.comparators]
        parts = [
            self._one(left, op, right)
            for left, op, right in zip(lefts, node.ops, node.comparators, strict=False)
        ]
        combined = parts[0]
        for part in parts[1:]:
            combined = combined & part
        return combined

    def _one(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> pc.Expression:
        if isinstance(op, ast.Is | ast.IsNot):
            if not _is_null(right):
                raise ValueError("'is' needs null after it")
            absent = self._value(left).is_null(nan_is_null=True)
            return absent if isinstance(op, ast.Is) else ~absent
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, ast.Tuple | ast.List | ast.Set) or not right.elts:
                raise ValueError("'in' needs a list of values after it, such as (1, 2)")
            inside = self._value(left).isin([_constant(item) for item in right.elts])
            return inside if isinstance(op, ast.In) else ~inside & self._value(left).is_valid()
        return _COMPARISONS[type(op)](self._value(left), self._value(right))

    def _value(self, node: ast.expr) -> pc.Expression:
        """What can be compared."""
        if isinstance(node, ast.Name):
            return self._column(node)
        if isinstance(node, ast.BinOp):
            return self._bits(node)
        return pc.scalar(_constant(node))

    def _bits(self, node: ast.BinOp) -> pc.Expression:
        if not isinstance(node.op, ast.BitAnd):
            raise ValueError(f"{ast.unparse(node)!r}: of operations only & is known")
        return pc.bit_wise_and(self._value(node.left), self._value(node.right))

    def _column(self, node: ast.Name) -> pc.Expression:
        check_name(node.id, self._columns, "columns")
        return pc.field(node.id)


def _is_null(node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return node.id in _NULLS
    return isinstance(node, ast.Constant) and node.value is None


def _constant(node: ast.expr) -> bool | int | float | str:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _constant(node.operand)
        if isinstance(value, bool | str):
            raise ValueError(f"{ast.unparse(node)!r} is not a number")
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float | str):
        return node.value
    raise ValueError(f"{ast.unparse(node)!r} is not a column, a number or a text")
