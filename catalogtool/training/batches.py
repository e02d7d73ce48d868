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
        Draw classes equally often, with replacement; otherwise every example is shown once before
        any is shown again.

    Yields
    ------
    ndarray, shape (batch_size,), int64
    """
    rng = np.random.default_rng(seed)
    total = batch_size * steps
    if balanced:
        winners = examples.votes.argmax(axis=1)
        weights = 1 / np.bincount(winners)[winners]
        order = rng.choice(len(examples), total, p=weights / weights.sum())
    else:
        rounds = -(-total // len(examples))
        order = np.concatenate([rng.permutation(len(examples)) for _ in range(rounds)])
    for start in range(0, total, batch_size):
        yield order[start : start + batch_size]
