"""Real or bogus, from one survey to another: what a handful of labels is worth.

``python tests/benchmarks/real_bogus.py [--seeds 3] [--shots 1 5 10] [--methods source_only
fine_tune mme random_forest] [--pairs mock_hits:mock_ztf ...] [--candidates 8000]
[--network deep_hits]``

trains on the labelled candidates of one simulated survey and adapts to another one, of which it
sees N labels per class and unlabelled candidates that are mostly bogus, for all ordered pairs of
surveys. It prints balanced accuracies, in per cent, on test candidates of both surveys, the share
of the unlabelled candidates that is called real beside the true one, and the two claims of
arXiv:2308.07538: one label per class is a large gain for fine-tuning and for minimax entropy, and
minimax entropy keeps the performance on the source survey.

``random_forest`` is the baseline without a network: pixels of the source survey and of the labelled
target candidates together. It runs without Ray, on a GPU where there is one.
"""

import argparse
import copy
import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import torch
from sklearn.ensemble import RandomForestClassifier

from catalogtool.adaptation import build_method, load_method
from catalogtool.adaptation._losses import label_loss
from catalogtool.config.training import Domain, TrainingSpec
from catalogtool.inputs._base import votes_of
from catalogtool.inputs._simulation.candidates import REAL_KINDS
from catalogtool.inputs.simulated_differences import Format
from catalogtool.networks._base import Network
from catalogtool.preprocess.stretch import prepare
from catalogtool.surveys import load_survey
from catalogtool.surveys._definition import Survey
from catalogtool.training.context import SingleProcess
from catalogtool.training.examples import Examples
from catalogtool.training.loop import TrainingData, fit
from catalogtool.training.metrics import evaluate
from catalogtool.training.model import build_fresh_network
from catalogtool.training.predict import predict_examples

SURVEYS = ("mock_hits", "mock_des", "mock_atlas", "mock_ztf")
FOREST = "random_forest"
_TREES = 300

Predictor = Callable[[Examples], np.ndarray]


@dataclass(frozen=True)
class Pool:
    """Candidates of one survey."""

    survey: Survey
    train: Examples
    test: Examples
    unlabelled: Examples
    real_share: float
    """Of the unlabelled candidates."""

    def few(self, shots: int, seed: int) -> Examples:
        """Some labelled candidates of each class; fewer are the first of more."""
        winners = self.train.votes.argmax(axis=1)
        order = np.random.default_rng((seed, 7)).permutation(len(self.train))
        chosen = [order[winners[order] == label][:shots] for label in np.unique(winners)]
        return self.train.take(np.concatenate(chosen))


@dataclass(frozen=True)
class Score:
    """Figures of one trained model, in per cent."""

    pair: tuple[str, str]
    shots: int
    seed: int
    method: str
    target: float
    source: float
    called_real: float
    """Of the target's unlabelled candidates."""


def draw_pool(name: str, candidates: int, network: str | None) -> Pool:
    """Draw a survey's candidates: labelled ones to learn from and to test on, and the others."""
    survey = load_survey(name)
    if network is not None:
        options = {"network": network, "network_options": {"head": "cosine"}}
        recipe = survey.recipes[0].model_copy(update=options)
        survey = survey.model_copy(update={"recipes": (recipe,)})
    source = Format(survey, f"simulated_differences:{candidates}")
    rows = pa.concat_tables(source.list_objects())
    cutouts = source.read(rows)
    votes = votes_of(rows, survey)[:, 0]
    everything = Examples(
        images=prepare(cutouts.images, cutouts.mask, survey.recipes[0].stretch),
        votes=votes,
        object_id=rows.column("object_id").to_numpy(),
        band=np.zeros(len(votes), dtype=np.int64),
        flagged=0,
    )
    labelled = np.isfinite(votes).all(axis=1)
    half = len(np.flatnonzero(labelled)) // 2
    kinds = np.array([text.split("-")[2] for text in rows.column("source_id").to_pylist()])
    return Pool(
        survey,
        train=everything.take(np.flatnonzero(labelled)[:half]),
        test=everything.take(np.flatnonzero(labelled)[half:]),
        unlabelled=everything.take(np.flatnonzero(~labelled)),
        real_share=float(np.isin(kinds[~labelled], REAL_KINDS).mean()),
    )


def specification(source: Pool, target: Pool, method: str, shots: int, seed: int) -> TrainingSpec:
    """Training of a method by the recipe of the target survey."""
    recipe = target.survey.recipes[0]
    is_first = method == "source_only"
    training = recipe.source_training if is_first else recipe.training
    return TrainingSpec(
        network=source.survey.recipes[0].network,
        network_options=source.survey.recipes[0].network_options,
        method=method,
        classes=target.survey.labels.classes,
        label_kind="class",
        channels=target.survey.network_channels,
        size_pix=target.survey.cutout_size_pix,
        stretch=recipe.stretch,
        # All labels teach: none is left to choose an epoch by.
        training=training.model_copy(update={"select": "last"}),
        test_share=recipe.test_share,
        label_count=None,
        shots=shots or None,
        seed=seed,
        source=None,
        target=None,
        starts_from=None,
    )


def train(
    spec: TrainingSpec, examples: dict[Domain, Examples], start: Network | None, device: str
) -> Network:
    """A trained network; domains that the method does not use are left out."""
    torch.manual_seed(spec.seed)
    network = build_fresh_network(spec) if start is None else copy.deepcopy(start)
    method = build_method(spec.method, network, label_loss(spec.label_kind))
    wanted = {
        domain: some
        for domain, some in examples.items()
        if domain in (*method.domains, *method.optional)
    }
    nothing = next(iter(wanted.values())).take(np.zeros(0, dtype=np.int64))
    fit(method, TrainingData(wanted, nothing), spec, SingleProcess(torch.device(device)))
    return network


def grow_forest(source: Pool, few: Examples, seed: int) -> Predictor:
    """A random forest on the pixels of the source and of a few target candidates."""
    forest = RandomForestClassifier(_TREES, n_jobs=-1, random_state=seed)
    images = np.concatenate([source.train.images, few.images])
    votes = np.concatenate([source.train.votes, few.votes])
    forest.fit(images.reshape(len(images), -1), votes.argmax(axis=1))
    return lambda examples: forest.predict_proba(examples.images.reshape(len(examples), -1))


def score(predict: Predictor, source: Pool, target: Pool) -> tuple[float, float, float]:
    """Balanced accuracy on target and source, and the share of real among the unlabelled."""
    accuracies = [
        100 * evaluate(predict(pool.test), pool.test.votes)["balanced_accuracy"]
        for pool in (target, source)
    ]
    winners = predict(target.unlabelled).argmax(axis=1)
    real = target.survey.labels.classes.index("real")
    return accuracies[0], accuracies[1], 100 * float((winners == real).mean())


class Bench:
    """Trainings that share candidates and source networks."""

    def __init__(self, candidates: int, network: str | None, device: str) -> None:
        self.candidates = candidates
        self.network = network
        self.device = device
        self._pools: dict[str, Pool] = {}
        self._sources: dict[tuple[str, int], Network] = {}

    def pool(self, name: str) -> Pool:
        """Candidates of a survey, drawn once."""
        if name not in self._pools:
            self._pools[name] = draw_pool(name, self.candidates, self.network)
        return self._pools[name]

    def source_network(self, name: str, seed: int) -> Network:
        """Network that a survey's own labels taught, trained once."""
        if (name, seed) not in self._sources:
            pool = self.pool(name)
            spec = specification(pool, pool, "source_only", 0, seed)
            self._sources[name, seed] = train(spec, {"source": pool.train}, None, self.device)
        return self._sources[name, seed]

    def predictor(self, pair: tuple[str, str], method: str, shots: int, seed: int) -> Predictor:
        """What a method predicts with, trained on a pair of surveys."""
        source, target = (self.pool(name) for name in pair)
        few = target.few(shots, seed)
        if method == FOREST:
            return grow_forest(source, few, seed)
        network = self.source_network(pair[0], seed)
        if method != "source_only":
            start = network if load_method(method).starts_from else None
            examples: dict[Domain, Examples] = {
                "source": source.train,
                "target_labelled": few,
                "target_unlabelled": _without_labels(target.unlabelled),
            }
            spec = specification(source, target, method, shots, seed)
            network = train(spec, examples, start, self.device)
        return lambda some: predict_examples(network, some, torch.device(self.device))

    def run(
        self, pairs: list[tuple[str, str]], methods: list[str], shots: list[int], seeds: int
    ) -> Iterable[Score]:
        """Train and score everything; source-only networks have no labels to wait for."""
        for pair, seed, method in itertools.product(pairs, range(seeds), methods):
            for count in [0] if method == "source_only" else shots:
                begin = time.perf_counter()
                predict = self.predictor(pair, method, count, seed)
                figures = score(predict, self.pool(pair[0]), self.pool(pair[1]))
                done = Score(pair, count, seed, method, *figures)
                print(
                    f"{pair[0]} -> {pair[1]}, seed {seed}, {method}, {count} labels: target "
                    f"{done.target:.1f}, source {done.source:.1f}, called real "
                    f"{done.called_real:.1f}, {time.perf_counter() - begin:.1f} s",
                    flush=True,
                )
                yield done


def print_pairs(scores: list[Score], bench: Bench) -> None:
    """One row per pair, method and number of labels."""
    print("\npair, method, labels per class: target, source, called real of the unlabelled (true)")
    for (pair, method, shots), group in _grouped(scores, "pair", "method", "shots"):
        true = 100 * bench.pool(pair[1]).real_share
        print(
            f"{pair[0]:>10} -> {pair[1]:<10} {method:<13} {shots:>3}: "
            f"{_text([s.target for s in group])}  {_text([s.source for s in group])}  "
            f"{_text([s.called_real for s in group])} ({true:.1f})"
        )


def print_means(scores: list[Score]) -> None:
    """One row per method and number of labels, over all pairs."""
    print("\nmean over pairs and seeds; worst pair")
    for (method, shots), group in _grouped(scores, "method", "shots"):
        worst = min(np.mean([s.target for s in some]) for _, some in _grouped(group, "pair"))
        print(
            f"{method:<13} {shots:>3}: target {_text([s.target for s in group])}, "
            f"worst {worst:.1f}, source {_text([s.source for s in group])}"
        )


def print_claims(scores: list[Score]) -> None:
    """Change against the unadapted network, on target and on source, pair by pair."""
    before = {(s.pair, s.seed): s for s in scores if s.method == "source_only"}
    print("\nchange against source_only, mean over pairs ± spread; pairs that gained")
    for (method, shots), group in _grouped(scores, "method", "shots"):
        if method in ("source_only", FOREST) or not before:
            continue
        changes = {
            pair: np.mean(
                [
                    (s.target - before[pair, s.seed].target, s.source - before[pair, s.seed].source)
                    for s in some
                ],
                axis=0,
            )
            for (pair,), some in _grouped(group, "pair")
        }
        on_target, on_source = np.array(list(changes.values())).T
        print(
            f"{method:<13} {shots:>3}: target {_text(on_target, sign='+')}, gained "
            f"{(on_target > 0).sum()} of {len(on_target)}; source {_text(on_source, sign='+')}, "
            f"worst {on_source.min():+.1f}"
        )


def _grouped(scores: list[Score], *keys: str) -> list[tuple[tuple, list[Score]]]:
    groups: dict[tuple, list[Score]] = {}
    for one in scores:
        groups.setdefault(tuple(getattr(one, key) for key in keys), []).append(one)
    return list(groups.items())


def _text(values: Iterable[float], sign: str = "") -> str:
    numbers = list(values)
    spread = np.std(numbers, ddof=1) if len(numbers) > 1 else float("nan")
    return f"{np.mean(numbers):{sign}5.1f} ± {spread:4.1f}"


def _without_labels(examples: Examples) -> Examples:
    return replace(examples, votes=np.full_like(examples.votes, np.nan))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    every = [":".join(pair) for pair in itertools.permutations(SURVEYS, 2)]
    parser.add_argument("--pairs", nargs="+", default=every)
    parser.add_argument("--methods", nargs="+", default=["source_only", "fine_tune", "mme", FOREST])
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 5, 10])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--candidates", type=int, default=8000, help="of each survey")
    parser.add_argument("--network", help="instead of the recipe's; with a cosine head")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    bench = Bench(arguments.candidates, arguments.network, device)
    pairs = [(pair.split(":")[0], pair.split(":")[1]) for pair in arguments.pairs]
    print(f"on {device}, {len(pairs)} pairs, {arguments.seeds} seeds", flush=True)
    scores = list(bench.run(pairs, arguments.methods, arguments.shots, arguments.seeds))
    print_pairs(scores, bench)
    print_means(scores)
    print_claims(scores)


if __name__ == "__main__":
    main()
