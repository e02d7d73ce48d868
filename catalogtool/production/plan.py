"""The plan of a production: everything that can be known and refused before work starts."""

import math
from dataclasses import dataclass

from catalogtool import storage
from catalogtool.adaptation import load_method
from catalogtool.catalogs import load_kind
from catalogtool.catalogs._base import CatalogContext
from catalogtool.config.run import RunConfig
from catalogtool.config.training import DomainData, TrainingSpec
from catalogtool.errors import ConfigError, FlaggedShareError, LabelError, ModelError
from catalogtool.inputs import open_input_format
from catalogtool.inputs._base import Format
from catalogtool.inputs.manifest import Manifest, build_manifest
from catalogtool.layout import OutputLayout
from catalogtool.production.fit import (
    method_options_for,
    options_for,
    refuse_single_views,
    refuse_unequal_surveys,
    refuse_unusable_changes,
)
from catalogtool.surveys import load_survey
from catalogtool.surveys._definition import Recipe, Survey, TrainingOptions
from catalogtool.training.model import RECORD_FILE, read_trainings
from catalogtool.training.run import label_domains

UNIT_CUTOUTS = 256
"""Network inputs per unit: some seconds of work on a core."""
_WORKER_BASE_BYTES = 450 << 20  # a process with torch, pyarrow and astropy loaded


@dataclass(frozen=True)
class DomainInput:
    """A survey's opened input and its manifest."""

    survey: Survey
    format: Format
    format_name: str
    manifest: Manifest

    def to_data(self) -> DomainData:
        """Description that travels to workers and into records."""
        return DomainData(
            survey=self.survey,
            input_format=self.format_name,
            input_uri=self.format.uri,
            labels_uri=self.format.labels_uri,
            manifest_uri=self.manifest.uri,
            manifest_identity=self.manifest.identity,
        )


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
        return CatalogContext(
            classes=self.survey.labels.classes,
            bands=self.survey.band_names,
            per_band=self.survey.labels.per_band,
            model_id=model_id,
        )


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
    recipe = _resolved_recipe(survey, config)
    for kind in recipe.kinds:
        load_kind(kind)
    target = _open_domain(survey, config.input, config.labels, manifests, config.unit_objects)
    _refuse_unplaced(target, config.max_flagged_share)
    if config.model is None:
        source = _source(recipe, target, config, manifests)
        trainings = _trainings(recipe, source, target, config.seed)
        for spec in trainings:
            if not storage.exists(storage.join(layout.model(spec.identity), RECORD_FILE)):
                label_domains(spec)
    else:
        trainings = read_trainings(storage.normalise(config.model))
        _refuse_unfit(trainings[-1], survey, config.model)
    return Plan(config, layout, recipe, target, trainings)


def _resolved_recipe(survey: Survey, config: RunConfig) -> Recipe:
    recipe = survey.recipe_for(config.catalog)
    if recipe is None:
        known = ", ".join(kind for r in survey.recipes for kind in r.kinds)
        raise ConfigError(
            f"survey {survey.name} has no recipe for the catalog {config.catalog!r}; known: {known}"
        )
    changes: dict[str, object] = {}
    if config.catalog is not None:
        changes["kinds"] = (config.catalog,)
    changes |= _limits(recipe, config)
    if config.epochs is not None:
        for name in ("source_training", "training"):
            options: TrainingOptions = getattr(recipe, name)
            changes[name] = options.model_copy(update={"max_epochs": config.epochs})
    recipe = _with_method(recipe.model_copy(update=changes), config.method or recipe.method)
    if 0 in (recipe.shots, recipe.label_count) and _needs_labels(recipe.method):
        return _with_method(recipe, "source_only")
    return recipe


def _with_method(recipe: Recipe, method: str) -> Recipe:
    """Recipe with another method, and with the network that this method needs."""
    changes: dict[str, object] = {}
    if method != recipe.method:
        changes = {"method": method, "method_options": {}}
    network = load_method(method).needs_network
    if network not in (None, recipe.network):
        changes |= {"network": network, "network_options": {}}
    return recipe.model_copy(update=changes)


def _limits(recipe: Recipe, config: RunConfig) -> dict[str, object]:
    """Limits on the labels of the target: those that are asked for, beside the recipe's."""
    limits: dict[str, object] = {"shots": recipe.shots, "label_count": recipe.label_count}
    asked = {"shots": config.shots, "label_count": config.label_count}
    asked = {name: limit for name, limit in asked.items() if limit is not None}
    if any(asked.values()):  # a recipe that uses no label does not keep one from asking for some
        limits = {name: limit or None for name, limit in limits.items()}
    return limits | asked


def _needs_labels(method: str) -> bool:
    return "target_labelled" in load_method(method).domains


def _source(recipe: Recipe, target: DomainInput, config: RunConfig, manifests: str) -> DomainInput:
    """The labelled survey: another one, or the target where that has labels of its own."""
    is_own = recipe.source_survey == target.survey.name
    if is_own and config.source_input is None and _has_labels(target):
        return target
    survey = target.survey if is_own else load_survey(recipe.source_survey)
    refuse_unequal_surveys(survey, target.survey, recipe)
    return _open_domain(survey, config.source_input, config.source_labels, manifests, None)


def _refuse_unfit(spec: TrainingSpec, survey: Survey, uri: str) -> None:
    mine = (spec.classes, spec.label_kind, spec.channels, spec.size_pix)
    labels = survey.labels
    yours = (labels.classes, labels.kind, survey.network_channels, survey.cutout_size_pix)
    if mine != yours:
        raise ModelError(
            f"{uri}: this model does not fit the survey {survey.name}: classes, kind of labels, "
            f"channels and cutout size must be equal; found {mine} and {yours}; choose another "
            "--model"
        )


def objects_per_unit(survey: Survey, asked: int | None) -> int:
    """Objects per unit of work: those that were asked for, or enough for some seconds."""
    return asked or max(1, math.ceil(UNIT_CUTOUTS / survey.rows_per_object))


def _open_domain(
    survey: Survey,
    uri: str | None,
    labels: str | None,
    manifests: str,
    unit_objects: int | None,
) -> DomainInput:
    source = open_input_format(
        survey,
        storage.normalise(uri) if uri else None,
        storage.normalise(labels) if labels else None,
    )
    objects = objects_per_unit(survey, unit_objects)
    format_name = type(source).__module__.rsplit(".", 1)[-1]
    manifest = build_manifest(source, manifests, objects)
    return DomainInput(survey, source, format_name, manifest)


def _trainings(
    recipe: Recipe, source: DomainInput, target: DomainInput, seed: int
) -> tuple[TrainingSpec, ...]:
    chain = [recipe.method]
    while (before := load_method(chain[0]).starts_from) is not None:
        chain.insert(0, before)
    specs: list[TrainingSpec] = []
    for method in chain:
        starts_from = specs[-1].identity if specs else None
        specs.append(_training(method, recipe, source, target, seed, starts_from))
    return tuple(specs)


def _training(
    method: str,
    recipe: Recipe,
    source: DomainInput,
    target: DomainInput,
    seed: int,
    starts_from: str | None,
) -> TrainingSpec:
    domains = load_method(method).domains
    uses_target = any(domain != "source" for domain in domains)
    if _needs_labels(method):
        remedy = "give a table of them with --labels, or choose --method source_only"
        _require_labels(target, method, remedy)
    if "source" in domains:
        _require_labels(source, method, "give a table of them with --source-labels")
    survey = target.survey
    training = options_for(method, recipe)
    refuse_unusable_changes(survey, training)
    refuse_single_views(survey, training, method)
    return TrainingSpec(
        network=recipe.network,
        network_options=recipe.network_options,
        method=method,
        method_options=method_options_for(method, recipe),
        classes=survey.labels.classes,
        label_kind=survey.labels.kind,
        mirrored=survey.labels.mirrored,
        channels=survey.network_channels,
        size_pix=survey.cutout_size_pix,
        stretch=recipe.stretch,
        training=training,
        test_share=recipe.test_share,
        **_label_limits(method, recipe, target),
        seed=seed,
        source=source.to_data(),
        target=target.to_data() if uses_target else None,
        starts_from=starts_from,
    )


def _label_limits(method: str, recipe: Recipe, target: DomainInput) -> dict[str, int | None]:
    """Limits on the labels of the target; 0 where the method sees the target but none of them."""
    seen = load_method(method)
    if _needs_labels(method) or ("target_labelled" in seen.optional and _has_labels(target)):
        return {"label_count": recipe.label_count, "shots": recipe.shots}
    return {"label_count": None, "shots": 0 if "target_unlabelled" in seen.domains else None}


def _refuse_unplaced(target: DomainInput, limit: float) -> None:
    """Refuse early what the ledger would refuse late: too many objects without a position."""
    objects = target.manifest.objects
    unplaced = target.manifest.unplaced
    if unplaced < objects and unplaced <= limit * objects:
        return
    source = target.survey.input
    raise FlaggedShareError(
        f"{target.format.uri}: {unplaced} of {objects} objects have no position; a catalog needs "
        f"one of all but {limit:.1%} (--max-flagged). Give --labels a table with the columns "
        f"{source.id_column}, {source.ra_column} and {source.dec_column} in degrees, or cutouts "
        "with a celestial WCS",
        unplaced=unplaced,
    )


def _has_labels(domain: DomainInput) -> bool:
    return domain.manifest.labelled > 0


def _require_labels(domain: DomainInput, method: str, remedy: str) -> None:
    if _has_labels(domain):
        return
    raise LabelError(
        f"{domain.format.uri or domain.survey.name}: no object has a label, but the method "
        f"{method} learns from labels; {remedy}"
    )
