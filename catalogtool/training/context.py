"""What the training loop needs to know of where it runs: alone, or in a process group."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from catalogtool.training.group_norm import share_norms


class TrainingContext(Protocol):
    """One of several equal workers."""

    rank: int
    world_size: int
    device: torch.device
    saved: bytes | None
    """Checkpoint to resume from."""

    def wrap(self, module: nn.Module) -> nn.Module:
        """Make gradients the mean over all workers, and batch statistics those of all batches."""

    def synchronise(self, module: nn.Module) -> None:
        """Give all workers the buffers of the first one."""

    def gather(self, array: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """Arrays of all workers, in the order of their ranks."""

    def report(self, epoch: int, metrics: dict[str, Any], state: Callable[[], bytes]) -> None:
        """Take note of a finished epoch; `state` makes the checkpoint, if one is wanted."""


class SingleProcess:
    """Training in this process, without Ray.

    Parameters
    ----------
    device : torch.device or None
        Where to compute; None: on the processor.
    saved : bytes or None
        Checkpoint to resume from.
    """

    rank = 0
    world_size = 1

    def __init__(self, device: torch.device | None = None, saved: bytes | None = None) -> None:
        self.device = device or torch.device("cpu")
        self.saved = saved

    def wrap(self, module: nn.Module) -> nn.Module:
        """Nothing to do for one worker."""
        return module

    def synchronise(self, module: nn.Module) -> None:
        """Nothing to do for one worker."""

    def gather(self, array: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """The only array there is."""
        return [array]

    def report(self, epoch: int, metrics: dict[str, Any], state: Callable[[], bytes]) -> None:
        """Nobody listens; a subclass may."""


class GroupMember:
    """One of several workers of a ``torch.distributed`` process group.

    Parameters
    ----------
    device : torch.device
        Where this worker computes.
    saved : bytes or None
        Checkpoint to resume from.
    """

    def __init__(self, device: torch.device, saved: bytes | None = None) -> None:
        self.rank = distributed.get_rank()
        self.world_size = distributed.get_world_size()
        self.device = device
        self.saved = saved

    def wrap(self, module: nn.Module) -> nn.Module:
        """Make gradients the mean over all workers, and batch statistics those of all batches."""
        if self.world_size == 1:
            return module
        share_norms(module, self.device)
        return DistributedDataParallel(module)

    def synchronise(self, module: nn.Module) -> None:
        """Give all workers the buffers of the first one."""
        if self.world_size > 1:
            for buffer in module.buffers():
                distributed.broadcast(buffer, src=0)

    def gather(self, array: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """Arrays of all workers, in the order of their ranks."""
        arrays: list[Any] = [None] * self.world_size
        distributed.all_gather_object(arrays, array)
        return arrays

    def report(self, epoch: int, metrics: dict[str, Any], state: Callable[[], bytes]) -> None:
        """Nobody listens; a subclass may."""


class Unwatched:
    """The same worker, in a training that nobody resumes or hears of.

    Parameters
    ----------
    context : TrainingContext
        The worker.
    """

    def __init__(self, context: TrainingContext) -> None:
        self.saved: bytes | None = None
        self.rank = context.rank
        self.world_size = context.world_size
        self.device = context.device
        self.wrap = context.wrap
        self.synchronise = context.synchronise
        self.gather = context.gather

    def report(self, epoch: int, metrics: dict[str, Any], state: Callable[[], bytes]) -> None:
        """Nobody listens."""
