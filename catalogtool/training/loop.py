"""The training loop: the same for every method, with Ray and without."""

import math
import time
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from catalogtool.adaptation._base import DomainBatch, Method
from catalogtool.config.training import Domain, TrainingSpec
from catalogtool.preprocess.augment import augment
from catalogtool.surveys._definition import TrainingOptions
from catalogtool.training import checkpoint
from catalogtool.training.batches import batch_indices
from catalogtool.training.context import TrainingContext
from catalogtool.training.examples import Examples
from catalogtool.training.metrics import evaluate, selection_score
from catalogtool.training.precision import mixed_precision
from catalogtool.training.predict import gather_predictions
from catalogtool.training.split import IntArray

_WARM_UP = 0.3  # share of a one-cycle training in which the learning rate rises
_START_FACTOR = 1 / 25


@dataclass(frozen=True)
class TrainingData:
    """One worker's share of the examples."""

    train: dict[Domain, Examples]
    validation: Examples


@dataclass
class TrainingOutcome:
    """What training did; the method holds the best weights."""

    epochs: int = 0
    """Epochs that are done."""
    best_epoch: int | None = None
    """The epoch whose weights were kept; None before the first validation, or without any."""
    best_score: tuple[float, float] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    """Metrics of every epoch."""


class Trainer:
    """Trains one method on one worker.

    Parameters
    ----------
    method : Method
        Method with its network, moved to the context's device.
    data : TrainingData
        This worker's examples.
    spec : TrainingSpec
        Options, kind of labels and seed.
    context : TrainingContext
        Where this worker is among others.
    """

    def __init__(
        self, method: Method, data: TrainingData, spec: TrainingSpec, context: TrainingContext
    ) -> None:
        self.method: Method = method.to(context.device)
        self.method.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.data = data
        self.spec = spec
        self.context = context
        self.options: TrainingOptions = spec.training
        self.batch_size = max(1, self.options.batch_size // context.world_size)
        self.steps = self.options.steps_per_epoch or _steps(data, self.batch_size, context)
        self.optimiser = torch.optim.AdamW(
            method.parameters(),
            lr=self.options.learning_rate,
            weight_decay=self.options.weight_decay,
        )
        self.wrapped: nn.Module = context.wrap(self.method)
        self.outcome = TrainingOutcome()
        self.best: checkpoint.State = {}

    def run(self) -> TrainingOutcome:
        """Train to the end, or until validation stops getting better."""
        if self.context.saved is not None:
            self._resume(self.context.saved)
        while self.outcome.epochs < self.options.max_epochs and not self._stands_still():
            self._run_epoch()
        if self.best:
            self.method.load_state_dict(self.best)
        return self.outcome

    def _run_epoch(self) -> None:
        epoch = self.outcome.epochs
        start = time.perf_counter()
        losses = self._train_epoch(epoch)
        seconds = time.perf_counter() - start
        shown = self.steps * self.batch_size * len(self.data.train) * self.context.world_size
        metrics: dict[str, Any] = {
            "epoch": epoch,
            "learning_rate": self._learning_rate(epoch * self.steps + self.steps - 1),
            "train": losses,
            "images_per_second": shown / seconds,
            "seconds": seconds,
        }
        self.outcome.epochs += 1
        self.context.synchronise(self.method)
        figures = self._validate()
        if figures is not None:
            metrics["validation"] = figures
            self._keep_best(epoch, selection_score(figures, self.spec.label_kind))
        self.outcome.history.append(metrics)
        self.context.report(epoch, metrics, self._pack)

    def _train_epoch(self, epoch: int) -> dict[str, float]:
        self.method.train()
        draws = {
            domain: batch_indices(
                examples,
                self.batch_size,
                self.steps,
                self._seed(epoch, index),
                balanced=self.options.class_balanced,
            )
            for index, (domain, examples) in enumerate(self.data.train.items())
        }
        torch.manual_seed(_fold(self._seed(epoch, len(draws))))  # for dropout
        generator = torch.Generator(self.context.device)
        generator.manual_seed(_fold(self._seed(epoch, len(draws) + 1)))
        sums: dict[str, float] = {}
        for step in range(epoch * self.steps, (epoch + 1) * self.steps):
            batches = {
                domain: self._batch(self.data.train[domain], next(indices), generator)
                for domain, indices in draws.items()
            }
            for name, value in self._step(batches, step).items():
                sums[name] = sums.get(name, 0.0) + value
        return {name: value / self.steps for name, value in sums.items()}

    def _step(self, batches: dict[Domain, DomainBatch], step: int) -> dict[str, float]:
        for group in self.optimiser.param_groups:
            group["lr"] = self._learning_rate(step)
        self.optimiser.zero_grad()
        device = self.context.device
        with mixed_precision(device):
            terms = self.wrapped(batches, step / (self.steps * self.options.max_epochs))
        total = torch.stack(list(terms.values())).sum()
        total.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return {name: float(value.detach()) for name, value in terms.items()}

    def _batch(
        self,
        examples: Examples,
        indices: IntArray,
        generator: torch.Generator,
    ) -> DomainBatch:
        device = self.context.device
        images = torch.from_numpy(examples.images[indices]).to(device)
        images = augment(images, self.options.augment, generator)
        votes = torch.from_numpy(examples.votes[indices]).to(device)
        return DomainBatch(images.contiguous(memory_format=torch.channels_last), votes)

    def _validate(self) -> dict[str, Any] | None:
        network = self.method.network
        probabilities, votes, _ = gather_predictions(network, self.data.validation, self.context)
        return evaluate(probabilities, votes) if len(votes) else None

    def _keep_best(self, epoch: int, score: tuple[float, float]) -> None:
        if self.outcome.best_score is None or score < self.outcome.best_score:
            self.outcome.best_score, self.outcome.best_epoch = score, epoch
            self.best = {n: v.detach().clone() for n, v in self.method.state_dict().items()}

    def _stands_still(self) -> bool:
        best = self.outcome.best_epoch
        return best is not None and self.outcome.epochs - 1 - best >= self.options.patience

    def _learning_rate(self, step: int) -> float:
        progress = step / (self.steps * self.options.max_epochs)
        return self.options.learning_rate * schedule_factor(self.options.schedule, progress)

    def _seed(self, epoch: int, stream: int) -> tuple[int, ...]:
        return (self.spec.seed, epoch, self.context.rank, stream)

    def _pack(self) -> bytes:
        counters = {
            "epochs": self.outcome.epochs,
            "best_epoch": self.outcome.best_epoch,
            "best_score": self.outcome.best_score,
            "history": self.outcome.history,
        }
        return checkpoint.pack(self.method, self.best, self.optimiser, counters)

    def _resume(self, saved: bytes) -> None:
        self.best, counters = checkpoint.unpack(saved, self.method, self.optimiser)
        score = counters["best_score"]
        self.outcome = TrainingOutcome(
            epochs=counters["epochs"],
            best_epoch=counters["best_epoch"],
            best_score=None if score is None else (score[0], score[1]),
            history=counters["history"],
        )


def fit(
    method: Method, data: TrainingData, spec: TrainingSpec, context: TrainingContext
) -> TrainingOutcome:
    """Train a method; afterwards it holds the weights of its best epoch.

    Batches, augmentation and dropout follow from the seed, epoch and rank: a training that is
    resumed from a checkpoint ends in the same weights as one that was never interrupted.
    """
    return Trainer(method, data, spec, context).run()


def schedule_factor(schedule: Literal["constant", "one_cycle"], progress: float) -> float:
    """Learning rate at a share of the training, relative to its largest value.

    ``one_cycle`` rises along a cosine from 1/25 for the first 30 %, then falls to 0.
    """
    if schedule == "constant":
        return 1.0
    if progress < _WARM_UP:
        rise = (1 - math.cos(math.pi * progress / _WARM_UP)) / 2
        return _START_FACTOR + (1 - _START_FACTOR) * rise
    return (1 + math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP))) / 2


def _steps(data: TrainingData, batch_size: int, context: TrainingContext) -> int:
    """Steps that show the largest domain once, equal on all workers."""
    mine = max(len(examples) for examples in data.train.values())
    counts = context.gather(torch.tensor([mine], dtype=torch.float32).numpy())
    return max(1, math.ceil(max(int(count[0]) for count in counts) / batch_size))


def _fold(seed: tuple[int, ...]) -> int:
    """One number from several."""
    folded = 0
    for number in seed:
        folded = (folded * 1_000_003 + number + 1) % 2**63
    return folded
