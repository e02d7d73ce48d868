"""The trials of a comparison: what `produce` would train, by method, number of labels and seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

from catalogtool import storage
from catalogtool._discovery import check_module
from catalogtool.adaptation import load_method, method_names
from catalogtool.config.compare import CompareConfig
from catalogtool.config.training import TrainingSpec
from catalogtool.errors import ConfigError
from catalogtool.layout import OutputLayout
from catalogtool.production.domains import DomainInput, open_domain, open_source, require_labels
from catalogtool.production.trainings import needs_labels, plan_trainings, resolved_recipe
from catalogtool.progress import Progress
from catalogtool.surveys import load_survey
from catalogtool.surveys._recipe import Recipe
from catalogtool.training.labelled import label_domain, label_domains


@dataclass(frozen=True)
class Trial:
    """One training whose figures are wanted.

    Attributes
    ----------
    source, target : str
        Names of the surveys.
    method, shots, seed
        What is varied.
    trainings : tuple of TrainingSpec
        In order; the last one's network is measured.
    measured : TrainingSpec
        Says which labels of the target measure it, also where the training knows no target.
    """

    source: str
    target: str
    method: str
    shots: int
    seed: int
    trainings: tuple[TrainingSpec, ...]
    measured: TrainingSpec

    @property
    def identity(self) -> str:
        """SHA-256 of everything that decides its figures."""
        return self.measured.identity

    def names(self) -> dict[str, Any]:
        """What it is, for its record."""
        return {
            "source": self.source,
            "target": self.target,
            "method": self.method,
            "shots": self.shots,
            "seed": self.seed,
            "classes": self.measured.classes,
        }

    @property
    def sentence(self) -> str:
        """The trial in words."""
        labels = f"{self.shots} labels per class"
        return f"{self.method}, {self.source} to {self.target}, {labels}, seed {self.seed}"


@dataclass(frozen=True)
class _Pair:
    """Two surveys, opened, and how the second one adapts."""

    survey: str
    recipe: Recipe
    source: DomainInput
    target: DomainInput


def plan_trials(config: CompareConfig, progress: Progress) -> tuple[Trial, ...]:
    """Decide all trials; what can be refused is refused here.

    Parameters
    ----------
    config : CompareConfig
        What is asked.
    progress : Progress
        Hears which methods are left out because nobody asked for them and they do not fit.

    Raises
    ------
    ConfigError
        If settings contradict each other, the surveys or the labels.
    DataError
        If inputs cannot be listed, or there are too few labels.
    """
    manifests = OutputLayout(storage.normalise(config.output)).manifests
    trials: list[Trial] = []
    checked: set[str] = set()
    for target, source in _survey_pairs(config):
        pair = _open_pair(config, target, source, manifests)
        for method in _methods(config):
            try:
                planned = list(_trials_of(config, pair, method))
                _refuse_unlabelled(planned, checked)
            except ConfigError as error:
                if config.methods is not None:
                    raise
                progress.log(f"{method} is left out: {error}")
                continue
            trials += planned
    if not trials:
        raise ConfigError(
            "no trial is left: these methods need labels of the target, and shots is 0; allow "
            "some with --shots"
        )
    return tuple(trials)


def _survey_pairs(config: CompareConfig) -> list[tuple[str, str | None]]:
    """Target and source; None: the source of the target's recipe."""
    if config.all_pairs:
        return list(permutations(dict.fromkeys(config.surveys), 2))
    return [(target, None) for target in dict.fromkeys(config.surveys)]


def _methods(config: CompareConfig) -> tuple[str, ...]:
    if config.methods is None:
        return tuple(filter(_learns_from_source, method_names()))
    for name in config.methods:
        check_module("catalogtool.adaptation", name)
    return tuple(dict.fromkeys(config.methods))


def _learns_from_source(name: str) -> bool:
    """Whether a method transfers anything; others are compared only if they are asked for."""
    method = load_method(name)
    return "source" in method.domains or method.starts_from is not None


def _open_pair(
    config: CompareConfig, target_name: str, source_name: str | None, manifests: str
) -> _Pair:
    survey = load_survey(target_name)
    recipe = survey.recipes[0]
    if source_name is not None:
        recipe = recipe.model_copy(update={"source_survey": source_name})
    target = open_domain(survey, config.input, config.labels, manifests, None)
    require_labels(target, "comparison", "without them nothing can be measured")
    source = open_source(recipe, target, config.source_input, config.source_labels, manifests)
    if source.survey.name == survey.name:
        raise ConfigError(
            f"survey {survey.name}: its recipe learns from the survey itself, so there is nothing "
            "to adapt; name another source_survey in the recipe, or give several surveys and "
            "--all-pairs"
        )
    return _Pair(target_name, recipe, source, target)


def _trials_of(config: CompareConfig, pair: _Pair, method: str) -> Iterator[Trial]:
    shots_of = [shots for shots in dict.fromkeys(config.shots) if shots or not needs_labels(method)]
    for shots, seed in product(shots_of, range(config.seeds)):
        yield _plan_trial(config, pair, method, shots, seed)


def _refuse_unlabelled(trials: list[Trial], checked: set[str]) -> None:
    """Refuse trials with too few labels; what an earlier call has checked is not read again."""
    for trial in trials:
        if trial.seed:  # whether there are enough does not depend on the seed
            continue
        for spec in trial.trainings:
            if spec.identity not in checked:
                label_domains(spec)
                checked.add(spec.identity)
        label_domain(trial.measured, "target_labelled")


def _plan_trial(config: CompareConfig, pair: _Pair, method: str, shots: int, seed: int) -> Trial:
    config_of_one = config.production(pair.survey, method, shots, seed)
    recipe = _uncalibrated(resolved_recipe(pair.recipe, config_of_one))
    planned = plan_trainings(recipe, pair.source, pair.target, seed)
    trainings: list[TrainingSpec] = []
    for spec in planned:
        before = trainings[-1].identity if trainings else None
        trainings.append(_for_trial(spec, before, shots, config.validation_shots))
    last = trainings[-1]
    measured = last.model_copy(
        update={
            "target": pair.target.to_data(),
            "shots": shots,
            "validation_shots": config.validation_shots,
        }
    )
    names = (pair.source.survey.name, pair.target.survey.name)
    return Trial(*names, method, shots, seed, tuple(trainings), measured)


def _uncalibrated(recipe: Recipe) -> Recipe:
    """The recipe without calibration: that changes no figure of a comparison, and takes time."""
    changes = {"calibration": "none"}
    return recipe.model_copy(
        update={
            "source_training": recipe.source_training.model_copy(update=changes),
            "training": recipe.training.model_copy(update=changes),
        }
    )


def _for_trial(
    spec: TrainingSpec, starts_from: str | None, shots: int, validation_shots: int
) -> TrainingSpec:
    """A training whose epochs are judged with labels and without.

    All `shots` teach, others choose; and what is trained, and for how long, does not depend on
    those that choose.
    """
    changes: dict[str, object] = {"starts_from": starts_from}
    if spec.target is not None:
        options: dict[str, object] = {"validation_share": 0.0}
        if spec.training.select == "labels":
            options["select"] = "unlabelled"
        changes |= {"validation_shots": validation_shots, "shots": shots}
        changes["training"] = spec.training.model_copy(update=options)
    return spec.model_copy(update=changes)
