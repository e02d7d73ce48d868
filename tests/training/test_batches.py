"""Which examples the steps show."""

import numpy as np

from catalogtool.training.batches import batch_indices
from catalogtool.training.examples import Examples


def _examples(winners: list[int]) -> Examples:
    count = len(winners)
    return Examples(
        images=np.zeros((count, 1, 2, 2), dtype=np.float32),
        votes=np.eye(3, dtype=np.float32)[winners],
        object_id=np.arange(count),
        band=np.zeros(count, dtype=np.int64),
        flagged=0,
    )


def test_every_example_is_shown_once_before_any_is_shown_again() -> None:
    examples = _examples([0, 1, 2, 0, 1, 2])

    shown = np.concatenate(list(batch_indices(examples, 4, 3, (1,), balanced=False)))

    assert sorted(shown[:6]) == sorted(shown[6:]) == list(range(6))


def test_the_seed_decides_the_batches() -> None:
    examples = _examples([0, 1, 2, 0, 1, 2])

    def draw(*seed: int) -> list[list[int]]:
        return [b.tolist() for b in batch_indices(examples, 2, 3, seed, balanced=False)]

    assert draw(1, 0) == draw(1, 0) != draw(1, 1)


def test_balanced_batches_show_rare_classes_as_often_as_common_ones() -> None:
    winners = [0] * 90 + [1] * 9 + [2]
    examples = _examples(winners)

    shown = np.concatenate(list(batch_indices(examples, 100, 30, (1,), balanced=True)))

    shares = np.bincount(np.array(winners)[shown]) / len(shown)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.03)


def test_balanced_batches_show_every_example_of_a_class_once_before_any_again() -> None:
    winners = np.array([0] * 12 + [1] * 3 + [2] * 6)
    examples = _examples(winners.tolist())

    batches = list(batch_indices(examples, 9, 4, (1,), balanced=True))

    for batch in batches:
        assert np.bincount(winners[batch]).tolist() == [3, 3, 3]
    shown = np.bincount(np.concatenate(batches), minlength=len(winners))
    assert [shown[winners == name].tolist() for name in range(3)] == [[1] * 12, [4] * 3, [2] * 6]


def test_balanced_batches_of_any_size_differ_by_one_example_of_a_class_at_most() -> None:
    winners = np.array([0] * 20 + [2] * 5)  # nobody is of class 1

    for size in (1, 3, 7):
        batches = batch_indices(_examples(winners.tolist()), size, 10, (size,), balanced=True)
        shown = np.bincount(winners[np.concatenate(list(batches))], minlength=3)
        assert shown[1] == 0
        assert abs(shown[0] - shown[2]) <= 1
