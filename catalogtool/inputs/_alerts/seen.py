"""Ids that were met before: 8 bytes each, for tens of millions of them."""

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]


class SeenIds:
    """Sorted arrays of doubling lengths, of which a few are searched for each batch."""

    def __init__(self) -> None:
        self._sorted: list[Ids] = []

    def again(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Which of some ids were met before, in earlier calls or earlier in this one."""
        _, first = np.unique(ids, return_index=True)
        repeated = np.ones(len(ids), dtype=np.bool_)
        repeated[first] = False
        for known in self._sorted:
            places = np.minimum(np.searchsorted(known, ids), len(known) - 1)
            repeated |= known[places] == ids
        self._add(np.sort(ids[~repeated]))
        return repeated

    def _add(self, ids: Ids) -> None:
        while self._sorted and len(self._sorted[-1]) <= len(ids):
            ids = np.sort(np.concatenate([self._sorted.pop(), ids]))
        if len(ids):
            self._sorted.append(ids)
