"""Domain-adaptation methods, one per file."""

from typing import cast

from catalogtool._discovery import load_module, module_names
from catalogtool.adaptation._base import LabelLoss, Method
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


def build_method(name: str, network: Network, label_loss: LabelLoss) -> Method:
    """Build a method around a network, with the method's default options.

    Raises
    ------
    UnknownNameError
        If there is no such method.
    """
    module = load_module(__name__, name)
    return cast("Method", module.Method(network, label_loss, module.Options()))
