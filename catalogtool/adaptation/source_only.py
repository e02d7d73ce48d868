"""No adaptation: the network learns from the labelled source survey alone."""

from typing import ClassVar

from catalogtool.adaptation._base import DomainBatch, LossTerms, MethodOptions
from catalogtool.adaptation._base import Method as BaseMethod
from catalogtool.config.training import Domain


class Options(MethodOptions):
    """There is nothing to choose."""


class Method(BaseMethod):
    """The loss of the source labels."""

    domains: ClassVar[tuple[Domain, ...]] = ("source",)

    def forward(self, batches: dict[Domain, DomainBatch], progress: float) -> LossTerms:  # noqa: ARG002 - the common signature
        """Losses of one step."""
        batch = batches["source"]
        assert batch.votes is not None
        return {"label": self.label_loss(self.network(batch.images), batch.votes)}
