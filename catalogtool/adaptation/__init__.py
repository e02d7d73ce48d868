"""Domain-adaptation methods, one per file."""

from typing import cast

from catalogtool._discovery import load_module, module_names
from catalogtool.adaptation._base import Method


def method_names() -> tuple[str, ...]:
    """Names of the methods, sorted."""
    return module_names(__name__)


def load_method(name: str) -> type[Method]:
    """Class of a method by its name.

    Raises
    ------
    UnknownNameError
        If there is no such method.
    """
    return cast("type[Method]", load_module(__name__, name).Method)
