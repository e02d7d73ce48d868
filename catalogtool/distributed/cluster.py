"""A Ray cluster of this machine's own, quiet and gone when it is no longer needed."""

import logging
import os
import secrets
import shutil
import sys
import tempfile
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
    "RAY_worker_niceness": "0",  # nothing more important runs beside the workers
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # what matters arrives as an exception
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
        with _held_back_stderr():
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
