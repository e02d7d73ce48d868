"""The Ray cluster that does the work: the one of this driver, or one of this machine alone."""

import logging
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray._private import ray_constants
from ray._private.state import state

from catalogtool.distributed.failures import unwrap
from catalogtool.errors import ClusterError

OBJECT_STORE_BYTES = 200 * 2**20
"""Only units' numbers and ledger lines travel through the object store."""

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_worker_niceness": "0",  # nothing more important runs beside the workers
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # what matters arrives as an exception
}


@contextmanager
def any_cluster(workers: int) -> Iterator[None]:
    """Connect to the cluster that runs this driver, or start one on this machine.

    Ray Jobs, and scripts for batch systems, say where the cluster is in ``RAY_ADDRESS``.

    Parameters
    ----------
    workers : int
        Workers that a cluster of this machine's own must have room for.

    Raises
    ------
    ClusterError
        If the cluster does not answer, or Ray does not start.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    if not address or address.startswith("http"):
        with local_cluster(workers):
            yield
        return
    try:
        _connect(address)
        yield
    finally:
        ray.shutdown()


def present(name: str) -> int:
    """How many of a resource (``CPU``, ``GPU``) the nodes have that are there now."""
    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return int(found.get(name, 0))


def reachable(name: str) -> int:
    """How many of a resource the cluster has when its autoscaler has started all it may."""
    most = state.get_max_resources_from_cluster_config() or {}
    return max(present(name), int(most.get(name, 0)))


def default_workers() -> int:
    """Workers of inference for which the nodes have room: one per GPU, else one per CPU.

    Raises
    ------
    ClusterError
        If no node has either.
    """
    found = reachable("GPU") or reachable("CPU")
    if not found:
        raise ClusterError(
            "no node of the cluster has CPUs or GPUs for workers; add nodes that have, or say with "
            "--workers how many its autoscaler shall make room for"
        )
    return found


@contextmanager
def local_cluster(workers: int) -> Iterator[None]:
    """Start a Ray cluster on this machine, for the time of a ``with`` block.

    It never joins a cluster that already runs, listens on the loopback interface only, and asks
    for a token that no other program knows. Nested use shares the outer cluster.

    Parameters
    ----------
    workers : int
        Workers that will run at once.

    Raises
    ------
    ClusterError
        If Ray does not start.
    """
    if ray.is_initialized():
        yield
        return
    _set_environment()
    # Ray asks for a token by itself; without this it would leave one readable in the home folder.
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        with _held_back_stderr():
            _start(workers)
        yield
    finally:
        ray.shutdown()


def _start(workers: int) -> None:
    try:
        with _loopback_only():
            ray.init(
                address="local",
                num_cpus=workers,
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=False,
                logging_level=logging.ERROR,
                log_to_driver=False,
            )
    except Exception as error:
        raise unwrap(error) from error


@contextmanager
def _loopback_only() -> Iterator[None]:
    """Keep all sockets of a cluster that starts in the block off the network.

    Ray replaces an address of 127.0.0.1 by that of the machine, and then listens everywhere; but
    not on systems where it knows no clusters. This process has read the switch already.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
        del os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR]


def _set_environment() -> None:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def _connect(address: str) -> None:
    _set_environment()
    try:
        with _held_back_stderr():
            ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except Exception as error:
        raise unwrap(error) from error


@contextmanager
def _held_back_stderr() -> Iterator[None]:
    """Keep what Ray's core writes past Python's logging; show it only if the start fails."""
    sys.stderr.flush()
    screen = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            with os.fdopen(os.dup(screen), "wb") as shown:
                shutil.copyfileobj(held, shown)
            raise
        finally:
            os.dup2(screen, 2)
            os.close(screen)
