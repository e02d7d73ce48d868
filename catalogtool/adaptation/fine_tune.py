"""Fine-tuning: all layers of the source-only network learn on from the target's labels.

Labels that do not fill a batch teach the scales of batch normalisations, whose means and variances
stay those of the source: a handful of cutouts says little about a survey.

References
----------
Perez-Carrasco et al. 2019, PASP 131, 108002 (arXiv:1810.07857).
"""

from typing import ClassVar, Self

from torch.nn.modules.batchnorm import _BatchNorm

from catalogtool.adaptation import target_only
from catalogtool.adaptation._base import MethodOptions


class Options(MethodOptions):
    """There is nothing to choose."""


class Method(target_only.Method):
    """The loss of the target labels, from the weights that the source taught."""

    starts_from: ClassVar[str | None] = "source_only"

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - the signature of torch
        """Training or evaluation; statistics that are kept serve in both."""
        super().train(mode)
        if not self.labels_fill_a_batch:
            for layer in self.network.modules():
                if isinstance(layer, _BatchNorm):
                    layer.eval()
        return self
