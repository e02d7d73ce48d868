"""Labels of every class, and enough of them."""

import numpy as np
import pytest

from catalogtool.config.training import TrainingSpec
from catalogtool.errors import LabelError
from catalogtool.training.coverage import class_counts, refuse_absent_classes, refuse_too_few
from catalogtool.training.split import Labels, SplitRules, split_labels


def _labels(*counts: int) -> Labels:
    """So many one-hot labels of each class."""
    winners = np.repeat(np.arange(len(counts)), counts)
    votes = np.eye(len(counts), dtype=np.float32)[winners][:, None]
    return Labels(np.arange(len(winners)), votes, np.full(len(winners), "", dtype="U5"))


def _few_shots(spec: TrainingSpec, shots: int, label_count: int | None = None) -> TrainingSpec:
    changes = {"label_kind": "class", "target": spec.source, "shots": shots}
    return spec.model_copy(update=changes | {"label_count": label_count})


def _refuse(spec: TrainingSpec, labels: Labels) -> None:
    rules = SplitRules(1, 0.3, 0.0, spec.label_count, spec.shots, test_is_rest=True)
    refuse_too_few(spec, labels, split_labels(labels, rules))


def test_a_class_with_fewer_labels_than_shots_is_named_with_its_count(spec: TrainingSpec) -> None:
    sentence = (
        r"survey made_up: 5 labels per class were asked for, .* of long \(3\), empty \(0\); "
        r"give more labels, or ask for fewer with --shots 0"
    )
    with pytest.raises(LabelError, match=sentence):
        _refuse(_few_shots(spec, 5), _labels(9, 3, 0))


def test_labels_that_choose_are_counted_besides_those_that_teach(spec: TrainingSpec) -> None:
    spec = _few_shots(spec, 5).model_copy(update={"validation_shots": 2})
    rules = SplitRules(1, 0.3, 0.0, None, 5, test_is_rest=True, validation_shots=2)
    enough, few = _labels(7, 7, 7), _labels(7, 9, 6)
    refuse_too_few(spec, enough, split_labels(enough, rules))
    sentence = r"7 labels per class were asked for, 2 of them to choose .* empty \(6\); .*--shots 4"
    with pytest.raises(LabelError, match=sentence):
        refuse_too_few(spec, few, split_labels(few, rules))
    none = _labels(7, 9, 1)
    with pytest.raises(LabelError, match="ask for fewer with --validation-shots 1"):
        refuse_too_few(spec, none, split_labels(none, rules))


def test_as_many_labels_as_shots_are_enough(spec: TrainingSpec) -> None:
    _refuse(_few_shots(spec, 5), _labels(9, 5, 5))


def test_a_limit_on_all_labels_may_cut_classes_short(spec: TrainingSpec) -> None:
    _refuse(_few_shots(spec, 5, label_count=7), _labels(9, 9, 9))


def test_a_class_of_one_survey_only_is_named_with_the_survey_that_lacks_it(
    spec: TrainingSpec,
) -> None:
    spec = spec.model_copy(update={"label_kind": "class", "method": "mme"})
    sentence = "method mme: .* no labels of empty in new, long in old; label some, or leave the"
    with pytest.raises(LabelError, match=sentence):
        refuse_absent_classes(spec, {"new": _labels(5, 2, 0), "old": _labels(5, 0, 2)})


def test_a_class_that_nobody_has_is_no_difference(spec: TrainingSpec) -> None:
    spec = spec.model_copy(update={"label_kind": "class", "method": "mme"})
    refuse_absent_classes(spec, {"new": _labels(5, 2, 0), "old": _labels(9, 9, 0)})


def test_votes_tell_of_all_classes_in_every_object(spec: TrainingSpec) -> None:
    refuse_absent_classes(spec, {"new": _labels(5, 2, 0), "old": _labels(5, 0, 2)})


def test_counts_are_by_plurality_and_of_the_chosen_rows_alone() -> None:
    labels = _labels(2, 3, 1)
    rows = labels.labelled.copy()
    rows[0] = False

    np.testing.assert_array_equal(class_counts(labels, rows), [1, 3, 1])
