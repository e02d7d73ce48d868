"""One training from its specification to a stored model; every worker runs this."""

from typing import Any

import torch

from catalogtool import storage
from catalogtool.adaptation import build_method
from catalogtool.adaptation._base import LabelLoss, Method
from catalogtool.adaptation._losses import label_loss
from catalogtool.config.training import Domain, TrainingSpec
from catalogtool.errors import LabelError, ModelError
from catalogtool.networks._base import Network
from catalogtool.networks._domain_norm import split_norms
from catalogtool.training.calibrate import Training, calibrate
from catalogtool.training.context import TrainingContext
from catalogtool.training.examples import Examples, load_examples, open_domain
from catalogtool.training.labelled import (
    LabelledDomain,
    label_domain,
    label_domains,
    learns_from_target,
    main_domain,
    training_domains,
)
from catalogtool.training.loop import TrainingData, TrainingOutcome, fit
from catalogtool.training.model import build_fresh_network, load_model, save_model
from catalogtool.training.neighbours import Neighbours, remember
from catalogtool.training.predict import gather_features
from catalogtool.training.scores import TestSets, score, score_all
from catalogtool.training.unlabelled import UnlabelledPool, draw_unlabelled

_FEW_LABELS = 1000
"""So many labelled cutouts of the target, or fewer, are on every worker, all of them."""
_POPULATION = 1000
"""Unlabelled cutouts by which a calibration knows the class mix: its shares err by 2 %."""


def run_training(spec: TrainingSpec, model_uri: str, context: TrainingContext) -> None:
    """Train, score on the test objects, and store the model.

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
    main = main_domain(spec, domains)
    network = initial_network(spec, model_uri)
    pool = _draw_pool(spec)
    data = _load_data(spec, domains, main, pool, context)
    method = _method_around(network, spec)
    outcome = fit(method, data, spec, context)
    tests = _load_tests(spec, domains, main, context)
    if main.data == spec.target and main.split.validation.any():
        domains["target_labelled"] = main  # no label of it need have taught
    metrics = _describe(outcome, domains, data)
    if pool is not None:
        metrics["unlabelled"] = _describe_pool(pool)
    metrics |= score_all(method, outcome, tests, context)
    if spec.starts_from is not None:
        start = initial_network(spec, model_uri).to(context.device)
        metrics["initial_test"] = score(start, tests.target, context)
    if spec.source is not None and spec.target is None:
        metrics["source_test"] = metrics["test"]
    training = Training(
        spec,
        context,
        data,
        method,
        build=lambda: _method_around(initial_network(spec, model_uri), spec),
        source=_held_out_source(spec, domains, data, context),
        target=_held_out_target(spec, main, context),
        population=_load_population(spec, data, context),
    )
    calibration, metrics["calibration"] = calibrate(training, tests.target)
    neighbours = _remember(method, data, spec, context)
    if neighbours is not None:
        metrics["neighbours"] = neighbours.describe()
    if context.rank == 0:
        save_model(model_uri, network, spec, metrics, calibration, neighbours)


def initial_network(spec: TrainingSpec, model_uri: str) -> Network:
    """Network that training starts from: seeded fresh weights, or those of an earlier model.

    Raises
    ------
    ModelError
        If the earlier model is missing, damaged or another one.
    """
    torch.manual_seed(spec.seed)  # for fresh weights, and for parts that the method adds
    if spec.starts_from is None:
        return build_fresh_network(spec)
    folder = model_uri.rpartition("/")[0]
    model = load_model(storage.join(folder, spec.starts_from[:16]))
    if model.spec.identity != spec.starts_from:
        raise ModelError(
            f"{model.uri}: is not the model that {spec.method} starts from; delete it to train "
            "it again",
            uri=model.uri,
        )
    if spec.training.domain_norm:
        split_norms(model.network)
    return model.network


def _method_around(network: Network, spec: TrainingSpec) -> Method:
    return build_method(spec.method, network, _label_loss(spec), spec.method_options)


def _label_loss(spec: TrainingSpec) -> LabelLoss:
    return label_loss(spec.label_kind, spec.training.entropy_weight)


def _shard(context: TrainingContext) -> tuple[int, int]:
    return (context.rank, context.world_size)


def _draw_pool(spec: TrainingSpec) -> UnlabelledPool | None:
    if "target_unlabelled" not in training_domains(spec):
        return None
    assert spec.target is not None
    return draw_unlabelled(spec.target, spec.training.unlabelled_limit, spec.seed)


def _load_data(
    spec: TrainingSpec,
    domains: dict[Domain, LabelledDomain],
    main: LabelledDomain,
    pool: UnlabelledPool | None,
    context: TrainingContext,
) -> TrainingData:
    """Read this worker's share of the cutouts that teach and choose."""
    wanted = {name: (d.data, d.rows, d.split.train) for name, d in domains.items()}
    if pool is not None:
        assert spec.target is not None
        wanted["target_unlabelled"] = (spec.target, pool.rows, pool.cutouts)
    train: dict[Domain, Examples] = {}
    replicated: set[Domain] = set()
    for name, (data, rows, cutouts) in wanted.items():
        is_few = name == "target_labelled" and cutouts.sum() <= _FEW_LABELS
        if is_few or cutouts.any(axis=1).sum() < context.world_size:
            replicated.add(name)
        shard = (0, 1) if name in replicated else _shard(context)
        train[name] = load_examples(open_domain(data), rows, cutouts, spec.preparation, shard)
        if not len(train[name]):
            raise LabelError(
                f"survey {data.survey.name}: none of the {train[name].flagged} cutouts that this "
                "worker was to learn from can be read; check the input, or use fewer training "
                "workers"
            )
    chooser = main if learns_from_target(spec) else domains["source"]
    validation = chooser.load(chooser.split.validation, spec, _shard(context))
    return TrainingData(train, validation, frozenset(replicated))


def _load_tests(
    spec: TrainingSpec,
    domains: dict[Domain, LabelledDomain],
    main: LabelledDomain,
    context: TrainingContext,
) -> TestSets:
    test = main.load(main.split.test, spec, _shard(context))
    source = None
    if spec.source is not None and spec.target is not None:
        domain = domains.get("source") or label_domain(spec, "source")
        source = domain.load(domain.split.test, spec, _shard(context))
    return TestSets(main.data.survey, test, source)


def _held_out_source(
    spec: TrainingSpec,
    domains: dict[Domain, LabelledDomain],
    data: TrainingData,
    context: TrainingContext,
) -> Examples | None:
    """Cutouts of the source whose labels taught nothing, where those may have to calibrate."""
    if spec.training.calibration == "none" or "source" not in domains:
        return None
    if not learns_from_target(spec):
        return data.validation
    source = domains["source"]
    return source.load(source.split.validation, spec, _shard(context))


def _held_out_target(
    spec: TrainingSpec, main: LabelledDomain, context: TrainingContext
) -> Examples | None:
    """Cutouts of a target that taught nothing, whose labels are there to calibrate by."""
    if spec.target is None or spec.training.calibration == "none" or learns_from_target(spec):
        return None
    return main.load(main.split.validation, spec, _shard(context))


def _load_population(
    spec: TrainingSpec, data: TrainingData, context: TrainingContext
) -> Examples | None:
    """Cutouts, without labels, that tell a calibration the class mix of the target."""
    if spec.target is None or spec.training.calibration == "none":
        return None
    if "target_unlabelled" in data.train:
        return data.train["target_unlabelled"]
    limit = min(_POPULATION, spec.training.unlabelled_limit)
    pool = draw_unlabelled(spec.target, limit, spec.seed)
    domain, shard = open_domain(spec.target), _shard(context)
    return load_examples(domain, pool.rows, pool.cutouts, spec.preparation, shard)


def _remember(
    method: Method, data: TrainingData, spec: TrainingSpec, context: TrainingContext
) -> Neighbours | None:
    """Labelled objects, where others may be of a class that none of them has."""
    if not (method.universal or spec.training.flag_unknown):
        return None
    if "source" in data.train:
        features = gather_features(method.network, data.train["source"], context, "source")
    else:
        features = gather_features(method.network, data.train["target_labelled"], context)
    return remember(features, spec.seed)


def _describe(
    outcome: TrainingOutcome, domains: dict[Domain, LabelledDomain], data: TrainingData
) -> dict[str, Any]:
    """What was learned from, and how it went, as JSON values."""
    return {
        "epochs": outcome.epochs,
        "best_epoch": outcome.best_epoch,
        "history": outcome.history,
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


def _describe_pool(pool: UnlabelledPool) -> dict[str, Any]:
    return {
        "count": int(pool.cutouts.sum()),
        "includes_test_pixels": pool.includes_test,
    }
