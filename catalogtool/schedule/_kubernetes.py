"""A schedule as Kubernetes objects. A pod has no state, so its command adds the schedule first."""

import shlex
from importlib.metadata import version
from typing import Any

import yaml

from catalogtool.schedule.definition import Schedule, parse_cron

_STATE = "/tmp/catalogtool-state"  # noqa: S108 - of a container that lives for one run
_CATCH_DEADLINE_S = 6 * 3600
_KEPT_S = 24 * 3600
_CREDENTIALS = "catalogtool-credentials"
_HEAD_LIMITS = {"cpu": "4", "memory": "16Gi"}
_GPU_LIMITS = {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": "1"}
_MAX_GPU_WORKERS = 8
_NO_FOLDING = 1_000_000

_CRONJOB_NOTE = f"""\
# kubectl apply -f this file. The credentials of the object storage come from the secret
# {_CREDENTIALS} (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and so on), if there is one.
"""
_RAYCRONJOB_NOTE = """\
# RayCronJob is alpha: it needs KubeRay 1.6 or newer with --feature-gates=RayCronJob=true, and
# 1.7 for timeZone. It may start two jobs at once; the lease in the output keeps them apart.
# For more than trials take --format cronjob. Adapt the sizes to your nodes.
"""


def cronjob(schedule: Schedule, image: str) -> str:
    """A CronJob of Kubernetes that runs the command line in a pod."""
    container = _container("catalogtool", image, _HEAD_LIMITS)
    container["command"] = ["/bin/sh", "-c", _command(schedule)]
    pod = {"restartPolicy": "Never", "containers": [container]}
    spec = {
        "schedule": parse_cron(schedule.cron).to_text(),
        "timeZone": schedule.timezone,
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": _CATCH_DEADLINE_S,
        "jobTemplate": {"spec": {"backoffLimit": 0, "template": {"spec": pod}}},
    }
    return _CRONJOB_NOTE + _document("batch/v1", "CronJob", schedule, spec)


def raycronjob(schedule: Schedule, image: str) -> str:
    """A RayCronJob of KubeRay: a Ray cluster of its own for every tick."""
    here = schedule.model_copy(update={"cluster": None})
    spec = {
        "schedule": parse_cron(schedule.cron).to_text(),
        "timeZone": schedule.timezone,
        "jobTemplate": {
            "entrypoint": f"/bin/sh -c {shlex.quote(_command(here))}",
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": _KEPT_S,
            "backoffLimit": 0,
            "rayClusterSpec": _cluster(image),
        },
    }
    return _CRONJOB_NOTE + _RAYCRONJOB_NOTE + _document("ray.io/v1", "RayCronJob", schedule, spec)


def _cluster(image: str) -> dict[str, Any]:
    def pod(container: dict[str, Any]) -> dict[str, Any]:
        return {"spec": {"containers": [container]}}

    return {
        "rayVersion": version("ray"),
        "enableInTreeAutoscaling": True,
        "authOptions": {"mode": "token"},
        "headGroupSpec": {
            "rayStartParams": {},
            "template": pod(_container("ray-head", image, _HEAD_LIMITS)),
        },
        "workerGroupSpecs": [
            {
                "groupName": "gpu",
                "replicas": 0,
                "minReplicas": 0,
                "maxReplicas": _MAX_GPU_WORKERS,
                "rayStartParams": {},
                "template": pod(_container("ray-worker", image, _GPU_LIMITS)),
            }
        ],
    }


def _container(name: str, image: str, limits: dict[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        "resources": {"limits": dict(limits), "requests": dict(limits)},
        "envFrom": [{"secretRef": {"name": _CREDENTIALS, "optional": True}}],
    }


def _command(schedule: Schedule) -> str:
    program = ["catalogtool", "schedule"]
    cluster = [] if schedule.cluster is None else ["--cluster", schedule.cluster]
    add = [
        *(*program, "add", schedule.survey, "--name", schedule.name),
        *("--cron", schedule.cron, "--timezone", schedule.timezone, "--output", schedule.output),
        *("--first-night", schedule.first_night.isoformat()),
        *("--look-back", str(schedule.look_back_nights), "--state", _STATE, *cluster),
        *(["--", *schedule.options] if schedule.options else []),
    ]
    run = [*program, "run-now", schedule.name, "--state", _STATE]
    return f"{shlex.join(add)} && {shlex.join(run)}"


def _document(api: str, kind: str, schedule: Schedule, spec: dict[str, Any]) -> str:
    name = f"catalogtool-{schedule.name}".lower().replace("_", "-").rstrip("-")
    # KubeRay and Kubernetes add to it, and allow 63 characters in all.
    values = {"apiVersion": api, "kind": kind, "metadata": {"name": name[:45]}, "spec": spec}
    text: str = yaml.safe_dump(values, sort_keys=False, width=_NO_FOLDING)
    return text
