"""Rows of all workers, with gradients."""

from typing import Any, cast

import torch
from torch import distributed


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, rows: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - torch's own
        context.workers, context.rank = distributed.get_world_size(), distributed.get_rank()
        parts = [torch.empty_like(rows) for _ in range(context.workers)]
        distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - torch's own
        own = gradient.chunk(context.workers)[context.rank]
        return cast("torch.Tensor", context.workers * own)


def gather_rows(rows: torch.Tensor) -> torch.Tensor:
    """Rows of all workers in the order of their ranks, with the gradient of one process.

    For losses over all rows, which are then the same on every worker. A worker's own rows get
    their whole gradient times the number of workers: the mean over workers, which distributed
    training takes afterwards, is the gradient of one process with the global batch.

    Parameters
    ----------
    rows : Tensor, shape (B, ...)
        As many on every worker.

    Returns
    -------
    Tensor, shape (workers * B, ...)
        The rows themselves where there is one process.
    """
    if not distributed.is_available() or not distributed.is_initialized():
        return rows
    return cast("torch.Tensor", _Gather.apply(rows))  # type: ignore[no-untyped-call]
