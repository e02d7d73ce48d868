"""How each method is trained in the comparisons on real images."""

from dataclasses import dataclass, field, replace
from typing import Any

from catalogtool.adaptation import load_method
from catalogtool.networks import fitting_head
from catalogtool.surveys._recipe import TrainingOptions

STRONG = ("background", "blur", "cutout", "gain", "noise", "shift")


@dataclass(frozen=True)
class Recipe:
    """Network, options of the training and of the method."""

    training: TrainingOptions
    method_options: dict[str, Any] = field(default_factory=dict)
    network: str = ""
    network_options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskRecipe:
    """Recipes of a task: how the source teaches, and how every method adapts."""

    network: str
    network_options: dict[str, Any]
    source: TrainingOptions
    adapted: TrainingOptions
    special: dict[str, Recipe]
    plain: dict[str, Recipe] = field(default_factory=dict)
    """Instead of `special`, where no image is changed."""

    def for_method(self, name: str, *, plain: bool) -> Recipe:
        """Recipe of a method; a plain one changes no image."""
        special = self.special | self.plain if plain else self.special
        found = special.get(name, Recipe(self.adapted))
        training = _without_changes(found.training) if plain else found.training
        network = found.network or self.network
        options = found.network_options if found.network else self.network_options
        options = fitting_head(network, options, load_method(name).heads)
        return Recipe(training, found.method_options, network, options)

    def for_source(self, name: str, *, plain: bool, steps: int | None = None) -> Recipe:
        """How the source teaches the network of a method, in so many steps."""
        training = _without_changes(self.source) if plain else self.source
        training = training if steps is None else _steps(training, steps)
        recipe = self.for_method(name, plain=plain)
        return replace(recipe, training=training, method_options={})


def _without_changes(options: TrainingOptions) -> TrainingOptions:
    return options.model_copy(update={"augment": ()})


def _steps(options: TrainingOptions, steps: int, **changes: Any) -> TrainingOptions:  # noqa: ANN401
    """The options with a number of steps, in ten epochs, and other changes."""
    update = {"max_epochs": 10, "steps_per_epoch": steps // 10, **changes}
    return options.model_copy(update=update)


_SOURCE = TrainingOptions(
    batch_size=64, learning_rate=1e-3, schedule="one_cycle", class_balanced=True, select="last"
)
_ADAPTED = TrainingOptions(
    batch_size=64,
    learning_rate=0.01,
    optimiser="sgd",
    weight_decay=5e-4,
    schedule="cosine",
    class_balanced=True,
    select="last",
)
_FEW_ADAMW = {"optimiser": "adamw", "learning_rate": 3e-4, "weight_decay": 0.0}


def _digits() -> TaskRecipe:
    source = _steps(_SOURCE, 1200, augment=("warp",))
    adapted = _steps(_ADAPTED, 500, augment=("warp",))
    return TaskRecipe(
        network="lenet",
        network_options={"head": "cosine"},
        source=source,
        adapted=adapted,
        special={
            "fine_tune": Recipe(_steps(adapted, 200, **_FEW_ADAMW)),
            "con2da": Recipe(
                _steps(adapted, 500, strong=STRONG, **_FEW_ADAMW), {"contrast_weight": 0.1}
            ),
            "avda": Recipe(
                _steps(_SOURCE, 500, augment=("warp",), domain_norm=True), network="mixture"
            ),
        },
        # Chosen on images of the pool that gave no label, with seeds 20 to 23.
        plain={
            "mme": Recipe(
                _steps(
                    adapted,
                    1000,
                    batch_size=32,
                    unlabelled_batch=64,
                    optimiser="adamw",
                    learning_rate=2e-3,
                )
            )
        },
    )


def _galaxies(augment: tuple[str, ...]) -> TaskRecipe:
    source = _steps(_SOURCE, 2000, augment=augment, learning_rate=2e-3)
    adapted = _steps(
        _ADAPTED, 300, augment=augment, batch_size=32, unlabelled_batch=64, domain_norm=True
    )
    return TaskRecipe(
        network="resnet",
        network_options={"head": "cosine"},
        source=source,
        adapted=adapted,
        special={
            "fine_tune": Recipe(_steps(adapted, 150, domain_norm=False, **_FEW_ADAMW)),
            "con2da": Recipe(
                _steps(adapted, 300, strong=STRONG, **_FEW_ADAMW), {"contrast_weight": 0.1}
            ),
            "avda": Recipe(
                _steps(
                    _SOURCE,
                    300,
                    augment=augment,
                    batch_size=32,
                    unlabelled_batch=64,
                    domain_norm=True,
                ),
            ),
        },
    )


RECIPES = {
    "digits": _digits(),
    "framed_digits": _digits(),
    "galaxies": _galaxies(("flip", "rotate", "shift", "zoom", "jitter")),
    "spins": _galaxies(("flip", "rotate", "shift", "zoom", "jitter")),
}
