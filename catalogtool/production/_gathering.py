"""Reads what the vetting page shows of candidates, in the order in which the input holds them."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from catalogtool.inputs._base import Format
from catalogtool.inputs.manifest import Manifest
from catalogtool.production._spool import Spool
from catalogtool.quality._sprites import scale_cutouts
from catalogtool.quality.vetting import CANDIDATES, detail_text

SHOWN_BANDS = 3
"""Bands whose cutouts are shown, the first ones of the survey."""

_CHUNK_OBJECTS = 256
_NEIGHBOUR = {"neighbour_arcsec": "distpsnr1", "neighbour_star_score": "sgscore1"}
_FROM_FACTS = (
    "band",
    "magnitude_ab",
    "magnitude_error",
    "is_positive",
    "survey_score",
    "detections",
)


@runtime_checkable
class _HasHistory(Protocol):
    """A format whose packets tell what was seen before."""

    def read_history(self, rows: pa.Table) -> pa.Table: ...


def manifest_rows(manifest: Manifest, chosen: pa.Table) -> Iterator[tuple[list[int], pa.Table]]:
    """Ranks and manifest rows of the candidates, in the order of the input, some at a time."""
    units, places = (chosen.column(name).to_numpy() for name in ("unit", "place"))
    order = np.lexsort((places, units))
    ranks: list[int] = []
    tables: list[pa.Table] = []
    for unit in np.unique(units).tolist():
        here = order[units[order] == unit]
        tables.append(manifest.read_unit(unit).take(pa.array(places[here])))
        ranks += here.tolist()
        if len(ranks) >= _CHUNK_OBJECTS:
            yield ranks, pa.concat_tables(tables)
            ranks, tables = [], []
    if ranks:
        yield ranks, pa.concat_tables(tables)


class Gatherer:
    """Reads cutouts, light curves and facts, spools them, and keeps what the table shows."""

    def __init__(self, source: Format, spool: Spool, *, upside_down: bool) -> None:
        self.count = 0
        self.values: dict[int, dict[str, Any]] = {}
        self._source = source
        self._spool = spool
        self._rows_step = -1 if upside_down else 1  # the first row of FITS pixels is the lowest

    def read(self, ranks: list[int], rows: pa.Table) -> None:
        """Read the objects of some manifest rows."""
        for start in range(0, len(ranks), _CHUNK_OBJECTS):
            self._read(ranks[start : start + _CHUNK_OBJECTS], rows.slice(start, _CHUNK_OBJECTS))

    def _read(self, ranks: list[int], rows: pa.Table) -> None:
        cutouts = self._source.read(rows)
        shown = slice(None), slice(SHOWN_BANDS), slice(None, None, self._rows_step)
        tones = scale_cutouts(cutouts.images[shown], cutouts.mask[shown])
        histories = self._histories(rows)
        facts = [{}] * rows.num_rows if cutouts.facts is None else cutouts.facts.to_pylist()
        times = rows.column("observed_mjd").to_pylist()
        for place, rank in enumerate(ranks):
            history = histories[place]
            more = {k: v for k, v in facts[place].items() if k not in CANDIDATES.names}
            self._spool.put(rank, tones[place], detail_text(history, more))
            self.values[rank] = {
                "observed_mjd": times[place],
                "age_days": _age_days(history, times[place]),
                **{name: facts[place].get(fact) for name, fact in _NEIGHBOUR.items()},
                **{name: facts[place].get(name) for name in _FROM_FACTS},
            }
            self.count += 1

    def _histories(self, rows: pa.Table) -> list[pa.Table | None]:
        if not isinstance(self._source, _HasHistory):
            return [None] * rows.num_rows
        history = self._source.read_history(rows).sort_by("object_id")
        ids = history.column("object_id").to_numpy()
        wanted = rows.column("object_id").to_numpy()
        first, last = (np.searchsorted(ids, wanted, side) for side in ("left", "right"))
        return [history.slice(a, b - a) for a, b in zip(first.tolist(), last.tolist(), strict=True)]


def _age_days(history: pa.Table | None, observed_mjd: float | None) -> float | None:
    """Time since the first detection; None where either time is unknown."""
    if history is None or observed_mjd is None:
        return None
    seen = history.filter(history.column("magnitude_ab").is_valid()).column("mjd").to_numpy()
    return float(max(0.0, observed_mjd - seen.min())) if len(seen) else None
