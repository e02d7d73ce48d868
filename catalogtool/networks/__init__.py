"""Networks, one per file."""

from typing import Any, cast

from catalogtool._discovery import load_module, module_names
from catalogtool.config._base import build_settings
from catalogtool.errors import ConfigError
from catalogtool.networks._base import Network
from catalogtool.networks._heads import Head, HeadOptions


def network_names() -> tuple[str, ...]:
    """Names of the networks, sorted."""
    return module_names(__name__)


def with_metadata(options: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Options of a network that sees facts besides pixels; only those that take some have one."""
    return options | {"metadata": names} if names else options


def fitting_head(name: str, options: dict[str, Any], heads: tuple[Head, ...]) -> dict[str, Any]:
    """Options of a network that ends in one of several heads; its own if that is one of them.

    Raises
    ------
    UnknownNameError
        If there is no such network.
    ConfigError
        If it ends in another head, and has no choice.
    """
    kind = load_module(__name__, name).Options
    has_choice = issubclass(kind, HeadOptions)
    head = options.get("head", kind.model_fields["head"].default) if has_choice else "linear"
    if head in heads:
        return options
    if not has_choice:
        raise ConfigError(
            f"network {name}: ends in a linear head, and the method needs another one "
            f"({' or '.join(heads)}); choose another method, or a network whose options have a "
            "head, such as resnet"
        )
    return options | {"head": heads[0]}


def build_network(
    name: str, options: dict[str, Any], *, channels: int, classes: int, size_pix: int
) -> Network:
    """Build a network with fresh weights.

    Raises
    ------
    UnknownNameError
        If there is no such network.
    ConfigError
        If it does not know an option.
    """
    module = load_module(__name__, name)
    checked = build_settings(module.Options, options, where=f"network {name}")
    network = cast("Network", module.Network(checked, channels, classes, size_pix))
    network.pixel_channels = channels - bool(options.get("metadata"))
    network.size_pix = size_pix
    return network
