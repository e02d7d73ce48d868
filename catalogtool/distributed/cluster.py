"""A Ray cluster of this machine's own, quiet and gone when it is no longer needed."""

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from catalogtool.distributed.failures import unwrap

OBJECT_STORE_BYTES = 200 * 2**20
"""Only units' numbers and ledger lines travel through the object store."""

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}


@contextmanager
def local_cluster(workers: int) -> Iterator[None]:
    """Start a Ray cluster on this machine, for the time of a ``with`` block.

    It never joins a cluster that already runs, listens on the loopback interface only, and asks
    for a token that no other program knows. Nested use shares the outer cluster.

    Parameters
    ----------
    workers : int
        Workers that will run at once; one more slot keeps Ray's own tasks from waiting for them.

    Raises
    ------
    ClusterError
        If Ray does not start.
    """
    if ray.is_initialized():
        yield
        return
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # Ray asks for a token by itself; without this it would leave one readable in the home folder.
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        _start(workers)
        yield
    finally:
        ray.shutdown()


def _start(workers: int) -> None:
    try:
        ray.init(
            address="local",
            num_cpus=workers + 1,
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
            _node_ip_address="127.0.0.1",
        )
    except Exception as error:
        raise unwrap(error) from error
