"""Conformal p-values: how rare a score is among usual objects that taught nothing."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


def p_values(scores: FloatArray, held_out: FloatArray) -> FloatArray:
    """Probability that a usual object scores at least as high.

    ``p = (1 + #{h >= s}) / (1 + n)``: of usual objects it is at most ``a`` with a probability of at
    most ``a``, whatever the scores are distributed like.

    Parameters
    ----------
    scores : ndarray, shape (M,)
    held_out : ndarray, shape (n,)
        Scores of usual objects that the method was not fitted on, ascending.

    Returns
    -------
    ndarray, shape (M,), float32
        In (0, 1].
    """
    above = len(held_out) - np.searchsorted(held_out, scores, side="left")
    return ((1 + above) / (1 + len(held_out))).astype(np.float32)
