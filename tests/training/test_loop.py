"""The training loop in one process."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from catalogtool.adaptation import build_method
from catalogtool.adaptation._base import Method
from catalogtool.adaptation._losses import label_loss
from catalogtool.config.training import Domain, TrainingSpec
from catalogtool.errors import ModelError
from catalogtool.training.context import SingleProcess
from catalogtool.training.examples import Examples
from catalogtool.training.loop import Trainer, TrainingData, TrainingOutcome, fit
from catalogtool.training.model import build_fresh_network
from catalogtool.training.selection import State


def _examples(count: int, seed: int) -> Examples:
    """Blobs whose class is their shape: round, long, absent."""
    rng = np.random.default_rng(seed)
    winner = np.arange(count) % 3
    axis = np.arange(16) - 7.5
    round_blob = np.exp(-(axis[:, None] ** 2) / 6 - axis**2 / 6)
    long_blob = np.exp(-(axis[:, None] ** 2) / 40 - axis**2 / 6)
    images = np.stack([round_blob, long_blob, np.zeros((16, 16))])[winner]
    images = images + 0.05 * rng.standard_normal(images.shape)
    return Examples(
        images=images[:, None].astype(np.float32),
        votes=np.eye(3, dtype=np.float32)[winner],
        object_id=np.arange(count),
        band=np.zeros(count, dtype=np.int64),
        flagged=0,
    )


def _data(train: int = 24, validation: int = 12) -> TrainingData:
    return TrainingData({"source": _examples(train, 0)}, _examples(validation, 1))


def _method(spec: TrainingSpec) -> Method:
    torch.manual_seed(spec.seed)
    network = build_fresh_network(spec)
    return build_method(spec.method, network, label_loss(spec.label_kind))


def _with(spec: TrainingSpec, **options: Any) -> TrainingSpec:  # noqa: ANN401 - any option
    return spec.model_copy(update={"training": spec.training.model_copy(update=options)})


class _Recorder(SingleProcess):
    """Keeps all checkpoints, and can be interrupted."""

    def __init__(self, saved: bytes | None = None, stop_after: int | None = None) -> None:
        super().__init__(saved=saved)
        self.stop_after = stop_after
        self.states: list[bytes] = []

    def report(self, epoch: int, metrics: dict[str, Any], state: Callable[[], bytes]) -> None:  # noqa: ARG002 - the protocol's
        self.states.append(state())
        if epoch == self.stop_after:
            raise KeyboardInterrupt


def _assert_equal(first: State, second: State) -> None:
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], rtol=0, atol=0)


def _train(spec: TrainingSpec, context: SingleProcess) -> tuple[Method, TrainingOutcome]:
    method = _method(spec)
    return method, fit(method, _data(), spec, context)


def test_a_resumed_training_ends_in_the_weights_of_an_undisturbed_one(spec: TrainingSpec) -> None:
    undisturbed, whole = _train(spec, SingleProcess())
    killed = _Recorder(stop_after=1)
    with pytest.raises(KeyboardInterrupt):
        _train(spec, killed)

    resumed, rest = _train(spec, SingleProcess(saved=killed.states[-1]))

    _assert_equal(undisturbed.state_dict(), resumed.state_dict())
    assert rest.epochs == whole.epochs == 4
    assert rest.best_epoch == whole.best_epoch
    kept = ("epoch", "train", "validation", "learning_rate")
    for one, other in zip(whole.history, rest.history, strict=True):
        assert {key: one[key] for key in kept} == {key: other[key] for key in kept}


def test_a_damaged_checkpoint_is_refused(spec: TrainingSpec) -> None:
    recorder = _Recorder()
    _train(_with(spec, max_epochs=1), recorder)

    with pytest.raises(ModelError, match="checkpoint is damaged or of another network"):
        _train(spec, _Recorder(saved=recorder.states[0][:-20]))


def test_the_weights_of_the_best_epoch_are_kept_and_patience_ends_the_rest(
    spec: TrainingSpec,
) -> None:
    # A learning rate that ruins the network: after some epoch it only gets worse.
    spec = _with(spec, learning_rate=3.0, schedule="constant", max_epochs=30, patience=3)
    recorder = _Recorder()

    method, outcome = _train(spec, recorder)

    scores = [entry["validation"]["rmse"] for entry in outcome.history]
    assert outcome.best_epoch == int(np.argmin(scores))
    assert outcome.epochs == outcome.best_epoch + 4 < 30
    kept = _method(spec)
    fit(kept, _data(), spec, SingleProcess(saved=recorder.states[outcome.best_epoch]))
    _assert_equal(kept.state_dict(), method.state_dict())


def test_without_validation_the_last_weights_are_kept(spec: TrainingSpec) -> None:
    method = _method(spec)
    data = TrainingData({"source": _examples(12, 0)}, _examples(0, 1))

    outcome = fit(method, data, spec, SingleProcess())

    assert outcome.best_epoch is None
    assert "validation" not in outcome.history[-1]


@pytest.mark.parametrize("kind", ["votes", "class"])
def test_a_tiny_set_is_learned_by_heart(spec: TrainingSpec, kind: str) -> None:
    spec = _with(
        spec.model_copy(update={"label_kind": kind}), max_epochs=20, augment=(), learning_rate=0.02
    )
    method = _method(spec)

    outcome = fit(method, _data(), spec, SingleProcess())

    first, last = outcome.history[0]["train"]["label"], outcome.history[-1]["train"]["label"]
    assert last < 0.2 * first
    assert outcome.history[-1]["validation"]["accuracy"] == 1


def test_metrics_of_every_epoch_say_what_happened(spec: TrainingSpec) -> None:
    _, outcome = _train(spec, SingleProcess())

    assert [entry["epoch"] for entry in outcome.history] == [0, 1, 2, 3]
    for entry in outcome.history:
        assert entry["images_per_second"] > 0
        assert entry["validation"]["count"] == 12


def _both_surveys(validation: int = 12) -> TrainingData:
    unlabelled = _examples(30, 2)
    unlabelled.votes[:] = np.nan
    train: dict[Domain, Examples] = {
        "source": _examples(24, 0),
        "target_labelled": _examples(6, 3),
        "target_unlabelled": unlabelled,
    }
    return TrainingData(train, _examples(validation, 1), frozenset({"target_labelled"}))


def _adapting(spec: TrainingSpec, **options: Any) -> TrainingSpec:  # noqa: ANN401 - any option
    options = {"optimiser": "sgd", "learning_rate": 0.01, "domain_norm": True} | options
    changes = {"method": "mme", "label_kind": "class", "target": spec.source}
    return _with(spec.model_copy(update=changes), **options)


def test_an_adapting_training_is_resumed_to_the_bit(spec: TrainingSpec) -> None:
    spec = _adapting(spec)
    method = _method(spec)
    whole = fit(method, _both_surveys(), spec, SingleProcess())
    killed = _Recorder(stop_after=1)
    with pytest.raises(KeyboardInterrupt):
        fit(_method(spec), _both_surveys(), spec, killed)

    resumed = _method(spec)
    rest = fit(resumed, _both_surveys(), spec, SingleProcess(saved=killed.states[-1]))

    _assert_equal(method.state_dict(), resumed.state_dict())
    for name, kept in whole.selection.alternatives().items():
        again = rest.selection.alternatives()[name]
        assert (kept.epoch, kept.score) == (again.epoch, again.score)
        _assert_equal(kept.state, again.state)


def test_losses_and_watched_figures_are_kept_side_by_side(spec: TrainingSpec) -> None:
    spec = _adapting(spec, max_epochs=1)

    outcome = fit(_method(spec), _both_surveys(), spec, SingleProcess())

    (entry,) = outcome.history
    assert set(entry["train"]) == {"label", "entropy"}
    assert sum(entry["watch"].values()) == pytest.approx(1)
    assert entry["information"] >= 0


def test_every_survey_has_statistics_of_its_own(spec: TrainingSpec) -> None:
    spec = _adapting(spec, max_epochs=1, augment=())
    data = _both_surveys()
    data.train["target_unlabelled"].images[:] += 5
    method = _method(spec)

    fit(method, data, spec, SingleProcess())

    state = method.network.state_dict()
    source, target = (state[f"stem.1.{branch}.running_mean"] for branch in ("source", "target"))
    assert not torch.allclose(source, target)


def test_without_validation_labels_the_unlabelled_cutouts_choose(spec: TrainingSpec) -> None:
    spec = _adapting(spec, select="labels")

    outcome = fit(_method(spec), _both_surveys(validation=0), spec, SingleProcess())

    figures = [entry["information"] for entry in outcome.history]
    assert outcome.selection.used == "unlabelled"
    assert outcome.best_epoch == int(np.argmax(figures))


def test_an_epoch_shows_every_example_of_the_largest_domain(spec: TrainingSpec) -> None:
    def steps(**options: Any) -> int:  # noqa: ANN401 - any option
        adapting = _adapting(spec, **options)
        trainer = Trainer(_method(adapting), _both_surveys(), adapting, SingleProcess())
        return trainer.steps

    assert steps(batch_size=8) == 4  # 30 unlabelled cutouts by 8
    assert steps(batch_size=8, unlabelled_batch=16) == 3  # 24 of the source by 8


@pytest.mark.parametrize(("labels", "shown"), [(1, 2), (6, 6), (20, 8)])
def test_a_step_shows_few_labels_of_the_target_once(
    spec: TrainingSpec, labels: int, shown: int
) -> None:
    spec = _adapting(spec, batch_size=8)
    data = _both_surveys()
    data.train["target_labelled"] = _examples(labels, 3)

    trainer = Trainer(_method(spec), data, spec, SingleProcess())

    assert trainer.batch_sizes == {"source": 8, "target_labelled": shown, "target_unlabelled": 8}
    assert trainer.method.labels_fill_a_batch == (shown == 8)
