"""What a training step of each method costs, over the bare passes of the same cutouts.

``python tests/benchmarks/step_cost.py [--rounds 15] [--methods mme fine_tune] [--size 64]`` times a
step (losses, backward pass, optimiser) and the bare forward and backward pass of one cross-entropy
over all cutouts of the step's batches, weak and strong views, one after the other in each round. It
prints the median ratio and its quartiles. Drawing and changing the cutouts is timed apart.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from catalogtool.adaptation import build_method, load_method, method_names
from catalogtool.adaptation._base import Batches
from catalogtool.adaptation._losses import label_loss
from catalogtool.config.training import Domain, TrainingSpec
from catalogtool.networks import fitting_head
from catalogtool.networks._domain_norm import use_domain
from catalogtool.preprocess.strong import STRONG_CHANGES
from catalogtool.surveys._recipe import TrainingOptions
from catalogtool.training.context import SingleProcess
from catalogtool.training.examples import Examples
from catalogtool.training.loop import Trainer, TrainingData
from catalogtool.training.model import build_fresh_network
from catalogtool.training.precision import mixed_precision

CLASSES = 3
COUNT = 256


def specification(method: str, size_pix: int) -> TrainingSpec:
    """A training as the recipes of the real surveys have it."""
    kind = load_method(method)
    training = TrainingOptions(
        batch_size=32,
        unlabelled_batch=64,
        augment=("flip", "rotate", "shift", "zoom", "jitter"),
        strong=tuple(STRONG_CHANGES) if kind.wants_strong else (),
    )
    return TrainingSpec(
        network="resnet",
        network_options=fitting_head("resnet", {"head": "cosine"}, kind.heads),
        method=method,
        classes=tuple(f"class_{index}" for index in range(CLASSES)),
        label_kind="class",
        channels=3,
        size_pix=size_pix,
        stretch="unit",
        training=training,
        test_share=0.5,
        label_count=None,
        shots=5,
        seed=0,
        source=None,
        target=None,
        starts_from=None,
    )


def some_examples(size_pix: int, seed: int) -> Examples:
    """Noise with labels."""
    rng = np.random.default_rng(seed)
    return Examples(
        images=rng.random((COUNT, 3, size_pix, size_pix), dtype=np.float32),
        votes=np.eye(CLASSES, dtype=np.float32)[rng.integers(CLASSES, size=COUNT)],
        object_id=np.arange(COUNT),
        band=np.zeros(COUNT, dtype=np.int64),
        flagged=0,
    )


def build_trainer(method: str, size_pix: int) -> Trainer:
    """A trainer of a method that stands before its first step."""
    torch.manual_seed(0)
    spec = specification(method, size_pix)
    kind = load_method(method)
    domains = kind.domains + kind.optional
    train: dict[Domain, Examples] = {
        domain: some_examples(size_pix, seed) for seed, domain in enumerate(domains)
    }
    built = build_method(method, build_fresh_network(spec), label_loss("class"))
    nothing = some_examples(size_pix, 0).take(np.arange(0))
    return Trainer(built, TrainingData(train, nothing), spec, SingleProcess(device()))


def device() -> torch.device:
    """Where the steps run."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def draw(trainer: Trainer) -> Batches:
    """One batch of every domain."""
    generator = torch.Generator(device()).manual_seed(0)
    rng = np.random.default_rng(0)
    return {
        domain: trainer.views.make(
            examples, rng.integers(COUNT, size=trainer.batch_sizes[domain]), generator
        )
        for domain, examples in trainer.data.train.items()
    }


def bare_passes(trainer: Trainer, batches: Batches) -> Callable[[], None]:
    """One cross-entropy over all cutouts of a step."""
    network = trainer.method.network
    views = [batch.images for batch in batches.values()]
    views += [batch.strong for batch in batches.values() if batch.strong is not None]
    images = torch.cat(views)
    labels = torch.zeros(len(images), dtype=torch.long, device=images.device)

    def run() -> None:
        network.zero_grad()
        use_domain(network, "target")
        with mixed_precision(device()):
            loss = functional.cross_entropy(network(images).float(), labels)
        loss.backward()

    return run


def seconds(work: Callable[[], object]) -> float:
    """Wall time of some work."""
    begin = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def measure(method: str, size_pix: int, rounds: int) -> None:
    """Print the figures of one method."""
    trainer = build_trainer(method, size_pix)
    trainer.method.train()
    batches = draw(trainer)
    bare = bare_passes(trainer, batches)
    for _ in range(3):
        trainer._step(batches, 0)
        bare()
    pairs = np.array(
        [(seconds(lambda: trainer._step(batches, 0)), seconds(bare)) for _ in range(rounds)]
    )
    views = np.median([seconds(lambda: draw(trainer)) for _ in range(rounds)])
    low, middle, high = np.percentile(pairs[:, 0] / pairs[:, 1], (25, 50, 75))
    step, plain = 1e3 * np.median(pairs, axis=0)
    print(
        f"{method:<16} {middle:5.2f} ({low:.2f} to {high:.2f})  step {step:7.1f} ms, bare "
        f"{plain:7.1f} ms, views {1e3 * views:6.1f} ms",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--methods", nargs="+", default=list(method_names()))
    parser.add_argument("--size", type=int, default=64)
    arguments = parser.parse_args()
    print(f"on {device()}, step over bare passes: median (quartiles)")
    for method in arguments.methods:
        measure(method, arguments.size, arguments.rounds)


if __name__ == "__main__":
    main()
