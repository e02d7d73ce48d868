"""Fine-tuning: all layers of the source-only network learn on from the target's labels.

References
----------
Perez-Carrasco et al. 2019, PASP 131, 108002 (arXiv:1810.07857).
"""

from typing import ClassVar

from catalogtool.adaptation import target_only


class Options(target_only.Options):
    """There is nothing to choose."""


class Method(target_only.Method):
    """The loss of the target labels, from the weights that the source taught."""

    starts_from: ClassVar[str | None] = "source_only"
