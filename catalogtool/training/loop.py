"""The training loop: the same for every method, with Ray and without."""

import math
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from catalogtool.adaptation._base import Batches, Method
from catalogtool.config.training import DOMAINS, Domain, TrainingSpec
from catalogtool.preprocess.metadata import unpack
from catalogtool.surveys._recipe import TrainingOptions
from catalogtool.training import checkpoint
from catalogtool.training.batches import batch_indices
from catalogtool.training.context import TrainingContext
from catalogtool.training.examples import Examples
from catalogtool.training.metrics import class_shares, evaluate, information, selection_score
from catalogtool.training.optimiser import build_optimiser, schedule_factor, set_learning_rate
from catalogtool.training.precision import mixed_precision
from catalogtool.training.predict import gather_predictions
from catalogtool.training.selection import Selection
from catalogtool.training.views import ViewMaker

_JUDGED = 1000
"""Unlabelled cutouts, over all workers, by which an epoch is judged without labels."""
_DROPOUT, _AUGMENTATION, _JUDGEMENT = (len(DOMAINS) + stream for stream in range(3))
"""Streams of random numbers, after those that draw the examples of each domain."""


@dataclass(frozen=True)
class TrainingData:
    """One worker's share of the examples."""

    train: dict[Domain, Examples]
    validation: Examples
    replicated: frozenset[Domain] = frozenset()
    """Domains of which every worker has all examples; the others are shared out."""


@dataclass
class TrainingOutcome:
    """What training did; the method holds the chosen weights."""

    selection: Selection
    """The best epochs by labels and without."""
    epochs: int = 0
    """Epochs that are done."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """Metrics of every epoch."""

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose weights were chosen; None: those of the last one, whatever its score."""
        chosen = self.selection.chosen
        return None if chosen is None else chosen.epoch


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
        self.counts = self._counts()
        self.batch_sizes = {name: self._batch_size(name) for name in data.train}
        labels = self.counts.get("target_labelled", 0)
        self.method.labels_fill_a_batch = labels >= self.options.batch_size
        self.steps = self.options.steps_per_epoch or self._steps()
        self.views = ViewMaker(spec, context.device, wants_strong=method.wants_strong)
        self.judged = self._judged()
        if spec.metadata and spec.starts_from is None:
            self._fit_metadata()
        self.optimiser = build_optimiser(method, self.options)
        self.wrapped: nn.Module = context.wrap(self.method)
        self.outcome = TrainingOutcome(Selection(self.options.select))

    def run(self) -> TrainingOutcome:
        """Train to the end, or until the score stops getting better."""
        if self.context.saved is not None:
            self._resume(self.context.saved)
        while self.outcome.epochs < self.options.max_epochs and not self._stands_still():
            self._run_epoch()
        self.outcome.selection.finish(self.outcome.epochs - 1, self.method)
        return self.outcome

    def _fit_metadata(self) -> None:
        """Show the network the facts of all labelled examples of all workers."""
        count = len(self.spec.metadata)
        labelled = [examples for examples in self.data.train.values() if examples.is_labelled]
        mine = [unpack(examples.images, count)[1] for examples in labelled]
        together = np.concatenate(self.context.gather(np.concatenate(mine)))
        self.method.network.fit_metadata(torch.from_numpy(together).to(self.context.device))

    def _counts(self) -> dict[Domain, int]:
        """Examples of every domain, over all workers."""
        mine = np.array([len(e) for e in self.data.train.values()], dtype=np.float32)
        together = np.sum(self.context.gather(mine), axis=0)
        return {
            name: int(here if name in self.data.replicated else everybody)
            for name, here, everybody in zip(self.data.train, mine, together, strict=True)
        }

    def _batch_size(self, domain: Domain) -> int:
        """Cutouts of a domain in one step of this worker.

        A few target labels are shown once each: were they to fill a batch, the ten galaxies that
        happen to have one would be half of the labels and a third of the batch statistics. A
        single one is shown twice, since one value has no variance.
        """
        size = self.options.batch_size
        if domain == "target_unlabelled":
            size = self.options.unlabelled_batch or size
        elif domain == "target_labelled":
            size = min(size, max(2, self.counts[domain]))
        return max(1, size // self.context.world_size)

    def _steps(self) -> int:
        """Steps that show every example once, equal on all workers."""
        workers = self.context.world_size
        return max(math.ceil(self.counts[d] / (n * workers)) for d, n in self.batch_sizes.items())

    def _judged(self) -> Examples | None:
        """Share of this worker in the cutouts by which epochs are judged without labels."""
        pool = self.data.train.get("target_unlabelled")
        if pool is None:
            return None
        order = np.random.default_rng(self._seed(0, _JUDGEMENT)).permutation(len(pool))
        return pool.take(order[: math.ceil(_JUDGED / self.context.world_size)])

    def _run_epoch(self) -> None:
        epoch = self.outcome.epochs
        start = time.perf_counter()
        losses, watched = self._train_epoch(epoch)
        seconds = time.perf_counter() - start
        shown = self.steps * sum(self.batch_sizes.values()) * self.context.world_size
        metrics: dict[str, Any] = {
            "epoch": epoch,
            "learning_rate": self._learning_rate(epoch * self.steps + self.steps - 1),
            "train": losses,
            "images_per_second": shown / seconds,
            "seconds": seconds,
        }
        if watched:
            metrics["watch"] = watched
        self.outcome.epochs += 1
        self.context.synchronise(self.method)
        metrics |= self._judge(epoch)
        self.outcome.history.append(metrics)
        self.context.report(epoch, metrics, self._pack)

    def _train_epoch(self, epoch: int) -> tuple[dict[str, float], dict[str, float]]:
        """Means of the losses and of the watched figures, over steps and workers."""
        self.method.train()
        draws = {
            domain: batch_indices(
                examples,
                self.batch_sizes[domain],
                self.steps,
                self._seed(epoch, DOMAINS.index(domain)),
                balanced=self.options.class_balanced and domain != "target_unlabelled",
            )
            for domain, examples in self.data.train.items()
        }
        torch.manual_seed(_fold(self._seed(epoch, _DROPOUT)))
        generator = torch.Generator(self.context.device)
        generator.manual_seed(_fold(self._seed(epoch, _AUGMENTATION)))
        losses, watched = _Means(), _Means()
        for step in range(epoch * self.steps, (epoch + 1) * self.steps):
            batches = {
                domain: self.views.make(self.data.train[domain], next(indices), generator)
                for domain, indices in draws.items()
            }
            losses.add(self._step(batches, step))
            watched.add(self.method.watch())
        return losses.over_workers(self.context), watched.over_workers(self.context)

    def _step(self, batches: Batches, step: int) -> dict[str, float]:
        set_learning_rate(self.optimiser, self._learning_rate(step))
        self.optimiser.zero_grad()
        with mixed_precision(self.context.device):
            terms = self.wrapped(batches, step / (self.steps * self.options.max_epochs))
        total = torch.stack(list(terms.values())).sum()
        total.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return {name: float(value.detach()) for name, value in terms.items()}

    def _judge(self, epoch: int) -> dict[str, Any]:
        """Figures of an epoch with and without labels; keeps its weights if they are the best."""
        figures: dict[str, Any] = {}
        network, selection = self.method.network, self.outcome.selection
        probabilities, votes, _ = gather_predictions(network, self.data.validation, self.context)
        if len(votes):
            figures["validation"] = evaluate(probabilities, votes)
            score = selection_score(figures["validation"], self.spec.label_kind)
            selection.consider("labels", epoch, score, self.method)
        if self.judged is not None:
            probabilities, _, _ = gather_predictions(network, self.judged, self.context)
            figures["information"] = information(probabilities)
            figures["shares"] = class_shares(probabilities)
            selection.consider("unlabelled", epoch, (-figures["information"],), self.method)
        return figures

    def _stands_still(self) -> bool:
        best = self.outcome.best_epoch
        return best is not None and self.outcome.epochs - 1 - best >= self.options.patience

    def _learning_rate(self, step: int) -> float:
        progress = step / (self.steps * self.options.max_epochs)
        return self.options.learning_rate * schedule_factor(self.options.schedule, progress)

    def _seed(self, epoch: int, stream: int) -> tuple[int, ...]:
        return (self.spec.seed, epoch, self.context.rank, stream)

    def _pack(self) -> bytes:
        counters = {"epochs": self.outcome.epochs, "history": self.outcome.history}
        return checkpoint.pack(self.method, self.outcome.selection, self.optimiser, counters)

    def _resume(self, saved: bytes) -> None:
        selection = self.outcome.selection
        counters = checkpoint.unpack(saved, self.method, selection, self.optimiser)
        self.outcome.epochs, self.outcome.history = counters["epochs"], counters["history"]


def fit(
    method: Method, data: TrainingData, spec: TrainingSpec, context: TrainingContext
) -> TrainingOutcome:
    """Train a method; afterwards it holds the weights of the chosen epoch.

    Batches, augmentation and dropout follow from the seed, epoch and rank: a training that is
    resumed from a checkpoint ends in the same weights as one that was never interrupted.
    """
    return Trainer(method, data, spec, context).run()


class _Means:
    """Means of named figures over steps, then over workers."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1

    def over_workers(self, context: TrainingContext) -> dict[str, float]:
        mine = {name: total / self._counts[name] for name, total in self._sums.items()}
        together = context.gather(np.array(list(mine.values()), dtype=np.float32))
        return dict(zip(mine, np.mean(together, axis=0).tolist(), strict=True))


def _fold(seed: tuple[int, ...]) -> int:
    """One number from several."""
    folded = 0
    for number in seed:
        folded = (folded * 1_000_003 + number + 1) % 2**63
    return folded
