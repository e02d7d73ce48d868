"""Figures of finished trainings on a target, for comparisons."""

from pathlib import Path

import pytest
from small_pair import write_pair

from catalogtool.config.compare import CompareConfig
from catalogtool.layout import OutputLayout
from catalogtool.production.trials import Trial, plan_trials
from catalogtool.progress import Progress
from catalogtool.training.context import SingleProcess
from catalogtool.training.labelled import label_domain
from catalogtool.training.measure import measure
from catalogtool.training.metrics import evaluate
from catalogtool.training.model import Model, load_model
from catalogtool.training.predict import predict_examples
from catalogtool.training.run import run_training


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Trial, Model]]:
    """Trained trials of two methods without labels that teach."""
    folder = tmp_path_factory.mktemp("measure")
    _, target = write_pair(folder)
    config = CompareConfig(
        surveys=(str(target),),
        output=str(folder),
        methods=("source_only", "mme"),
        shots=(0,),
        seeds=1,
        validation_shots=2,
    )
    planned = plan_trials(config, Progress())
    return {trial.method: (trial, trained(trial, folder)) for trial in planned}


def trained(trial: Trial, folder: Path) -> Model:
    layout = OutputLayout(str(folder))
    for spec in trial.trainings:
        uri = layout.model(spec.identity)
        if not Path(uri).exists():
            run_training(spec, uri, SingleProcess())
    return load_model(uri)


def test_a_network_that_knows_no_target_is_measured_on_labels_that_nothing_used(
    trials: dict[str, tuple[Trial, Model]],
) -> None:
    (trial, source), (_, adapted) = trials["source_only"], trials["mme"]
    domain = label_domain(trial.measured, "target_labelled")
    test = domain.load(domain.split.test, trial.measured, (0, 1))
    p = predict_examples(source.network, test, SingleProcess().device)

    found = measure(source, trial.measured, SingleProcess())

    assert found["blind"]["target"] == evaluate(p, test.votes)
    assert found["blind"]["target"]["count"] == adapted.metrics["test"]["count"] > 0
    assert found["blind"]["source"] == source.metrics["source_test"]
    assert "labels" not in found
    assert found["seconds"] > 0


def test_weights_that_labels_chose_and_those_that_none_chose_are_both_reported(
    trials: dict[str, tuple[Trial, Model]],
) -> None:
    trial, model = trials["mme"]
    found = measure(model, trial.measured, SingleProcess())
    selections = model.metrics["selections"]
    assert found["labels"]["target"] == selections["labels"]["test"]
    assert found["blind"]["target"] == selections["unlabelled"]["test"]
    assert found["blind"]["source"] == selections["unlabelled"]["source_test"]
    shares = found["shares"]
    assert len(shares) == model.metrics["epochs"]
    assert sum(shares[-1]) == pytest.approx(1)


def test_labels_that_only_choose_are_on_record(
    trials: dict[str, tuple[Trial, Model]],
) -> None:
    """So that no catalog is measured by them."""
    _, model = trials["mme"]
    labels = model.metrics["labels"]["target_labelled"]
    assert (labels["train"], labels["train_ids"]) == (0, [])
    assert labels["validation"] == len(labels["validation_ids"]) == 2 * len(model.spec.classes)
