"""Outputs of earlier batches, remembered first in, first out.

References
----------
Saito et al. 2020, NeurIPS (arXiv:2002.07953), section 3.1.
"""

import torch
from torch import nn

from catalogtool.adaptation._gather import gather_rows


class MemoryBank(nn.Module):
    """The latest rows of all workers, in buffers, so that checkpoints hold them.

    Read it before the current batch is added: a row that meets itself says nothing.

    Parameters
    ----------
    capacity : int
        Rows that are kept.
    width : int
        Numbers in a row.
    """

    values: torch.Tensor
    place: torch.Tensor
    count: torch.Tensor

    def __init__(self, capacity: int, width: int) -> None:
        super().__init__()
        self.register_buffer("values", torch.zeros(capacity, width))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))  # of the next row
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def read(self) -> torch.Tensor:
        """Rows of earlier batches, shape (M, width), without gradient; none at first."""
        # A copy: rows are added before the backward pass needs what was read.
        return self.values[: int(self.count)].clone()

    @torch.no_grad()
    def add(self, rows: torch.Tensor) -> None:
        """Remember rows of shape (B, width) of every worker, and forget the oldest."""
        capacity = len(self.values)
        latest = gather_rows(rows).float()[-capacity:]
        places = (self.place + torch.arange(len(latest), device=latest.device)) % capacity
        self.values[places] = latest
        self.place.copy_((self.place + len(latest)) % capacity)
        self.count.copy_((self.count + len(latest)).clamp(max=capacity))
