"""One training from its specification to a stored model; every worker runs this."""

from dataclasses import dataclass
from typing import Any

import torch

from catalogtool import storage
from catalogtool.adaptation import build_method, load_method
from catalogtool.adaptation._losses import label_loss
from catalogtool.config.training import Domain, DomainData, TrainingSpec
from catalogtool.errors import LabelError, ModelError
from catalogtool.networks._base import Network
from catalogtool.surveys._definition import Survey
from catalogtool.training.context import TrainingContext
from catalogtool.training.examples import (
    Examples,
    LabelledRows,
    load_examples,
    open_domain,
    read_labelled_rows,
)
from catalogtool.training.loop import TrainingData, TrainingOutcome, fit
from catalogtool.training.metrics import evaluate, evaluate_by_band
from catalogtool.training.model import build_fresh_network, load_model, save_model
from catalogtool.training.predict import gather_predictions
from catalogtool.training.split import BoolArray, Split, SplitRules, split_labels

_SOURCE_TEST_SHARE = 0.15  # as in Perez-Carrasco et al. 2019


@dataclass(frozen=True)
class LabelledDomain:
    """Labels of one domain and how they are shared out."""

    data: DomainData
    rows: LabelledRows
    split: Split

    def load(self, wanted: BoolArray, spec: TrainingSpec, shard: tuple[int, int]) -> Examples:
        """Read one worker's share of some of the labelled cutouts."""
        return load_examples(open_domain(self.data), self.rows, wanted, spec.stretch, shard)


def run_training(spec: TrainingSpec, model_uri: str, context: TrainingContext) -> None:
    """Train, score once on the test objects, and store the model.

    Parameters
    ----------
    spec : TrainingSpec
        What to train, on what.
    model_uri : str
        Folder to write to; models to start from are its neighbours.
    context : TrainingContext
        Where this worker is among others; the first one writes.

    Raises
    ------
    LabelError
        If there are too few labels.
    ModelError
        If the model to start from is missing or damaged.
    """
    domains = label_domains(spec)
    main = _main_domain(domains)
    network = initial_network(spec, model_uri)
    data = TrainingData(
        train={name: _load_train(domain, spec, context) for name, domain in domains.items()},
        validation=domains[main].load(domains[main].split.validation, spec, _shard(context)),
    )
    method = build_method(spec.method, network, label_loss(spec.label_kind))
    outcome = fit(method, data, spec, context)
    metrics = _describe(outcome, domains, data)
    test = domains[main].load(domains[main].split.test, spec, _shard(context))
    metrics |= _score_test(network, test, domains[main].data.survey, context)
    if spec.starts_from is not None:
        start = initial_network(spec, model_uri).to(context.device)
        metrics["initial_test"] = _figures(start, test, context)
    if spec.source is not None:
        metrics["source_test"] = metrics["test"]
        if main != "source":
            source = _label_domain(spec, "source")
            kept = source.load(source.split.test, spec, _shard(context))
            metrics["source_test"] = _figures(network, kept, context)
    if context.rank == 0:
        save_model(model_uri, network, spec, metrics)


def label_domains(spec: TrainingSpec) -> dict[Domain, LabelledDomain]:
    """Share out the labels of every labelled domain that the method learns from.

    Raises
    ------
    LabelError
        If no label is left to train on.
    """
    names = [name for name in load_method(spec.method).domains if name != "target_unlabelled"]
    return {name: _label_domain(spec, name) for name in names}


def _label_domain(spec: TrainingSpec, name: Domain) -> LabelledDomain:
    is_target = name == "target_labelled"
    data = spec.target if is_target else spec.source
    assert data is not None
    rows = read_labelled_rows(data)
    rules = SplitRules(
        seed=spec.seed,
        test_share=spec.test_share if is_target else _SOURCE_TEST_SHARE,
        validation_share=spec.training.validation_share,
        label_count=spec.label_count if is_target else None,
        shots=spec.shots if is_target else None,
        test_is_rest=is_target and spec.label_kind == "class",
    )
    return LabelledDomain(data, rows, split_labels(rows.labels, rules))


def _main_domain(domains: dict[Domain, LabelledDomain]) -> Domain:
    """The domain whose validation and test figures count."""
    return "target_labelled" if "target_labelled" in domains else "source"


def initial_network(spec: TrainingSpec, model_uri: str) -> Network:
    """Network that training starts from: seeded fresh weights, or those of an earlier model.

    Raises
    ------
    ModelError
        If the earlier model is missing, damaged or another one.
    """
    if spec.starts_from is None:
        torch.manual_seed(spec.seed)
        return build_fresh_network(spec)
    folder = model_uri.rpartition("/")[0]
    model = load_model(storage.join(folder, spec.starts_from[:16]))
    if model.spec.identity != spec.starts_from:
        raise ModelError(
            f"{model.uri}: is not the model that {spec.method} starts from; delete it to train "
            "it again",
            uri=model.uri,
        )
    return model.network


def _shard(context: TrainingContext) -> tuple[int, int]:
    return (context.rank, context.world_size)


def _load_train(domain: LabelledDomain, spec: TrainingSpec, context: TrainingContext) -> Examples:
    wanted = domain.split.train
    # Fewer objects than workers: everybody trains on all of them.
    shard = _shard(context) if wanted.any(axis=1).sum() >= context.world_size else (0, 1)
    examples = domain.load(wanted, spec, shard)
    if not len(examples):
        raise LabelError(
            f"survey {domain.data.survey.name}: none of the {examples.flagged} labelled cutouts "
            "of this worker can be read; check the input, or use fewer training workers"
        )
    return examples


def _describe(
    outcome: TrainingOutcome, domains: dict[Domain, LabelledDomain], data: TrainingData
) -> dict[str, Any]:
    """What was learned from, and how it went, as JSON values."""
    best = outcome.best_epoch
    return {
        "epochs": outcome.epochs,
        "best_epoch": best,
        "history": outcome.history,
        "validation": None if best is None else outcome.history[best]["validation"],
        "labels": {name: _describe_labels(domain) for name, domain in domains.items()},
        "flagged": sum(examples.flagged for examples in data.train.values()),
    }


def _describe_labels(domain: LabelledDomain) -> dict[str, Any]:
    split, ids = domain.split, domain.rows.labels.object_id
    return {
        "train": int(split.train.sum()),
        "validation": int(split.validation.sum()),
        "test": int(split.test.sum()),
        "train_ids": ids[split.train.any(axis=1)].tolist(),
        "validation_ids": ids[split.validation.any(axis=1)].tolist(),
    }


def _figures(network: Network, examples: Examples, context: TrainingContext) -> dict[str, Any]:
    probabilities, votes, _ = gather_predictions(network, examples, context)
    return evaluate(probabilities, votes)


def _score_test(
    network: Network, test: Examples, survey: Survey, context: TrainingContext
) -> dict[str, Any]:
    """Figures on the test objects, as JSON values."""
    probabilities, votes, band = gather_predictions(network, test, context)
    scores = {"test": evaluate(probabilities, votes), "test_domain": survey.name}
    if survey.labels.per_band:
        names = survey.band_names
        scores["test_by_band"] = evaluate_by_band(probabilities, votes, band, names)
    return scores
