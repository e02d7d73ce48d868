"""The plan of a production: everything that can be known and refused before work starts."""

import math
from dataclasses import dataclass

from catalogtool import storage
from catalogtool.catalogs import load_kind
from catalogtool.catalogs._base import CatalogContext
from catalogtool.config.run import RunConfig
from catalogtool.config.training import TrainingSpec
from catalogtool.errors import ModelError
from catalogtool.layout import OutputLayout
from catalogtool.production.domains import DomainInput, open_domain, open_source, refuse_unplaced
from catalogtool.production.trainings import plan_trainings, resolved_recipe
from catalogtool.surveys import load_survey
from catalogtool.surveys._definition import Recipe, Survey
from catalogtool.training.labelled import label_domains, learns_from_target, main_domain
from catalogtool.training.model import RECORD_FILE, read_trainings

_WORKER_BASE_BYTES = 450 << 20  # a process with torch, pyarrow and astropy loaded


@dataclass(frozen=True)
class Plan:
    """One production, decided."""

    config: RunConfig
    layout: OutputLayout
    recipe: Recipe
    target: DomainInput
    trainings: tuple[TrainingSpec, ...]
    """In order; the last one's model makes the catalog."""

    @property
    def model_uri(self) -> str:
        """Folder of the model that makes the catalog."""
        if self.config.model is not None:
            return storage.normalise(self.config.model)
        return self.layout.model(self.trainings[-1].identity)

    @property
    def survey(self) -> Survey:
        """The survey that gets the catalog."""
        return self.target.survey

    @property
    def kinds(self) -> tuple[str, ...]:
        """Catalog kinds that are written."""
        return self.recipe.kinds

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

    def context(self, model_id: str) -> CatalogContext:
        """What the catalog's columns depend on."""
        return CatalogContext.of(self.survey, model_id)


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
    recipe = resolved_recipe(survey, config)
    for kind in recipe.kinds:
        load_kind(kind)
    target = open_domain(survey, config.input, config.labels, manifests, config.unit_objects)
    refuse_unplaced(target, config.max_flagged_share)
    if config.model is None:
        source = open_source(recipe, target, config.source_input, config.source_labels, manifests)
        trainings = plan_trainings(recipe, source, target, config.seed)
        for spec in trainings:
            if not storage.exists(storage.join(layout.model(spec.identity), RECORD_FILE)):
                _check_labels(spec)
    else:
        trainings = read_trainings(storage.normalise(config.model))
        _refuse_unfit(trainings[-1], survey, recipe, config.model)
    return Plan(config, layout, recipe, target, trainings)


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
