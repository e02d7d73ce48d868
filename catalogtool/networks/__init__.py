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


def with_head(name: str, options: dict[str, Any], head: Head) -> dict[str, Any]:
    """Options of a network that is to end in a certain head.

    Raises
    ------
    UnknownNameError
        If there is no such network.
    ConfigError
        If it has no choice of heads.
    """
    if not issubclass(load_module(__name__, name).Options, HeadOptions):
        raise ConfigError(
            f'network {name}: has one head, and a method needs the head "{head}"; choose another '
            "method, or a network whose options have a head, such as resnet"
        )
    return options | {"head": head}


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
