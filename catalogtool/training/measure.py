"""Figures of a trained model on a target survey, whether the training knew of it or not."""

from typing import Any

from catalogtool.config.training import TrainingSpec
from catalogtool.training.context import TrainingContext
from catalogtool.training.labelled import label_domain
from catalogtool.training.model import Model
from catalogtool.training.scores import score


def measure(model: Model, spec: TrainingSpec, context: TrainingContext) -> dict[str, Any]:
    """Figures on the target's test labels and on the source's, by what chose the weights.

    Parameters
    ----------
    model : Model
        A trained one.
    spec : TrainingSpec
        Its own, or the same with the target to measure on. The test labels are those that this
        specification neither teaches nor chooses by.
    context : TrainingContext
        Where to compute, if the model's record does not have the figures.

    Returns
    -------
    dict
        ``labels`` (where there were validation labels of the target) and ``blind`` (chosen without
        any), each with ``target`` and ``source``, figures as of `metrics.evaluate`; ``seconds`` of
        training, and ``shares``: predicted shares of the classes among unlabelled cutouts, epoch
        by epoch.
    """
    history = model.metrics["history"]
    common = {
        "model_id": model.model_id,
        "seconds": sum(epoch["seconds"] for epoch in history),
        "shares": [epoch["shares"] for epoch in history if "shares" in epoch],
    }
    if model.spec.target is None:
        domain = label_domain(spec, "target_labelled")
        test = domain.load(domain.split.test, spec, (0, 1))
        target = score(model.network.to(context.device), test, context)
        return common | {"blind": {"target": target, "source": model.metrics["source_test"]}}
    chosen = model.metrics["selections"]
    asked = model.metrics["selection"]["used"]
    blind = chosen["unlabelled" if asked == "labels" else asked]
    found = {"blind": _figures(blind)}
    if "labels" in chosen:
        found["labels"] = _figures(chosen["labels"])
    return common | found


def _figures(of_weights: dict[str, Any]) -> dict[str, Any]:
    return {"target": of_weights["test"], "source": of_weights.get("source_test")}
