"""How labels are shared out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogtool.errors import LabelError
from catalogtool.training.split import Labels, Split, SplitRules, split_labels


def _labels(objects: int = 40, rows: int = 3, classes: int = 3, seed: int = 0) -> Labels:
    rng = np.random.default_rng(seed)
    votes = rng.dirichlet(np.ones(classes), (objects, rows)).astype(np.float32)
    votes[rng.random((objects, rows)) < 0.3] = np.nan
    ids = rng.permutation(10 * objects)[:objects].astype(np.int64)
    return Labels(ids, votes, np.full(objects, "", dtype="U5"))


def _sides(labels: Labels, split: Split) -> list[set[int]]:
    parts = (split.train, split.validation, split.test)
    return [set(labels.object_id[part.any(axis=1)].tolist()) for part in parts]


@given(
    seed=st.integers(0, 1000),
    test_share=st.floats(0.05, 0.6),
    validation_share=st.floats(0, 0.4),
    label_count=st.none() | st.integers(10, 100),
    shots=st.none() | st.integers(4, 20),
    test_is_rest=st.booleans(),
    validation_shots=st.integers(0, 6),
)
def test_no_galaxy_is_on_two_sides(
    seed: int,
    test_share: float,
    validation_share: float,
    label_count: int | None,
    shots: int | None,
    test_is_rest: bool,  # noqa: FBT001 - drawn by hypothesis
    validation_shots: int,
) -> None:
    labels = _labels(seed=seed % 7)
    limits = (label_count, shots, test_is_rest, validation_shots)
    rules = SplitRules(seed, test_share, validation_share, *limits)

    split = split_labels(labels, rules)

    train, validation, test = _sides(labels, split)
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert ((split.train | split.validation | split.test) <= labels.labelled).all()


@given(seed=st.integers(0, 1000))
def test_the_split_depends_on_seed_and_ids_and_not_on_the_order(seed: int) -> None:
    labels = _labels()
    order = np.random.default_rng(seed).permutation(len(labels.object_id))
    shuffled = Labels(labels.object_id[order], labels.votes[order], labels.given_split[order])
    rules = SplitRules(seed, 0.4, 0.2, label_count=25)

    first, second = split_labels(labels, rules), split_labels(shuffled, rules)

    for name in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(first, name)[order], getattr(second, name))


def test_more_labels_keep_the_test_objects_and_the_earlier_labels() -> None:
    labels = _labels()

    few = split_labels(labels, SplitRules(1, 0.4, 0.0, label_count=10))
    many = split_labels(labels, SplitRules(1, 0.4, 0.0, label_count=30))

    np.testing.assert_array_equal(few.test, many.test)
    assert (few.train <= many.train).all()
    assert (few.train.sum(), many.train.sum()) == (10, 30)


def test_shots_are_counted_by_plurality() -> None:
    labels = _labels(objects=60)

    split = split_labels(labels, SplitRules(1, 0.3, 0.0, shots=5))

    winners = labels.votes[split.train].argmax(axis=1)
    np.testing.assert_array_equal(np.bincount(winners), [5, 5, 5])


def test_all_objects_that_are_not_drawn_can_be_the_test() -> None:
    labels = _labels(objects=30, rows=1)

    split = split_labels(labels, SplitRules(1, 0.3, 0.0, shots=2, test_is_rest=True))

    assert split.test.sum() == labels.labelled.sum() - 6


def test_the_labels_that_choose_are_the_same_however_many_teach() -> None:
    labels = _labels(objects=200, rows=1)
    splits = [
        split_labels(labels, SplitRules(3, 0.3, 0.0, shots=shots, validation_shots=4))
        for shots in (0, 1, 10)
    ]
    for shots, split in zip((0, 1, 10), splits, strict=True):
        winners = labels.votes.argmax(axis=2)
        assert np.bincount(winners[split.validation]).tolist() == [4, 4, 4]
        assert split.train.sum() == 3 * shots
        np.testing.assert_array_equal(split.validation, splits[0].validation)


def test_a_given_split_is_honoured() -> None:
    labels = _labels(objects=20)
    labels.given_split[:8] = "test"
    rules = SplitRules(1, 0.9, 0.0, shots=3, test_is_rest=True)

    split = split_labels(labels, rules)

    np.testing.assert_array_equal(split.test[:8], labels.labelled[:8])
    assert not split.test[8:].any()
    assert not split.train[:8].any()


def test_too_few_labels_are_an_error_that_counts_them() -> None:
    labels = Labels(
        np.arange(2), np.full((2, 1, 2), np.nan, np.float32), np.full(2, "", dtype="U5")
    )

    with pytest.raises(LabelError, match="no label is left to train on: 0 labelled cutouts"):
        split_labels(labels, SplitRules(0, 0.4, 0.1))
