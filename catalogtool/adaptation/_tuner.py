"""Boundary and margin of the entropy separation, moved where the loss stands still.

References
----------
Ciprijanovic et al. 2023, MLST (arXiv:2302.02005), algorithm 1.
"""

import math

import torch
from torch import nn

STEPS = (0.3, -0.3, 0.5, -0.5)
"""Nats that are added, in turn."""
_PATIENCE = (5, 2, 2)  # parts without a lower loss before boundary, margin, doubled margin


class SeparationTuner(nn.Module):
    """Boundary rho and margin m, and all that decides on their next move, in buffers.

    The training is seen as so many equal parts, each judged by its mean loss. After five parts
    without a lower loss than ever a step is added to rho, after two more to m, after two more m
    is doubled, and so on from the start with the next step. A lower loss restarts the count.

    Parameters
    ----------
    classes : int
        K; rho stays between 0 and ln K, m does not fall below 0.
    boundary, margin : float
        rho and m at first, nats.
    parts : int
        What the paper calls epochs.
    """

    boundary: torch.Tensor
    margin: torch.Tensor
    lowest: torch.Tensor
    loss_sum: torch.Tensor
    loss_count: torch.Tensor
    part: torch.Tensor
    stalled: torch.Tensor
    moves: torch.Tensor

    def __init__(self, classes: int, boundary: float, margin: float, parts: int) -> None:
        super().__init__()
        self.largest = math.log(classes)
        self.parts = parts
        self.register_buffer("boundary", torch.tensor(boundary))
        self.register_buffer("margin", torch.tensor(margin))
        self.register_buffer("lowest", torch.tensor(math.inf))
        self.register_buffer("loss_sum", torch.tensor(0.0))
        for name in ("loss_count", "part", "stalled", "moves"):
            self.register_buffer(name, torch.tensor(0))

    @torch.no_grad()
    def observe(self, loss: torch.Tensor, progress: float) -> None:
        """Take note of the loss of a step.

        Parameters
        ----------
        loss : Tensor, shape ()
            The same on every worker.
        progress : float
            Share of the training that is done, 0 to 1.
        """
        part = int(progress * self.parts)
        if part != int(self.part) and int(self.loss_count) > 0:
            self._judge(self.loss_sum / self.loss_count)
            self.loss_sum.zero_()
            self.loss_count.zero_()
        self.part.fill_(part)
        self.loss_sum += loss
        self.loss_count += 1

    def _judge(self, loss: torch.Tensor) -> None:
        if loss < self.lowest:
            self.lowest.copy_(loss)
            self.stalled.zero_()
            return
        self.stalled += 1
        cycle, phase = divmod(int(self.moves), len(_PATIENCE))
        if int(self.stalled) >= _PATIENCE[phase]:
            self._move(STEPS[cycle % len(STEPS)], phase)
            self.moves += 1
            self.stalled.zero_()

    def _move(self, step: float, phase: int) -> None:
        if phase == 0:
            self.boundary.add_(step).clamp_(0, self.largest)
        elif phase == 1:
            self.margin.add_(step).clamp_(min=0)
        else:
            self.margin.mul_(2)
