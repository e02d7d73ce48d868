"""How networks are taught on a few hundred alerts, for several benchmarks."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from catalogtool.adaptation import build_method
from catalogtool.adaptation._base import LabelLoss
from catalogtool.config.training import TrainingSpec
from catalogtool.networks import build_network, with_metadata
from catalogtool.networks._base import Network
from catalogtool.surveys._recipe import Stretch, TrainingOptions
from catalogtool.training.context import SingleProcess
from catalogtool.training.examples import Examples
from catalogtool.training.loop import TrainingData, fit


@dataclass(frozen=True)
class Recipe:
    """How a network is trained on a few hundred alerts."""

    network: str
    options: dict[str, Any]
    size_pix: int
    stretch: Stretch
    steps: int = 300
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    entropy_weight: float = 0.0
    augment: tuple[str, ...] = ("flip", "shift")
    pretraining_steps: int = 0
    """Steps in which it learns what the survey says of all alerts that are not for the test."""


_SMALL = {"scenario": "multi_scale", "widths": (24, 24, 32, 32, 32), "dropout": 0.3}
_LEVELS = Recipe("multi_scale", _SMALL, size_pix=63, stretch="band_asinh")
_STAMP = {"kernel": 3, "dropout": 0.5}
RECIPES = {
    "multi_scale": _LEVELS,
    "longer": replace(_LEVELS, steps=700),
    "percentile": replace(_LEVELS, stretch="percentile"),
    "pretrained": replace(_LEVELS, pretraining_steps=400),
    "paper": Recipe(
        "stamp_classifier",
        _STAMP,
        size_pix=21,
        stretch="channel_minmax",
        batch_size=64,
        learning_rate=1e-3,
        weight_decay=0.0,
        entropy_weight=0.5,
        augment=(),
    ),
    "looser": Recipe(
        "stamp_classifier",
        _STAMP | {"dropout": 0.2},
        size_pix=21,
        stretch="channel_minmax",
        steps=400,
        learning_rate=1e-3,
    ),
}


def build(recipe: Recipe, channels: int, outputs: int, metadata: tuple[str, ...]) -> Network:
    """A fresh network."""
    return build_network(
        recipe.network,
        with_metadata(recipe.options, metadata),
        channels=channels + bool(metadata),
        classes=outputs,
        size_pix=recipe.size_pix,
    )


def teach(
    network: Network,
    examples: Examples,
    loss: LabelLoss,
    recipe: Recipe,
    *,
    steps: int,
    seed: int,
    metadata: tuple[str, ...] = (),
    balanced: bool = True,
) -> None:
    """Train on some examples, with the loop of the product; the last weights are kept."""
    options = TrainingOptions(
        batch_size=recipe.batch_size,
        max_epochs=1,
        steps_per_epoch=steps,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        augment=recipe.augment,
        class_balanced=balanced,
        select="last",
    )
    spec = TrainingSpec(
        network=recipe.network,
        network_options=recipe.options,
        method="source_only",
        classes=tuple(f"output_{index}" for index in range(examples.votes.shape[1])),
        label_kind="class",
        channels=3,
        size_pix=recipe.size_pix,
        stretch=recipe.stretch,
        metadata=metadata,
        training=options,
        test_share=0.5,
        label_count=None,
        shots=None,
        seed=seed,
        source=None,
        target=None,
        starts_from=None,
    )
    method = build_method("source_only", network, loss)
    nobody = examples.take(np.arange(0))
    fit(method, TrainingData({"source": examples}, nobody), spec, SingleProcess())
