"""Two processes that are the workers of one training."""

import multiprocessing
from collections.abc import Callable

# Both are forked from a process that has loaded what takes seconds, and nothing else.
multiprocessing.set_forkserver_preload(["torch._dynamo", "catalogtool.adaptation", "pytest"])

WORKERS = 2


def run_two_workers(work: Callable[..., None], *arguments: object) -> None:
    """Call ``work(rank, *arguments)`` in two processes, and wait for both."""
    from torch.multiprocessing import start_processes

    start_processes(work, args=arguments, nprocs=WORKERS, start_method="forkserver")
