"""Which labels teach, which choose the best epoch, and which are kept for the final figures.

A galaxy is on one side only, over all of its bands.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalogtool.errors import LabelError

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

# Streams of random numbers: adding labels must not change the test objects.
_TEST, _LABELS, _VALIDATION = range(3)


@dataclass(frozen=True)
class Labels:
    """All labels of a survey.

    Attributes
    ----------
    object_id : ndarray, shape (N,), int64
    votes : ndarray, shape (N, R, K), float32
        R rows (bands, or one) per object; NaN where there is no label.
    given_split : ndarray, shape (N,), str
        ``"test"``, ``"train"`` or ``""``.
    """

    object_id: IntArray
    votes: FloatArray
    given_split: npt.NDArray[np.str_]

    @property
    def labelled(self) -> BoolArray:
        """Rows with a label, shape (N, R)."""
        return np.asarray(np.isfinite(self.votes).all(axis=2))


@dataclass(frozen=True)
class SplitRules:
    """How labels are shared out."""

    seed: int
    test_share: float
    """Share of the labelled objects, where the survey gives no split."""
    validation_share: float
    """Share of the objects whose labels are drawn."""
    label_count: int | None = None
    """Labelled rows that may be drawn, 0 included; None: all that are not for the test."""
    shots: int | None = None
    """Labelled rows of each class that may be drawn, 0 included; None: no limit."""
    test_is_rest: bool = False
    """Whether all labelled objects that are not drawn are for the test."""
    validation_shots: int = 0
    """Labelled rows of each class, of other objects, that choose an epoch whatever is drawn."""


@dataclass(frozen=True)
class Split:
    """Three disjoint sets of labelled rows, each of shape (N, R), bool."""

    train: BoolArray
    validation: BoolArray
    test: BoolArray


def split_labels(labels: Labels, rules: SplitRules) -> Split:
    """Share out labels by object; equal labels and rules give the same split in any row order.

    Notes
    -----
    Draws are nested: with the same seed, the first 20 of 100 labels are those of a draw of 20.

    Raises
    ------
    LabelError
        If no label is left to train on, and not because none was asked for.
    """
    labelled = labels.labelled
    given = labels.given_split == "test"
    candidates = labelled & ~given[:, None]
    rest_is_test = rules.test_is_rest and rules.shots is not None and not given.any()
    is_test = given
    if not given.any() and not rest_is_test:
        is_test = _choose_objects(labels, candidates, rules.test_share, (rules.seed, _TEST))
        candidates &= ~is_test[:, None]
    order = _drawing_order(labels, candidates, rules.seed)
    drawn = _draw(labels, order, rules)
    chooses = _choose_objects(labels, drawn, rules.validation_share, (rules.seed, _VALIDATION))
    train = drawn & ~chooses[:, None]
    validation = drawn & chooses[:, None]
    validation |= _choose_last(labels, order, drawn, rules.validation_shots)
    if rest_is_test:
        is_test = ~(drawn | validation).any(axis=1)
    if not train.any() and 0 not in (rules.label_count, rules.shots):
        raise LabelError(
            f"no label is left to train on: {labelled.sum()} labelled cutouts of "
            f"{labelled.any(axis=1).sum()} objects, {drawn.sum()} drawn; allow more labels, or "
            "lower test_share and validation_share"
        )
    return Split(train, validation, labelled & is_test[:, None])


def _choose_objects(
    labels: Labels, rows: BoolArray, share: float, stream: tuple[int, int]
) -> BoolArray:
    """Choose a share of the objects that have any of the rows: shape (N,), bool."""
    ids = np.unique(labels.object_id[rows.any(axis=1)])
    count = round(share * len(ids))
    chosen = np.random.default_rng(stream).permutation(ids)[:count]
    return np.isin(labels.object_id, chosen)


def _drawing_order(labels: Labels, candidates: BoolArray, seed: int) -> tuple[IntArray, IntArray]:
    """Objects and rows of the candidates, shuffled: two arrays of shape (M,)."""
    objects, rows = np.nonzero(candidates)
    order = np.lexsort((rows, labels.object_id[objects]))
    order = np.random.default_rng((seed, _LABELS)).permutation(order)
    return objects[order], rows[order]


def _draw(labels: Labels, order: tuple[IntArray, IntArray], rules: SplitRules) -> BoolArray:
    """Draw labelled rows up to the limits per class and in all: shape (N, R), bool."""
    objects, rows = order
    if rules.shots is not None:
        few = _rank_within(labels.votes[objects, rows].argmax(axis=1)) < rules.shots
        objects, rows = objects[few], rows[few]
    drawn = np.zeros_like(labels.labelled)
    drawn[objects[: rules.label_count], rows[: rules.label_count]] = True
    return drawn


def _choose_last(
    labels: Labels, order: tuple[IntArray, IntArray], drawn: BoolArray, shots: int
) -> BoolArray:
    """Choose rows of each class, of other objects, from the other end: shape (N, R), bool.

    So what chooses is the same, however many labels teach.
    """
    objects, rows = (some[::-1] for some in order)
    free = ~np.isin(objects, np.flatnonzero(drawn.any(axis=1)))
    objects, rows = objects[free], rows[free]
    few = _rank_within(labels.votes[objects, rows].argmax(axis=1)) < shots
    chosen = np.zeros_like(drawn)
    chosen[objects[few], rows[few]] = True
    return chosen


def _rank_within(groups: IntArray) -> IntArray:
    """How many earlier elements are of the same group: shape of `groups`."""
    ranks = np.zeros_like(groups)
    for group in np.unique(groups):
        members = groups == group
        ranks[members] = np.arange(members.sum())
    return ranks
