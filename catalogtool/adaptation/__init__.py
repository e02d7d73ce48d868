"""Domain-adaptation methods, one per file."""

from typing import Any, cast

from catalogtool._discovery import load_module, module_names
from catalogtool.adaptation._base import LabelLoss, Method, MethodOptions
from catalogtool.config._base import build_settings
from catalogtool.networks._base import Network


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
    return cast("MethodOptions", build_settings(module.Options, options, where=f"method {name}"))


def build_method(
    name: str, network: Network, label_loss: LabelLoss, options: dict[str, Any] | None = None
) -> Method:
    """Build a method around a network; options that are not given have their defaults.

    Raises
    ------
    UnknownNameError
        If there is no such method.
    ConfigError
        If it does not know an option.
    """
    checked = read_method_options(name, options or {})
    return cast("Method", load_module(__name__, name).Method(network, label_loss, checked))
