"""What is trained for a survey: a recipe with what was asked for, and its chain of trainings."""

from catalogtool.adaptation import load_method
from catalogtool.config.run import RunConfig
from catalogtool.config.training import TrainingSpec
from catalogtool.networks import fitting_head
from catalogtool.production.domains import DomainInput, require_labels
from catalogtool.production.fit import (
    method_options_for,
    options_for,
    refuse_single_views,
    refuse_unusable_changes,
)
from catalogtool.surveys._recipe import Recipe, TrainingOptions


def resolved_recipe(recipe: Recipe, config: RunConfig) -> Recipe:
    """A recipe of a network with everything that was asked for instead.

    Raises
    ------
    UnknownNameError
        If there is no method of that name.
    """
    changes = _limits(recipe, config)
    if config.epochs is not None:
        for name in ("source_training", "training"):
            options: TrainingOptions = getattr(recipe, name)
            changes[name] = options.model_copy(update={"max_epochs": config.epochs})
    recipe = _with_method(recipe.model_copy(update=changes), config.method or recipe.method)
    if 0 in (recipe.shots, recipe.label_count) and needs_labels(recipe.method):
        return _with_method(recipe, "source_only")
    return recipe


def _with_method(recipe: Recipe, method: str) -> Recipe:
    """Recipe with another method, and with a head of the network that suits this method."""
    changes: dict[str, object] = {}
    if method != recipe.method:
        changes = {"method": method, "method_options": {}}
    heads = load_method(method).heads
    changes["network_options"] = fitting_head(recipe.network, recipe.network_options, heads)
    return recipe.model_copy(update=changes)


def _limits(recipe: Recipe, config: RunConfig) -> dict[str, object]:
    """Limits on the labels of the target: those that are asked for, beside the recipe's."""
    limits: dict[str, object] = {"shots": recipe.shots, "label_count": recipe.label_count}
    asked = {"shots": config.shots, "label_count": config.label_count}
    asked = {name: limit for name, limit in asked.items() if limit is not None}
    if any(asked.values()):  # a recipe that uses no label does not keep one from asking for some
        limits = {name: limit or None for name, limit in limits.items()}
    return limits | asked


def needs_labels(method: str) -> bool:
    """Whether a method cannot do without labels of the target."""
    return "target_labelled" in load_method(method).domains


def plan_trainings(
    recipe: Recipe, source: DomainInput, target: DomainInput, seed: int
) -> tuple[TrainingSpec, ...]:
    """Describe the trainings that lead to a recipe's model, first to last.

    Raises
    ------
    ConfigError
        If options of the recipe do not fit the method or the survey.
    LabelError
        If a survey has no labels, and the method learns from them.
    """
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
    if needs_labels(method):
        remedy = "give a table of them with --labels, or choose --method source_only"
        require_labels(target, method, remedy)
    if "source" in domains:
        require_labels(source, method, "give a table of them with --source-labels")
    survey = target.survey
    training = options_for(method, recipe)
    learns_from_target = any(domain != "source" for domain in domains)
    is_start = method != recipe.method
    calibrates = not (learns_from_target or is_start) and _can_calibrate(
        training, recipe, source, target
    )
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
        size_pix=recipe.crop_pix or survey.cutout_size_pix,
        stretch=recipe.stretch,
        metadata=recipe.metadata,
        training=training,
        test_share=recipe.test_share,
        **_label_limits(method, recipe, target, calibrates=calibrates),
        seed=seed,
        source=source.to_data(),
        target=target.to_data() if learns_from_target or calibrates else None,
        starts_from=starts_from,
    )


def _can_calibrate(
    training: TrainingOptions, recipe: Recipe, source: DomainInput, target: DomainInput
) -> bool:
    """Whether labels of the target that teach nothing are to make the probabilities honest."""
    is_other_survey = source.survey.name != target.survey.name  # else they may have taught
    allows_labels = 0 not in (recipe.shots, recipe.label_count)
    is_asked = training.calibration != "none"
    return is_asked and is_other_survey and allows_labels and target.has_labels


def _label_limits(
    method: str, recipe: Recipe, target: DomainInput, *, calibrates: bool
) -> dict[str, int | None]:
    """Limits on the labels of the target; 0 where the method sees the target but none of them."""
    seen = load_method(method)
    takes_labels = "target_labelled" in seen.optional and target.has_labels
    if calibrates or takes_labels or needs_labels(method):
        return {"label_count": recipe.label_count, "shots": recipe.shots}
    return {"label_count": None, "shots": 0 if "target_unlabelled" in seen.domains else None}
