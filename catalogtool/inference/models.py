"""Everything that a run predicts with, loaded once per process."""

from dataclasses import dataclass

import torch

from catalogtool.catalogs import load_kind
from catalogtool.catalogs._base import CatalogContext, CatalogKind
from catalogtool.inference.scorers import StoredScorer, load_scorer
from catalogtool.surveys._definition import Survey
from catalogtool.training.hosts import HostModel, load_host_model
from catalogtool.training.model import Model, load_model


@dataclass(frozen=True)
class RunModels:
    """The models of a run; None where no catalog needs one.

    Attributes
    ----------
    network : Model or None
        Names classes and gives features.
    scorer : StoredScorer or None
        Tells unusual objects by those features.
    hosts : HostModel or None
        Finds hosts.
    """

    network: Model | None = None
    scorer: StoredScorer | None = None
    hosts: HostModel | None = None

    @property
    def ids(self) -> dict[str, str]:
        """Identities by what the models make, see `CatalogKind.maker`."""
        found: dict[str, str] = {}
        if self.network is not None:
            found |= {"network": self.network.model_id, "features": self.network.model_id}
        if self.scorer is not None:
            found["scorer"] = self.scorer.model_id
        if self.hosts is not None:
            found["hosts"] = self.hosts.model_id
        return found

    @property
    def embedding_size(self) -> int:
        """Numbers in an embedding; 0 without a network."""
        if self.network is None:
            return 0
        spec = self.network.spec
        channels = spec.preparation.channels(spec.channels)
        with torch.inference_mode():
            blank = torch.zeros(1, channels, spec.size_pix, spec.size_pix)
            return int(self.network.network.features(blank).shape[1])

    def context(self, survey: Survey, kind: CatalogKind) -> CatalogContext:
        """What the columns of a kind depend on."""
        size = self.embedding_size if kind.maker == "features" else 0
        return CatalogContext.of(survey, self.ids[kind.maker], size)


def load_models(
    model_uri: str | None, scorer_uri: str | None = None, hosts_uri: str | None = None
) -> RunModels:
    """Read the models of a run from their folders.

    Raises
    ------
    ModelError
        If one is missing or damaged.
    """
    return RunModels(
        network=load_model(model_uri) if model_uri else None,
        scorer=load_scorer(scorer_uri) if scorer_uri else None,
        hosts=load_host_model(hosts_uri) if hosts_uri else None,
    )


def model_ids(models: RunModels, kinds: tuple[str, ...]) -> dict[str, str]:
    """Which model makes which catalog kind."""
    return {kind: models.ids[load_kind(kind).maker] for kind in kinds}
