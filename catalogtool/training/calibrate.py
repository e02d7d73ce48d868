"""Which labels calibrate a trained network, and whether its probabilities are better for it.

Labels that taught a network flatter it: a calibration by them makes it surer still. So, in this
order:

1. validation labels of the target, where there are `_ENOUGH`; after a training by the source alone,
   which no label of the target has taught, all of them, where there are two per class;
2. all other labels of the target by cross-fitting, where there are two per class: networks that
   learn from four fifths of them predict the last fifth. It costs as many trainings as folds, and
   few labels leave no cheaper way;
3. labels of the source that taught nothing. After a training without source labels there is no
   such way: what the network makes of the source has changed.

Labels count by the class mix of the target, which its unlabelled cutouts tell.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from catalogtool.adaptation._base import Method
from catalogtool.config.training import TrainingSpec
from catalogtool.networks._base import Network
from catalogtool.training.calibration import Calibration, fit_calibration
from catalogtool.training.class_mix import class_mix_weights
from catalogtool.training.context import TrainingContext, Unwatched
from catalogtool.training.examples import Examples
from catalogtool.training.loop import TrainingData, fit
from catalogtool.training.metrics import evaluate
from catalogtool.training.predict import gather_predictions, predict_examples
from catalogtool.training.reliability import describe_reliability
from catalogtool.training.split import IntArray

_ENOUGH = 50
"""Validation labels: their temperature is known to about 20 %."""
_FOLDS = 5
_FEWEST_PER_CLASS = 2

FloatArray = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class HeldOut:
    """Predictions for cutouts whose labels did not teach the network that predicted.

    Attributes
    ----------
    origin : str
        Which labels they are, in words.
    probabilities, votes : ndarray, shape (M, K)
    """

    origin: str
    probabilities: FloatArray
    votes: FloatArray


@dataclass(frozen=True)
class Training:
    """A finished training, and how to do it again.

    Attributes
    ----------
    spec, context, data
        What it was told, where it ran, and what it learned from.
    method : Method
        Holds the weights that are used.
    build : callable
        Makes the method as it was before the training.
    source : Examples or None
        Cutouts of the source whose labels taught nothing.
    target : Examples or None
        The same of a target from which the method learned nothing at all.
    population : Examples or None
        Unlabelled cutouts of the target, drawn at random.
    """

    spec: TrainingSpec
    context: TrainingContext
    data: TrainingData
    method: Method
    build: Callable[[], Method]
    source: Examples | None
    target: Examples | None = None
    population: Examples | None = None


def has_enough_labels(spec: TrainingSpec) -> bool:
    """Whether a specification allows labels of the target that can calibrate."""
    classes = len(spec.classes)
    limits = [spec.label_count]
    if spec.shots is not None:
        limits.append(spec.shots * classes)
    allowed = [limit for limit in limits if limit is not None]
    return spec.target is not None and min(allowed, default=np.inf) >= _FEWEST_PER_CLASS * classes


def calibrate(training: Training, test: Examples) -> tuple[Calibration | None, dict[str, Any]]:
    """Fit the calibration that a specification asks for.

    Parameters
    ----------
    training : Training
        A finished one.
    test : Examples
        This worker's share of the test cutouts, for the figures before and after.

    Returns
    -------
    calibration : Calibration or None
        None where it was not asked for, or no label could be used.
    record : dict
        Kind, numbers, labels, and reliability on the test cutouts, as JSON values.
    """
    kind = training.spec.training.calibration
    if kind == "none":
        return None, {"kind": "none", "labels": "not asked for"}
    held_out = _held_out(training)
    if held_out is None or not len(held_out.votes):
        return None, {"kind": "none", "labels": "no label that taught nothing"}
    weights = _weights(held_out, training)
    calibration = fit_calibration(kind, _log(held_out.probabilities), held_out.votes, weights)
    record = {
        "kind": kind,
        "labels": held_out.origin,
        "weighted": weights is not None,
        "count": len(held_out.votes),
        "weight": calibration.weight.tolist(),
        "bias": calibration.bias.tolist(),
    }
    return calibration, record | _compare(calibration, training, test)


def _weights(held_out: HeldOut, training: Training) -> FloatArray | None:
    """How much each label counts; None: all the same, since the target's mix is not known."""
    if training.population is None:
        return None
    network, context = training.method.network, training.context
    population, _, _ = gather_predictions(network, training.population, context)
    if not len(population):
        return None
    return class_mix_weights(held_out.probabilities, held_out.votes, population)


def _compare(calibration: Calibration, training: Training, test: Examples) -> dict[str, Any]:
    network, context = training.method.network, training.context
    before, votes, _ = gather_predictions(network, test, context)
    if not len(votes):
        return {}
    after = calibration.apply_to_array(before)
    return {
        name: evaluate(p, votes) | describe_reliability(p, votes)
        for name, p in (("before", before), ("after", after))
    }


def _held_out(training: Training) -> HeldOut | None:
    spec, data, context = training.spec, training.data, training.context
    network = training.method.network
    if training.target is not None and has_enough_labels(spec):
        probabilities, votes, _ = gather_predictions(network, training.target, context)
        return HeldOut("labels of the target, which taught nothing", probabilities, votes)
    if spec.uses_target_labels and "target_labelled" in data.train:
        probabilities, votes, _ = gather_predictions(network, data.validation, context)
        if len(votes) >= _ENOUGH:
            return HeldOut("validation labels of the target", probabilities, votes)
        if has_enough_labels(spec):
            return _cross_fit(training)
    if training.source is None:
        return None
    probabilities, votes, _ = gather_predictions(network, training.source, context, "source")
    return HeldOut("held-out labels of the source", probabilities, votes)


def _cross_fit(training: Training) -> HeldOut:
    """Predictions for every target label by a network that it did not teach."""
    data, context = training.data, training.context
    labelled = data.train["target_labelled"]
    fold_of = folds(labelled, training.spec.seed)
    found = []
    for fold in np.unique(fold_of).tolist():
        rest = labelled.take(np.flatnonzero(fold_of != fold))
        method = training.build()
        train = data.train | {"target_labelled": rest}
        fit(method, replace(data, train=train), training.spec, Unwatched(context))
        left_out = labelled.take(np.flatnonzero(fold_of == fold))
        found.append(_predict(method.network, left_out, training))
    return HeldOut(
        "labels of the target, by cross-fitting",
        np.concatenate([probabilities for probabilities, _ in found]),
        np.concatenate([votes for _, votes in found]),
    )


def _predict(
    network: Network, examples: Examples, training: Training
) -> tuple[FloatArray, FloatArray]:
    context = training.context
    if "target_labelled" in training.data.replicated:  # gathered, each would count several times
        return predict_examples(network, examples, context.device), examples.votes
    probabilities, votes, _ = gather_predictions(network, examples, context)
    return probabilities, votes


def folds(examples: Examples, seed: int) -> IntArray:
    """Fold of every cutout, shape (M,): one per object, and each class spread over all folds."""
    ids, first = np.unique(examples.object_id, return_index=True)
    order = np.random.default_rng(seed).permutation(len(ids))
    classes = examples.votes[first].argmax(axis=1)
    fold_of_id = np.zeros(len(ids), dtype=np.int64)
    dealt = order[np.argsort(classes[order], kind="stable")]
    fold_of_id[dealt] = np.arange(len(ids)) % _FOLDS
    return fold_of_id[np.searchsorted(ids, examples.object_id)]


def _log(probabilities: FloatArray) -> FloatArray:
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))


def calibration_sentence(record: dict[str, Any] | None) -> str:
    """What the probabilities of a catalog are calibrated by, in a line.

    Parameters
    ----------
    record : dict or None
        Of `calibrate`, as models keep it; None: the model has none.
    """
    if record is None or record["kind"] == "none":
        return "none"
    count = f"{record['count']} {record['labels']}"
    if record.get("weighted"):  # earlier models did not say
        count += ", weighted to the target's class mix"
    if record["kind"] == "dirichlet":
        return f"dirichlet from {count}"
    biased = " and a bias per class" if record["kind"] == "bias" else ""
    return f"temperature {1 / record['weight'][0][0]:.3f}{biased} from {count}"
