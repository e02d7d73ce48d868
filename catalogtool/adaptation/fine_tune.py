"""Fine-tuning: all layers of the source-only network learn on from the target's labels.

References
----------
Perez-Carrasco et al. 2019, PASP 131, 108002 (arXiv:1810.07857).
"""

from typing import ClassVar, Self

from torch.nn.modules.batchnorm import _BatchNorm

from catalogtool.adaptation import target_only
from catalogtool.adaptation._base import MethodOptions


class Options(MethodOptions):
    """Options of fine-tuning."""

    keep_statistics: bool = True
    """Whether batch normalisations keep the means and variances that the source taught them, and
    learn their scales alone: a handful of cutouts says little about a survey, hundreds do."""


class Method(target_only.Method):
    """The loss of the target labels, from the weights that the source taught."""

    starts_from: ClassVar[str | None] = "source_only"
    options: Options

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - the signature of torch
        """Training or evaluation; statistics that are kept are used in both."""
        super().train(mode)
        if self.options.keep_statistics:
            for layer in self.network.modules():
                if isinstance(layer, _BatchNorm):
                    layer.eval()
        return self
