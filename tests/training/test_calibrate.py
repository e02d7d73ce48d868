"""Which labels calibrate, on a small simulated survey."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_training import model_uri, small_domain, source_spec, target_spec

from catalogtool.config.training import DomainData, TrainingSpec
from catalogtool.training import calibrate as module
from catalogtool.training.calibrate import (
    Training,
    calibrate,
    calibration_sentence,
    folds,
    has_enough_labels,
)
from catalogtool.training.context import SingleProcess
from catalogtool.training.examples import Examples
from catalogtool.training.loop import TrainingData
from catalogtool.training.model import load_model
from catalogtool.training.run import run_training


@pytest.fixture
def domain(tmp_path: Path) -> DomainData:
    return small_domain(tmp_path)


def calibrated(spec: TrainingSpec, **options: object) -> TrainingSpec:
    training = spec.training.model_copy(update={"calibration": "temperature", **options})
    return spec.model_copy(update={"training": training})


def some_examples(count: int, classes: int = 2) -> Examples:
    """Two cutouts of every object, one after the other."""
    ids = np.repeat(np.arange(count // 2), 2)
    return Examples(
        images=np.zeros((count, 1, 4, 4), dtype=np.float32),
        votes=np.eye(classes, dtype=np.float32)[ids % classes],
        object_id=ids,
        band=np.tile([0, 1], count // 2),
        flagged=0,
    )


def test_a_source_model_is_calibrated_by_its_held_out_labels(
    domain: DomainData, tmp_path: Path
) -> None:
    plain, spec = source_spec(domain), calibrated(source_spec(domain))
    for each in (plain, spec):
        run_training(each, model_uri(tmp_path, each), SingleProcess())

    model, without = (load_model(model_uri(tmp_path, each)) for each in (spec, plain))
    record = model.metrics["calibration"]
    assert record["labels"] == "held-out labels of the source"
    assert not record["weighted"]  # there is no target
    assert record["count"] == model.metrics["labels"]["source"]["validation"]
    assert record["before"]["count"] == record["after"]["count"] == model.metrics["test"]["count"]
    assert sum(row["count"] for row in record["after"]["table"]) == record["after"]["count"]
    assert model.calibration is not None
    torch.testing.assert_close(model.calibration.weight, torch.tensor(record["weight"]))
    assert calibration_sentence(record).startswith("temperature ")
    assert without.calibration is None
    assert calibration_sentence(without.metrics["calibration"]) == "none"
    for name, value in without.network.state_dict().items():
        assert torch.equal(value, model.network.state_dict()[name])


def test_target_labels_of_a_training_by_the_source_alone_calibrate_and_do_nothing_else(
    domain: DomainData, tmp_path: Path
) -> None:
    plain = source_spec(domain)
    limits = {"target": domain, "label_count": 20}
    spec = calibrated(plain).model_copy(update=limits)
    for each in (plain, spec):
        run_training(each, model_uri(tmp_path, each), SingleProcess())

    model, without = (load_model(model_uri(tmp_path, each)) for each in (spec, plain))
    record = model.metrics["calibration"]
    assert record["labels"] == "labels of the target, which taught nothing"
    assert record["count"] == 20
    seen = model.metrics["labels"]["target_labelled"]
    assert (seen["train"], seen["validation"]) == (0, 20)
    assert record["weighted"]
    assert calibration_sentence(record).endswith(", weighted to the target's class mix")
    assert model.metrics["best_epoch"] == without.metrics["best_epoch"]
    for name, value in without.network.state_dict().items():
        assert torch.equal(value, model.network.state_dict()[name])


def test_a_bias_per_class_is_stored_and_named(domain: DomainData, tmp_path: Path) -> None:
    spec = calibrated(source_spec(domain), calibration="bias")
    run_training(spec, model_uri(tmp_path, spec), SingleProcess())

    model = load_model(model_uri(tmp_path, spec))

    assert model.calibration is not None
    assert model.calibration.bias.abs().min() > 0
    sentence = calibration_sentence(model.metrics["calibration"])
    assert " and a bias per class from " in sentence


def test_one_target_label_leaves_calibration_to_those_of_the_source(
    domain: DomainData, tmp_path: Path
) -> None:
    limits = {"target": domain, "label_count": 1}
    spec = calibrated(source_spec(domain)).model_copy(update=limits)
    run_training(spec, model_uri(tmp_path, spec), SingleProcess())

    record = load_model(model_uri(tmp_path, spec)).metrics["calibration"]
    assert record["labels"] == "held-out labels of the source"
    assert record["weighted"]


def test_few_target_labels_calibrate_by_cross_fitting_and_change_no_weight(
    domain: DomainData, tmp_path: Path
) -> None:
    source = source_spec(domain)
    plain = target_spec(source)
    spec = calibrated(plain)
    for each in (source, plain, spec):
        run_training(each, model_uri(tmp_path, each), SingleProcess())

    model, without = (load_model(model_uri(tmp_path, each)) for each in (spec, plain))
    record = model.metrics["calibration"]
    assert record["labels"] == "labels of the target, by cross-fitting"
    assert record["count"] == model.metrics["labels"]["target_labelled"]["train"]
    for name, value in without.network.state_dict().items():
        assert torch.equal(value, model.network.state_dict()[name])


def test_no_network_of_a_cross_fit_learned_from_what_it_predicts(
    domain: DomainData, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = calibrated(target_spec(source_spec(domain)))
    labelled = some_examples(20)
    taught: list[set[int]] = []
    asked: list[set[int]] = []

    def fit(_: object, data: TrainingData, *__: object) -> None:
        taught.append(set(data.train["target_labelled"].object_id.tolist()))

    def predict(_: object, examples: Examples, __: object) -> np.ndarray:
        asked.append(set(examples.object_id.tolist()))
        return np.full_like(examples.votes, 0.5)

    monkeypatch.setattr(module, "fit", fit)
    monkeypatch.setattr(module, "predict_examples", predict)
    monkeypatch.setattr(
        module, "gather_predictions", lambda _, e, *__: (e.votes * 0 + 0.5, e.votes, e.band)
    )
    data = TrainingData(
        {"target_labelled": labelled}, labelled.take(np.arange(0)), frozenset({"target_labelled"})
    )
    method = torch.nn.Module()
    method.network = torch.nn.Identity()
    training = Training(spec, SingleProcess(), data, method, lambda: method, None)  # type: ignore[arg-type]

    _, record = calibrate(training, some_examples(4))

    assert record["count"] == 20
    assert len(taught) == len(asked) == 5
    assert all(not seen & mine for seen, mine in zip(taught, asked, strict=True))
    assert set().union(*asked) == set(range(10))


def test_folds_keep_objects_together_and_spread_classes() -> None:
    examples = some_examples(40)
    found = folds(examples, seed=1)
    assert (found[0::2] == found[1::2]).all()
    for label in range(2):
        counts = np.bincount(found[examples.votes.argmax(axis=1) == label], minlength=5)
        assert counts.tolist() == [4] * 5
    assert (found == folds(examples, seed=1)).all()
    assert (found != folds(examples, seed=2)).any()


ENOUGH = ((2, None), (None, None), (None, 10), (50, 10))
TOO_FEW = ((1, None), (0, None), (None, 9), (50, 9))


def test_two_labels_per_class_are_enough(domain: DomainData) -> None:
    def judge(shots: int | None, label_count: int | None) -> bool:
        limits = {"shots": shots, "label_count": label_count}
        return has_enough_labels(target_spec(source_spec(domain)).model_copy(update=limits))

    assert all(judge(*limits) for limits in ENOUGH)
    assert not any(judge(*limits) for limits in TOO_FEW)
    assert not has_enough_labels(source_spec(domain))


def test_a_fine_tuning_with_too_few_labels_says_that_it_is_not_calibrated(
    domain: DomainData, tmp_path: Path
) -> None:
    source = source_spec(domain)
    spec = calibrated(target_spec(source, label_count=3), validation_share=0)
    for each in (source, spec):
        run_training(each, model_uri(tmp_path, each), SingleProcess())

    model = load_model(model_uri(tmp_path, spec))
    assert model.calibration is None
    assert model.metrics["calibration"]["labels"] == "no label that taught nothing"
