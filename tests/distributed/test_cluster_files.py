"""The launcher's file, and what KubeRay and Slurm get of it."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from catalogtool.cli.main import app
from catalogtool.distributed.kuberay import raycluster_yaml
from catalogtool.distributed.launcher import ClusterShape, read_launcher, read_shape
from catalogtool.errors import ConfigError

SHIPPED = Path(__file__).parents[2] / "cluster.yaml"
Values = dict[str, Any]

# Fields of ray.io/v1 that are used, as the operator's API reference names and types them.
CLUSTER_FIELDS = {
    "rayVersion": str,
    "authOptions": dict,
    "enableInTreeAutoscaling": bool,
    "autoscalerOptions": dict,
    "headGroupSpec": dict,
    "workerGroupSpecs": list,
}
HEAD_FIELDS = {"serviceType": str, "rayStartParams": dict, "template": dict}
GROUP_FIELDS = {
    "groupName": str,
    "replicas": int,
    "minReplicas": int,
    "maxReplicas": int,
    "rayStartParams": dict,
    "template": dict,
}


@pytest.fixture(scope="module")
def shape() -> ClusterShape:
    return read_shape(SHIPPED)


def show(form: str) -> str:
    result = CliRunner().invoke(app, ["cluster", "show", "--format", form, "--file", str(SHIPPED)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_shipped_file_fits_rays_schema_and_scales_from_none(shape: ClusterShape) -> None:
    values = read_launcher(SHIPPED)
    assert shape.head.cpus == 0
    assert {group.name: group.min_nodes for group in shape.groups} == {"cpu": 0, "gpu": 0}
    assert all(group.is_spot for group in shape.groups)
    assert shape.largest.name == "gpu"
    assert sum(group.max_nodes for group in shape.groups) <= values["max_workers"]


def take(key: str) -> Callable[[Values], None]:
    def change(values: Values) -> None:
        del values[key]

    return change


def put(key: str, value: object) -> Callable[[Values], None]:
    def change(values: Values) -> None:
        *path, last = key.split(".")
        for part in path:
            values = values[part]
        values[last] = value

    return change


def replace_in(key: str, old: str, new: str) -> Callable[[Values], None]:
    def change(values: Values) -> None:
        values[key] = [command.replace(old, new) for command in values[key]]

    return change


OPEN_RULE = {"IpRanges": [{"CidrIp": "0.0.0.0/0"}]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (take("cluster_name"), "cluster_name: is missing"),
        (take("available_node_types"), "available_node_types: is missing"),
        (put("provider", {"region": "us-east-1"}), "provider.type: is missing"),
        (put("max_wokers", 3), "max_wokers"),
        (put("available_node_types.gpu.resources.GPU", "one"), "resources.GPU: 'one'"),
        (put("head_node_type", "haed"), "head_node_type"),
        (put("provider.regoin", "x"), "provider.regoin: is not a known key"),
        (put("provider.type", "clowd"), "clowd"),
        (
            put("available_node_types.gpu.node_config.InstanceTyp", "g5"),
            "gpu.node_config.InstanceTyp: is not a known key",
        ),
        (put("available_node_types.cpu.resources", {}), "cpu.resources: says no CPU"),
        (put("head_start_ray_commands", ["ray start --head"]), "must begin with 'ray stop'"),
        (
            replace_in("worker_start_ray_commands", "RAY_AUTH_MODE=token", ""),
            "worker_start_ray_commands: every 'ray start' needs RAY_AUTH_MODE=token",
        ),
        (
            replace_in("head_start_ray_commands", "127.0.0.1", "0.0.0.0"),  # noqa: S104 - refused
            "the dashboard must listen on 127.0.0.1 alone",
        ),
        (
            put("provider.security_group", {"IpPermissions": [OPEN_RULE]}),
            "opens a port to the whole internet",
        ),
        (put("provider.use_internal_ips", False), "provider.use_internal_ips: must be true"),
    ],
)
def test_a_mistake_in_the_file_is_named(
    change: Callable[[Values], None], sentence: str, tmp_path: Path
) -> None:
    values = yaml.safe_load(SHIPPED.read_text())
    change(values)
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError, match=re.escape(sentence)) as caught:
        read_shape(file)
    assert str(file) in str(caught.value)


def test_a_file_that_is_not_there_or_no_yaml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cluster\.yaml: No such file or directory"):
        read_shape(tmp_path / "cluster.yaml")
    (tmp_path / "cluster.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match=r"cluster\.yaml: is not YAML"):
        read_shape(tmp_path / "cluster.yaml")


def test_check_prints_the_worker_groups() -> None:
    result = CliRunner().invoke(app, ["cluster", "check", str(SHIPPED)])
    assert "correct (workers: cpu 0 to 16, gpu 0 to 8)" in result.stdout


def test_ray_gets_the_file_as_it_is() -> None:
    assert yaml.safe_load(show("ray")) == yaml.safe_load(SHIPPED.read_text())


def test_kuberay_gets_the_same_nodes_with_fields_of_its_own(shape: ClusterShape) -> None:
    manifest = yaml.safe_load(show("raycluster"))
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayCluster")
    spec = manifest["spec"]
    assert {name: type(value) for name, value in spec.items()} == CLUSTER_FIELDS
    assert {n: type(value) for n, value in spec["headGroupSpec"].items()} == HEAD_FIELDS
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["autoscalerOptions"]["idleTimeoutSeconds"] == shape.idle_seconds == 600
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert spec["headGroupSpec"]["serviceType"] == "ClusterIP"
    for group, node in zip(spec["workerGroupSpecs"], shape.groups, strict=True):
        assert {name: type(value) for name, value in group.items()} == GROUP_FIELDS
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        container = group["template"]["spec"]["containers"][0]
        limits = container["resources"]["limits"]
        assert (group["groupName"], group["minReplicas"]) == (node.name, node.min_nodes)
        assert group["maxReplicas"] == node.max_nodes
        assert limits["cpu"] == str(node.cpus)
        assert limits["memory"] == str(node.memory_bytes)
        assert limits.get("nvidia.com/gpu", "0") == str(node.gpus)


def test_kuberay_is_told_which_groups_are_spot_and_needs_an_image(shape: ClusterShape) -> None:
    assert "# Groups meant for spot nodes: cpu, gpu." in show("raycluster")
    with pytest.raises(ConfigError, match="give --image"):
        raycluster_yaml(shape, "")


def test_slurm_gets_a_script_that_bash_accepts_with_the_resources_of_the_gpu_nodes(
    shape: ClusterShape, tmp_path: Path
) -> None:
    script = show("slurm")
    file = tmp_path / "catalogtool.sbatch"
    file.write_text(script)
    assert subprocess.run(["bash", "-n", str(file)], check=False).returncode == 0
    options = dict(re.findall(r"^#SBATCH --([a-z-]+)=(\S+)$", script, re.MULTILINE))
    gpu = shape.largest
    assert options["job-name"] == shape.name
    assert options["nodes"] == str(gpu.max_nodes)
    assert options["cpus-per-task"] == str(gpu.cpus)
    assert options["gpus-per-node"] == str(gpu.gpus)
    assert options["mem"] == f"{gpu.memory_bytes >> 20}M"
    assert "RAY_AUTH_MODE=token" in script


def test_the_slurm_script_starts_every_node_and_passes_its_words_on(tmp_path: Path) -> None:
    """Run for real, with the batch system's three commands played by scripts that note words."""
    tools = tmp_path / "bin"
    tools.mkdir()
    notes = tmp_path / "notes"
    commands = {
        "scontrol": "seq --format node%g 100000",  # more than a pipe holds
        "srun": f'case "$*" in *hostname*) echo 10.0.0.7;; *) printf "%s\\n" "$@" > {notes};; esac',
    }
    for name, body in commands.items():
        (tools / name).write_text(f"#!/bin/bash\n{body}\n")
        (tools / name).chmod(0o755)
    environment = {
        "PATH": f"{tools}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_JOB_NUM_NODES": "2",
    }
    command = ["bash", "-s", "--", "--survey", "clash", "--output", "two words"]
    subprocess.run(command, input=show("slurm"), text=True, env=environment, check=True)
    words = notes.read_text().splitlines()
    assert words[:5] == ["ray", "symmetric-run", "--address", "10.0.0.7:6379", "--min-nodes"]
    start = words.index("--")
    assert "RAY_ADDRESS=10.0.0.7:6379" in words[start:]
    assert words[-5:] == ["produce", "--survey", "clash", "--output", "two words"]
    token = tmp_path / ".ray/auth_token"
    assert re.fullmatch(r"[0-9a-f]{64}", token.read_text())
    assert token.stat().st_mode & 0o077 == 0
    assert token.read_text() not in json.dumps(words)
