"""Two processes that are the workers of one training."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path

# Both are forked from a process that has loaded what takes seconds, and nothing else.
multiprocessing.set_forkserver_preload(["torch._dynamo", "catalogtool.adaptation", "pytest"])

WORKERS = 2


def run_two_workers(work: Callable[..., None], folder: Path, *arguments: object) -> None:
    """Call ``work(rank, folder, *arguments)`` in two processes of a group, and wait for both."""
    from torch.multiprocessing import start_processes

    start_processes(
        _join, args=(work, folder, *arguments), nprocs=WORKERS, start_method="forkserver"
    )


def _join(rank: int, work: Callable[..., None], folder: Path, *arguments: object) -> None:
    """Be a worker; what `work` has wrapped is gone when its group ends, else torch deadlocks."""
    import torch
    from torch import distributed

    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=WORKERS
    )
    work(rank, folder, *arguments)
    distributed.destroy_process_group()
