"""Everything that decides a model's weights; its hash is how an existing model is found again."""

from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveInt

from catalogtool.config._base import Name, Settings, Specification
from catalogtool.preprocess.preparation import Preparation
from catalogtool.surveys._definition import Survey
from catalogtool.surveys._recipe import Stretch, TrainingOptions

Domain = Literal["source", "target_labelled", "target_unlabelled"]
DOMAINS: tuple[Domain, ...] = ("source", "target_labelled", "target_unlabelled")


class DomainData(Settings):
    """Where the cutouts of one domain come from."""

    survey: Survey
    input_format: Name
    input_uri: str | None
    labels_uri: str | None
    manifest_uri: str
    manifest_identity: str

    @property
    def simulated(self) -> bool:
        """Whether the cutouts are made up; the names of such formats say so."""
        return self.input_format.startswith("simulated")

    def that_matters(self) -> dict[str, Any]:
        """JSON values without addresses, for which the identity of their content stands."""
        values = self.to_json()
        for address in ("input_uri", "labels_uri", "manifest_uri"):
            del values[address]
        del values["survey"]["recipes"]
        return values


class TrainingSpec(Specification):
    """A complete description of one training."""

    network: Name
    network_options: dict[str, Any]
    method: Name
    method_options: dict[str, Any] = {}
    classes: tuple[Name, ...]
    label_kind: Literal["votes", "class"]
    mirrored: dict[Name, Name] = {}
    """Class of the mirror image of a class, where it is another one."""
    channels: PositiveInt
    """Bands seen at once."""
    size_pix: PositiveInt
    """Side of the central part of a cutout that is seen."""
    stretch: Stretch
    metadata: tuple[str, ...] = ()
    """Facts of the input that are seen besides pixels."""
    training: TrainingOptions
    test_share: float
    label_count: NonNegativeInt | None
    """Limit on the labelled cutouts of the target domain; no limit on the source."""
    shots: NonNegativeInt | None
    """The same per class; 0 in either: no label of the target teaches."""
    validation_shots: NonNegativeInt = 0
    """Further labels of the target per class that choose an epoch and do not teach."""
    seed: int
    source: DomainData | None
    target: DomainData | None
    starts_from: str | None
    """Identity of the training whose weights this one starts from; None: fresh weights."""

    @property
    def preparation(self) -> Preparation:
        """How cutouts are prepared for the network."""
        return Preparation(self.size_pix, self.stretch, self.metadata)

    def that_matters(self) -> dict[str, Any]:
        """Of the domains what matters; everything else."""
        matters = [domain and domain.that_matters() for domain in self.domains]
        return self.to_json() | dict(zip(("source", "target"), matters, strict=True))

    @property
    def uses_target_labels(self) -> bool:
        """Whether any label of the target may teach."""
        return 0 not in (self.label_count, self.shots)

    @property
    def simulated(self) -> bool:
        """Whether any training cutout was simulated."""
        return any(domain is not None and domain.simulated for domain in self.domains)

    @property
    def domains(self) -> tuple[DomainData | None, DomainData | None]:
        """Source and target."""
        return (self.source, self.target)
