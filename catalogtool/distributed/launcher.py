"""The file of Ray's cluster launcher: checked, and reduced to what any site understands."""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from catalogtool.errors import ConfigError

# Ray's schema takes any key in these two places, so that a misspelt one would go unnoticed.
_PROVIDER_KEYS = {
    "aws": {
        "type",
        "region",
        "availability_zone",
        "use_internal_ips",
        "cache_stopped_nodes",
        "security_group",
    },
    "local": {"type", "head_ip", "worker_ips"},
}
_NODE_CONFIG_KEYS = {
    "BlockDeviceMappings",
    "IamInstanceProfile",
    "ImageId",
    "InstanceMarketOptions",
    "InstanceType",
    "KeyName",
    "MetadataOptions",
    "Placement",
    "SecurityGroupIds",
    "SubnetIds",
    "TagSpecifications",
}
_MAX_WORKERS = 2  # Ray's default
_START_COMMANDS = ("head_start_ray_commands", "worker_start_ray_commands")
_ANY_HOST = re.compile(r"--dashboard-host[= ](?!127\.0\.0\.1\b|localhost\b)\S+")


@dataclass(frozen=True)
class NodeGroup:
    """Equal nodes."""

    name: str
    cpus: int
    gpus: int
    memory_bytes: int
    """What workers may use of a node; 0: not said."""
    min_nodes: int
    max_nodes: int
    is_spot: bool


@dataclass(frozen=True)
class ClusterShape:
    """What a cluster is, whoever starts it."""

    name: str
    head: NodeGroup
    groups: tuple[NodeGroup, ...]
    idle_seconds: int
    image: str

    @property
    def largest(self) -> NodeGroup:
        """The group that does most: with GPUs where there are any."""
        return max(self.groups or (self.head,), key=lambda g: (g.gpus, g.cpus))


def read_launcher(file: Path) -> dict[str, Any]:
    """Read a launcher file and refuse what Ray would refuse, and what is not safe.

    Parameters
    ----------
    file : Path
        YAML as of ``ray up``.

    Returns
    -------
    dict
        Its content as written.

    Raises
    ------
    ConfigError
        One line per mistake.
    """
    try:
        values = yaml.safe_load(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; name another cluster file") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{file}: expected the keys of a Ray cluster file")
    mistakes = (
        _missing_keys(values)
        or _schema_mistakes(values)
        or [*_unknown_keys(values), *_unsafe(values)]
    )
    if mistakes:
        raise ConfigError("\n".join(f"{file}: {line}" for line in mistakes), count=len(mistakes))
    return values


def read_shape(file: Path) -> ClusterShape:
    """Reduce a checked launcher file to names and numbers.

    Raises
    ------
    ConfigError
        As of `read_launcher`.
    """
    values = read_launcher(file)
    types = values["available_node_types"]
    groups = {name: _group(name, node, values) for name, node in types.items()}
    head = groups.pop(values["head_node_type"])
    return ClusterShape(
        name=values["cluster_name"],
        head=head,
        groups=tuple(groups.values()),
        idle_seconds=round(60 * float(values.get("idle_timeout_minutes", 5))),
        image=values.get("docker", {}).get("image", ""),
    )


def _group(name: str, node: dict[str, Any], values: dict[str, Any]) -> NodeGroup:
    resources = node["resources"]
    market = node["node_config"].get("InstanceMarketOptions", {})
    return NodeGroup(
        name=name,
        cpus=resources["CPU"],
        gpus=resources.get("GPU", 0),
        memory_bytes=resources.get("memory", 0),
        min_nodes=node.get("min_workers", 0),
        max_nodes=node.get("max_workers", values.get("max_workers", _MAX_WORKERS)),
        is_spot=market.get("MarketType") == "spot",
    )


def _missing_keys(values: dict[str, Any]) -> list[str]:
    """Name what Ray would fill in by itself, or stumble over."""
    needed = ("cluster_name", "provider", "available_node_types", "head_node_type")
    mistakes = [f"{key}: is missing" for key in needed if not values.get(key)]
    provider = values.get("provider")
    if provider and not (isinstance(provider, dict) and provider.get("type")):
        mistakes.append("provider.type: is missing")
    return mistakes


def _schema_mistakes(values: dict[str, Any]) -> list[str]:
    logging.getLogger("ray.autoscaler").setLevel(logging.WARNING)
    try:
        validate_config(prepare_config(values))
    except jsonschema.ValidationError as error:
        where = ".".join(str(part) for part in error.absolute_path) or "(file)"
        return [f"{where}: {error.message}"]
    except (ValueError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
        return [f"Ray refuses it: {type(error).__name__}: {error}"]
    return []


def _unknown_keys(values: dict[str, Any]) -> list[str]:
    provider = values["provider"]
    known = _PROVIDER_KEYS.get(provider["type"])
    if known is None:
        names = ", ".join(_PROVIDER_KEYS)
        return [f"provider.type: {provider['type']!r} is not known here; known: {names}"]
    mistakes = [f"provider.{key}: is not a known key" for key in sorted(set(provider) - known)]
    for name, node in values.get("available_node_types", {}).items():
        place = f"available_node_types.{name}"
        unknown = sorted(set(node["node_config"]) - _NODE_CONFIG_KEYS)
        mistakes += [f"{place}.node_config.{key}: is not a known key" for key in unknown]
        if "CPU" not in node["resources"]:
            mistakes.append(f"{place}.resources: says no CPU; write it, 0 for a head without work")
    return mistakes


def _unsafe(values: dict[str, Any]) -> list[str]:
    """Refuse what would let strangers run programs on the cluster."""
    mistakes = []
    for key in _START_COMMANDS:
        commands = values.get(key, [])
        if "ray stop" not in commands[:1]:
            mistakes.append(f"{key}: must begin with 'ray stop', which ends an earlier cluster")
        starts = [command for command in commands if "ray start" in command]
        if not starts or any("RAY_AUTH_MODE=token" not in command for command in starts):
            mistakes.append(f"{key}: every 'ray start' needs RAY_AUTH_MODE=token in its command")
        if any(_ANY_HOST.search(command) for command in starts):
            mistakes.append(f"{key}: the dashboard must listen on 127.0.0.1 alone")
    for rule in values["provider"].get("security_group", {}).get("IpPermissions", []):
        ranges = [r.get("CidrIp", r.get("CidrIpv6")) for r in _ranges(rule)]
        if {"0.0.0.0/0", "::/0"} & set(ranges):
            mistakes.append("provider.security_group: opens a port to the whole internet")
    if values["provider"]["type"] == "aws" and not values["provider"].get("use_internal_ips"):
        mistakes.append("provider.use_internal_ips: must be true, so that no node is public")
    return mistakes


def _ranges(rule: dict[str, Any]) -> list[dict[str, Any]]:
    return [*rule.get("IpRanges", []), *rule.get("Ipv6Ranges", [])]
