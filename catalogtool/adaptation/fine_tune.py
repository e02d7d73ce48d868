"""Fine-tuning: all layers of the source-only network learn on from the target's labels.

References
----------
Perez-Carrasco et al. 2019, PASP 131, 108002 (arXiv:1810.07857).

Notes
-----
Batch normalisations learn their scales, but keep the statistics that the source taught them: those
of a handful of labelled cutouts say little about a survey.
"""

from typing import ClassVar, Self

from torch.nn.modules.batchnorm import _BatchNorm

from catalogtool.adaptation import target_only


class Options(target_only.Options):
    """There is nothing to choose."""


class Method(target_only.Method):
    """The loss of the target labels, from the weights that the source taught."""

    starts_from: ClassVar[str | None] = "source_only"

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - the signature of torch
        """Training or evaluation of everything but the batch normalisations' statistics."""
        super().train(mode)
        for layer in self.network.modules():
            if isinstance(layer, _BatchNorm):
                layer.eval()
        return self
