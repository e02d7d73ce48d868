"""The plan of a production: everything that can be known and refused before work starts."""

import hashlib
import math
from dataclasses import dataclass

from catalogtool import storage
from catalogtool.anomaly import read_method_options as read_anomaly_options
from catalogtool.catalogs import load_kind
from catalogtool.catalogs._base import CatalogContext
from catalogtool.config._base import canonical_json
from catalogtool.config.run import RunConfig
from catalogtool.config.scorer import ScorerSpec
from catalogtool.config.training import TrainingSpec
from catalogtool.errors import ModelError
from catalogtool.inference.host_fields import VERSION
from catalogtool.inference.scorers import read_scorer_spec
from catalogtool.layout import OutputLayout
from catalogtool.production.choice import choose
from catalogtool.production.domains import DomainInput, open_domain, open_source, refuse_unplaced
from catalogtool.production.hosts import galaxies_identity, host_band, plan_hosts
from catalogtool.production.trainings import plan_trainings, resolved_recipe
from catalogtool.surveys import load_survey
from catalogtool.surveys._definition import Survey
from catalogtool.surveys._recipe import AnomalyOptions, Recipe
from catalogtool.training.hosts import HostSpec
from catalogtool.training.labelled import label_domains, learns_from_target, main_domain
from catalogtool.training.model import read_trainings
from catalogtool.training.stored import is_stored

_WORKER_BASE_BYTES = 450 << 20  # a process with torch, pyarrow and astropy loaded


@dataclass(frozen=True)
class Plan:
    """One production, decided."""

    config: RunConfig
    layout: OutputLayout
    kinds: tuple[str, ...]
    """Catalog kinds that are written."""
    target: DomainInput
    trainings: tuple[TrainingSpec, ...]
    """In order; the last one's network makes the catalogs of classes and features. None: no kind
    needs a network."""
    scorer: ScorerSpec | None = None
    """What tells unusual objects by the features of that network."""
    hosts: HostSpec | None = None
    """The model of hosts."""
    host_band: int = 0
    """Index of the band in which it looks for them."""
    galaxies: str | None = None
    """Galaxies that hosts are matched with."""
    galaxies_identity: str | None = None
    """Changes when they do."""

    @property
    def model_uri(self) -> str | None:
        """Folder of the model of the network."""
        return self._folder(self.config.model, self.trainings[-1] if self.trainings else None)

    @property
    def scorer_uri(self) -> str | None:
        """Folder of the scorer."""
        return self._folder(self.config.scorer, self.scorer)

    @property
    def hosts_uri(self) -> str | None:
        """Folder of the model of hosts."""
        return self._folder(self.config.host_model, self.hosts)

    @property
    def fields_uri(self) -> str | None:
        """Folder of what hosts are found in: other objects, pixels or measures have another."""
        if self.hosts is None:
            return None
        facts = {
            "manifest": self.target.manifest.identity,
            "survey": self.survey.model_dump(mode="json", exclude={"recipes"}),
            "band": self.host_band,
            "version": VERSION,
        }
        identity = hashlib.sha256(canonical_json(facts).encode()).hexdigest()
        return self.layout.fields(self.survey.name, identity)

    def _folder(
        self, given: str | None, spec: TrainingSpec | ScorerSpec | HostSpec | None
    ) -> str | None:
        if spec is None:
            return None
        return storage.normalise(given) if given else self.layout.model(spec.identity)

    @property
    def survey(self) -> Survey:
        """The survey that gets the catalog."""
        return self.target.survey

    @property
    def simulated(self) -> bool:
        """Whether the cutouts of the catalog are simulated."""
        return self.target.format.simulated

    @property
    def unit_objects(self) -> int:
        """Objects per unit of work."""
        return math.ceil(self.target.manifest.objects / self.target.manifest.units)

    @property
    def worker_bytes(self) -> int:
        """Estimated peak memory of an inference worker."""
        size = self.survey.cutout_size_pix
        per_object = len(self.survey.bands) * size * size * 5  # float32 and mask
        return _WORKER_BASE_BYTES + 3 * self.unit_objects * per_object

    @property
    def simulated_training(self) -> bool:
        """Whether anything learned from simulated cutouts."""
        specs = (*self.trainings, self.hosts)
        return any(spec.simulated for spec in specs if spec is not None)

    def context(self, model_id: str, embedding_size: int = 0) -> CatalogContext:
        """What the catalog's columns depend on."""
        return CatalogContext.of(self.survey, model_id, embedding_size)


def make_plan(config: RunConfig, manifests_uri: str | None = None) -> Plan:
    """Decide a production: check names, list objects, describe trainings.

    Parameters
    ----------
    config : RunConfig
        What is asked.
    manifests_uri : str or None
        Folder for the manifests; None: the output folder's own.

    Raises
    ------
    ConfigError
        If settings contradict each other, the surveys or the labels.
    DataError
        If the inputs cannot be listed.
    """
    layout = OutputLayout(storage.normalise(config.output))
    manifests = manifests_uri or layout.manifests
    survey = load_survey(config.survey)
    choice = choose(survey, config.catalogs)
    target = open_domain(survey, config.input, config.labels, manifests, config.unit_objects)
    refuse_unplaced(target, config.max_flagged_share)
    trainings: tuple[TrainingSpec, ...] = ()
    scorer = None
    if choice.network is not None:
        trainings = _plan_network(config, choice.network, target, layout, manifests)
        if any(load_kind(kind).maker == "scorer" for kind in choice.kinds):
            scorer = _plan_scorer(config, choice.network.anomaly, target, trainings[-1])
    if choice.hosts is None or choice.hosts.hosts is None:
        return Plan(config, layout, choice.kinds, target, trainings, scorer)
    options = choice.hosts.hosts
    named = config.galaxies or options.galaxies
    galaxies = storage.normalise(named) if named else None
    return Plan(
        config,
        layout,
        choice.kinds,
        target,
        trainings,
        scorer,
        hosts=plan_hosts(config, choice.hosts, target, manifests),
        host_band=host_band(survey, options),
        galaxies=galaxies,
        galaxies_identity=galaxies_identity(galaxies) if galaxies else None,
    )


def _plan_network(
    config: RunConfig, recipe: Recipe, target: DomainInput, layout: OutputLayout, manifests: str
) -> tuple[TrainingSpec, ...]:
    recipe = resolved_recipe(recipe, config)
    if config.model is not None:
        trainings = read_trainings(storage.normalise(config.model))
        _refuse_unfit(trainings[-1], target.survey, recipe, config.model)
        return trainings
    source = open_source(recipe, target, config.source_input, config.source_labels, manifests)
    trainings = plan_trainings(recipe, source, target, config.seed)
    for spec in trainings:
        if not is_stored(layout.model(spec.identity)):
            _check_labels(spec)
    return trainings


def _plan_scorer(
    config: RunConfig, options: AnomalyOptions, target: DomainInput, network: TrainingSpec
) -> ScorerSpec:
    if config.scorer is not None:
        return read_scorer_spec(storage.normalise(config.scorer))
    read_anomaly_options(options.method, options.options)
    return ScorerSpec(
        method=options.method,
        options=options.options,
        network=network.identity,
        manifest_identity=target.manifest.identity,
        objects=options.objects,
        seed=config.seed,
    )


def _check_labels(spec: TrainingSpec) -> None:
    domains = label_domains(spec)
    if not learns_from_target(spec):
        main_domain(spec, domains)  # there may have to be labels to calibrate by


def _refuse_unfit(spec: TrainingSpec, survey: Survey, recipe: Recipe, uri: str) -> None:
    mine = (spec.classes, spec.label_kind, spec.channels, spec.size_pix)
    labels = survey.labels
    size = recipe.crop_pix or survey.cutout_size_pix
    yours = (labels.classes, labels.kind, survey.network_channels, size)
    if mine != yours:
        raise ModelError(
            f"{uri}: this model does not fit the survey {survey.name}: classes, kind of labels, "
            f"channels and cutout size must be equal; found {mine} and {yours}; choose another "
            "--model"
        )
