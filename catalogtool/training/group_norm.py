"""Batch normalisation over the batches of all workers, as if one worker had seen them together."""

from typing import Any, cast

import torch
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


class GroupBatchNorm(_BatchNorm):
    """Batch normalisation whose statistics in training are those of the whole process group.

    It works on any device, where ``torch.nn.SyncBatchNorm`` needs CUDA. Workers may have different
    numbers of cutouts.
    """

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Normalised values of shape (B, C, ...)."""
        if not self.training:
            as_trained: torch.Tensor = super().forward(values)
            return as_trained
        axes = [axis for axis in range(values.dim()) if axis != 1]
        broadcast = [1, -1] + [1] * (values.dim() - 2)
        exact = values.float()
        number = exact.new_tensor([values.numel() / values.shape[1]])
        sums = _sum_of_workers(torch.cat([exact.sum(axes), number]))  # (C + 1,)
        mean, count = sums[:-1] / sums[-1], sums[-1].detach()
        # Squares of what is left, not of the values: their mean may be far from zero.
        centred = exact - mean.view(broadcast)
        variance = _sum_of_workers(centred.square().sum(axes)) / count  # (C,)
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        normalised = centred * scale.view(broadcast) + self.bias.view(broadcast)
        return normalised.to(values.dtype)

    def _remember(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)

    def _check_input_dim(self, values: torch.Tensor) -> None:
        """Any number of dimensions will do."""


def share_norms(module: nn.Module, device: torch.device) -> None:
    """Let every batch normalisation inside a module see the batches of all workers.

    Weights and buffers stay the same objects under the same names.
    """
    for name, child in list(module.named_children()):
        if not isinstance(child, _BatchNorm):
            share_norms(child, device)
        elif device.type == "cuda":
            setattr(module, name, _on_cuda(child))
        else:
            setattr(module, name, _shared(child))


class _SumOfWorkers(torch.autograd.Function):
    """Sum over the process group. Every worker's loss depends on it, so gradients sum up too."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor) -> torch.Tensor:  # noqa: ANN401, ARG004 - torch's own
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:  # noqa: ANN401, ARG004
        total = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total


def _sum_of_workers(values: torch.Tensor) -> torch.Tensor:
    return cast("torch.Tensor", _SumOfWorkers.apply(values))  # type: ignore[no-untyped-call]


def _on_cuda(norm: _BatchNorm) -> nn.Module:
    return cast("nn.Module", nn.SyncBatchNorm.convert_sync_batchnorm(norm))  # type: ignore[no-untyped-call]


def _shared(norm: _BatchNorm) -> GroupBatchNorm:
    shared = GroupBatchNorm(norm.num_features, norm.eps, norm.momentum)
    for tensors in ("_parameters", "_buffers"):
        getattr(shared, tensors).update(getattr(norm, tensors))
    return shared.train(norm.training)
