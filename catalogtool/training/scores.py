"""Final figures on labels that neither taught nor chose, for every way of choosing weights."""

from dataclasses import dataclass
from typing import Any

from catalogtool.adaptation._base import Method
from catalogtool.networks._base import Network
from catalogtool.networks._domain_norm import Branch
from catalogtool.surveys._definition import Survey
from catalogtool.training.context import TrainingContext
from catalogtool.training.examples import Examples
from catalogtool.training.loop import TrainingOutcome
from catalogtool.training.metrics import evaluate, evaluate_by_band
from catalogtool.training.predict import gather_predictions


@dataclass(frozen=True)
class TestSets:
    """One worker's share of the test cutouts.

    Attributes
    ----------
    survey : Survey
        The survey that the network is for.
    target : Examples
        Its test cutouts; none where it has no labels.
    source : Examples or None
        Those of the survey that it learned from, if that is another one.
    """

    survey: Survey
    target: Examples
    source: Examples | None


def score_all(
    method: Method, outcome: TrainingOutcome, tests: TestSets, context: TrainingContext
) -> dict[str, Any]:
    """Figures of the weights that each criterion chose, as JSON values.

    Afterwards the method holds the weights that are used.

    Returns
    -------
    dict
        ``selection`` names the criterion that was asked for and the one that is used, and
        ``selections`` has the figures by criterion; those of the used one are at the top too.
    """
    selection = outcome.selection
    by_epoch: dict[int, dict[str, Any]] = {}
    figures: dict[str, dict[str, Any]] = {}
    alternatives = selection.alternatives()
    for criterion, kept in alternatives.items():
        if kept.epoch not in by_epoch:
            method.load_state_dict(kept.state)
            by_epoch[kept.epoch] = {
                "epoch": kept.epoch,
                "validation": outcome.history[kept.epoch].get("validation"),
                **_test_figures(method.network, tests, context),
            }
        figures[criterion] = by_epoch[kept.epoch]
    method.load_state_dict(alternatives[selection.used].state)
    used = {name: value for name, value in figures[selection.used].items() if name != "epoch"}
    return {
        **used,
        "test_domain": tests.survey.name,
        "selection": {"asked": selection.asked, "used": selection.used},
        "selections": figures,
    }


def _test_figures(network: Network, tests: TestSets, context: TrainingContext) -> dict[str, Any]:
    probabilities, votes, band = gather_predictions(network, tests.target, context)
    figures: dict[str, Any] = {"test": evaluate(probabilities, votes)}
    if tests.survey.labels.per_band:
        names = tests.survey.band_names
        figures["test_by_band"] = evaluate_by_band(probabilities, votes, band, names)
    if tests.source is not None:
        figures["source_test"] = score(network, tests.source, context, "source")
    return figures


def score(
    network: Network, examples: Examples, context: TrainingContext, branch: Branch = "target"
) -> dict[str, Any]:
    """Figures of a network on all workers' examples, by the normalisation of one survey."""
    probabilities, votes, _ = gather_predictions(network, examples, context, branch)
    return evaluate(probabilities, votes)
