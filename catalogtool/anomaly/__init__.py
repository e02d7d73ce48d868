"""Methods that tell unusual objects by their features, one per file."""

from typing import Any, cast

from catalogtool._discovery import load_module, module_names
from catalogtool.anomaly._base import Method, MethodOptions
from catalogtool.config._base import build_settings


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


def read_method_options(name: str, options: dict[str, Any]) -> MethodOptions:
    """Check the options of a method.

    Raises
    ------
    UnknownNameError
        If there is no such method.
    ConfigError
        If it does not know an option.
    """
    module = load_module(__name__, name)
    where = f"anomaly method {name}"
    return cast("MethodOptions", build_settings(module.Options, options, where=where))
