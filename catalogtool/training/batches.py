"""Which examples each step shows: drawn from seeds, so that a resumed training sees the same."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from catalogtool.training.examples import Examples


def batch_indices(
    examples: Examples, batch_size: int, steps: int, seed: tuple[int, ...], *, balanced: bool
) -> Iterator[npt.NDArray[np.int64]]:
    """Choose the examples of one epoch.

    Parameters
    ----------
    examples : Examples
        M examples.
    batch_size, steps : int
        Size and number of the batches.
    seed : tuple of int
        Everything that sets this epoch and worker apart from others.
    balanced : bool
        Show classes equally often, and every example of a class once before any of it is shown
        again; otherwise every example once before any is shown again.

    Yields
    ------
    ndarray, shape (batch_size,), int64
    """
    rng = np.random.default_rng(seed)
    total = batch_size * steps
    if balanced:
        order = _classes_in_turn(examples.votes.argmax(axis=1), total, rng)
    else:
        order = _in_turn(len(examples), total, rng)
    for start in range(0, total, batch_size):
        yield order[start : start + batch_size]


def _in_turn(count: int, total: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Numbers below `count` in random rounds, each once a round; shape (total,)."""
    rounds = -(-total // count)
    return rng.permuted(np.tile(np.arange(count), (rounds, 1)), axis=1).ravel()[:total]


def _classes_in_turn(
    winners: npt.NDArray[np.int64], total: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Examples of every class in turn; shape (total,)."""
    classes = np.unique(winners)
    turn = classes[_in_turn(len(classes), total, rng)]
    order = np.empty(total, dtype=np.int64)
    for name in classes:
        members = np.flatnonzero(winners == name)
        is_its = turn == name
        order[is_its] = members[_in_turn(len(members), int(is_its.sum()), rng)]
    return order
