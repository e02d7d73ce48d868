"""A cluster as a RayCluster of KubeRay (``ray.io/v1``, operator 1.5.1 or newer)."""

from typing import Any

import ray
import yaml

from catalogtool.distributed.launcher import ClusterShape, NodeGroup
from catalogtool.errors import ConfigError

_HEAD_CPUS, _HEAD_MEMORY_BYTES = 4, 16 << 30
_HEADER = """\
# The image must hold catalogtool and Ray {version}, in an image of your own made from a Ray image.
# KubeRay makes the token and keeps it in the secret '{name}'.
#   kubectl apply -f raycluster.yaml
#   kubectl get secret {name} -o jsonpath='{{.data.auth_token}}' | base64 -d > token
#   kubectl port-forward service/{name}-head-svc 8265:8265
#   export RAY_AUTH_TOKEN_PATH=token
#   catalogtool produce --cluster http://127.0.0.1:8265 --runtime installed ...
"""
_SPOT = """\
# Groups meant for spot nodes: {groups}. Clouds name such nodes differently: add your nodeSelector.
"""


def raycluster_yaml(shape: ClusterShape, image: str) -> str:
    """Write the manifest.

    Parameters
    ----------
    shape : ClusterShape
        The cluster.
    image : str
        Container image of all nodes.

    Raises
    ------
    ConfigError
        If there is no image.
    """
    if not image:
        raise ConfigError("no container image; give --image, one that holds catalogtool and Ray")
    manifest = {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": shape.name},
        "spec": {
            "rayVersion": ray.__version__,
            "authOptions": {"mode": "token"},
            "enableInTreeAutoscaling": True,
            "autoscalerOptions": {"version": "v2", "idleTimeoutSeconds": shape.idle_seconds},
            "headGroupSpec": _head(shape.head, image),
            "workerGroupSpecs": [_workers(group, image) for group in shape.groups],
        },
    }
    header = _HEADER.format(version=ray.__version__, name=shape.name)
    if spot := ", ".join(group.name for group in shape.groups if group.is_spot):
        header += _SPOT.format(groups=spot)
    return header + str(yaml.safe_dump(manifest, sort_keys=False))


def _head(head: NodeGroup, image: str) -> dict[str, Any]:
    parameters = {"num-cpus": str(head.cpus)}
    container = _container("ray-head", image, _HEAD_CPUS, head.memory_bytes or _HEAD_MEMORY_BYTES)
    return {
        # Reachable inside of the Kubernetes cluster alone, and with the token alone.
        "serviceType": "ClusterIP",
        "rayStartParams": parameters,
        "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
    }


def _workers(group: NodeGroup, image: str) -> dict[str, Any]:
    container = _container("ray-worker", image, group.cpus, group.memory_bytes, group.gpus)
    return {
        "groupName": group.name,
        "replicas": group.min_nodes,
        "minReplicas": group.min_nodes,
        "maxReplicas": group.max_nodes,
        "rayStartParams": {"num-cpus": str(group.cpus), "num-gpus": str(group.gpus)},
        "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
    }


def _container(
    name: str, image: str, cpus: int, memory_bytes: int, gpus: int = 0
) -> dict[str, Any]:
    amounts: dict[str, str] = {"cpu": str(cpus)}
    if memory_bytes:
        amounts["memory"] = str(memory_bytes)
    if gpus:
        amounts["nvidia.com/gpu"] = str(gpus)
    return {
        "name": name,
        "image": image,
        "resources": {"requests": amounts, "limits": dict(amounts)},
    }
