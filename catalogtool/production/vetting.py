"""From a finished run to the page on which people vet its candidates."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from catalogtool import __version__, storage
from catalogtool.catalogs.morphology import ALL_BANDS
from catalogtool.config._base import canonical_json
from catalogtool.errors import ConfigError
from catalogtool.inputs import open_input_format
from catalogtool.inputs._base import Format
from catalogtool.inputs.manifest import Manifest
from catalogtool.production._spool import Spool
from catalogtool.production.candidates import Choice, choose_candidates
from catalogtool.production.record import RunRecord, read_record
from catalogtool.progress import Progress
from catalogtool.quality._sprites import scale_cutouts
from catalogtool.quality.vetting import CANDIDATES, VettingContent, detail_text, render_vetting
from catalogtool.release._run_facts import RunFacts
from catalogtool.surveys import load_survey
from catalogtool.surveys._definition import Survey

KINDS = ("alert", "morphology")
"""Catalog kinds that can be vetted, the first one of a run counts."""

_CHUNK_OBJECTS = 256
_SHOWN_BANDS = 3
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


@dataclass(frozen=True)
class VettingPage:
    """A written page."""

    uri: str
    candidates: int
    files: int
    size_bytes: int

    def rows(self) -> list[tuple[str, str]]:
        """What and how much, in words."""
        return [
            ("page", self.uri),
            ("candidates", f"{self.candidates:,}"),
            ("files", f"{self.files:,}"),
            ("size", f"{self.size_bytes / 2**20:.1f} MiB"),
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def write_vetting(
    facts: RunFacts, choice: Choice, output: str | None, progress: Progress
) -> VettingPage:
    """Write the page of a run's best candidates.

    Parameters
    ----------
    facts : RunFacts
        A committed run.
    choice : Choice
        Which candidates.
    output : str or None
        Folder of the page; None: in the folder of the run, named by the class.
    progress : Progress
        Is told how far it is.

    Raises
    ------
    ConfigError
        If the run has no catalog to vet, or its survey no such class.
    DataError
        If there is no candidate, or the run or its input cannot be read.
    """
    run, record = facts.run, read_record(facts.run)
    survey = load_survey(record.config.survey)
    kind = _vetted_kind(facts)
    ranking = choice.ranking_class(survey)
    uri = storage.normalise(output or run.vetting(ranking or "all"))
    manifest = Manifest(record.manifest_uri, record.manifest_identity, record.objects, record.units)
    with progress.stage("choose candidates"):
        chosen = choose_candidates(run, manifest, kind, survey, choice)
    shape = (
        min(len(survey.bands), _SHOWN_BANDS),
        survey.cutout_size_pix,
        survey.cutout_size_pix,
    )
    with (
        storage.scratch_folder(uri) as scratch,
        Spool(scratch, chosen.num_rows, shape) as spool,
    ):
        with progress.stage("read cutouts"):
            gatherer = _Gatherer(_open_input(survey, record), spool, upside_down=kind == "alert")
            for ranks, rows in _manifest_rows(manifest, chosen):
                gatherer.read(ranks, rows)
                progress.advance(gatherer.count, chosen.num_rows, "candidates")
        candidates = _candidate_table(chosen, gatherer.values, survey.labels.classes)
        content = _content(record, survey, kind, choice, candidates)
        files = size = 0
        with progress.stage("write page"):
            for name, data in render_vetting(content, spool.read):
                storage.write_bytes(storage.join(uri, name), data)
                files, size = files + 1, size + len(data)
    return VettingPage(storage.join(uri, "index.html"), chosen.num_rows, files, size)


def _vetted_kind(facts: RunFacts) -> str:
    for kind in KINDS:
        if kind in facts.catalogs:
            return kind
    raise ConfigError(
        f"{facts.run.uri}: has the catalogs {', '.join(sorted(facts.catalogs))}; candidates are "
        f"vetted from {' or '.join(KINDS)}"
    )


def _open_input(survey: Survey, record: RunRecord) -> Format:
    asked, labels = record.config.input, record.config.labels
    return open_input_format(
        survey,
        storage.normalise(asked) if asked else None,
        storage.normalise(labels) if labels else None,
    )


def _manifest_rows(manifest: Manifest, chosen: pa.Table) -> Iterator[tuple[list[int], pa.Table]]:
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


class _Gatherer:
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
        shown = slice(None), slice(_SHOWN_BANDS), slice(None, None, self._rows_step)
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


def _candidate_table(
    chosen: pa.Table, values: dict[int, dict[str, Any]], classes: tuple[str, ...]
) -> pa.Table:
    """Table of `CANDIDATES`: what the catalog says, and where it is silent what the input says."""
    rows = chosen.to_pylist()
    merged = []
    for rank, row in enumerate(rows):
        told = {name: item for name, item in row.items() if item not in (None, "", ALL_BANDS)}
        if "change_sign" in told:
            told["is_positive"] = {1: True, -1: False}.get(told["change_sign"])
        told["probabilities"] = [row[f"p_{name}"] for name in classes]
        known = values[rank] | told
        merged.append({name: known.get(name) for name in CANDIDATES.names})
    return pa.Table.from_pylist(merged, schema=CANDIDATES)


def _content(
    record: RunRecord, survey: Survey, kind: str, choice: Choice, candidates: pa.Table
) -> VettingContent:
    ranking = choice.ranking_class(survey)
    facts = {"run": record.run_id, "kind": kind, "class": ranking, "code": __version__}
    asked = {**facts, "min_score": choice.min_score, "limit": choice.limit}
    remarks = []
    if record.simulated_cutouts:
        remarks.append("The cutouts are simulated: no row describes a real object.")
    if record.simulated_training:
        remarks.append("The network learned from simulated cutouts.")
    what = f"probability of {ranking}" if ranking else "probability of the most probable class"
    return VettingContent(
        title=f"Candidates of {survey.title}",
        subtitle=f"Run {record.run_id} · {record.created} · ranked by the {what}",
        page_id=hashlib.sha256(canonical_json(asked).encode()).hexdigest()[:12],
        picks_id=f"{record.run_id}/{kind}",
        survey=survey.name,
        classes=survey.labels.classes,
        channels=survey.band_names[:_SHOWN_BANDS],
        ranked_by=what,
        candidates=candidates,
        remarks=(" ".join(remarks),) if remarks else (),
    )
