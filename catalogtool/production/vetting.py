"""From a finished run to the page on which people vet its candidates."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from catalogtool import __version__, storage
from catalogtool.catalogs.morphology import ALL_BANDS
from catalogtool.config._base import canonical_json
from catalogtool.errors import ConfigError
from catalogtool.inputs import open_input_format
from catalogtool.inputs.manifest import Manifest
from catalogtool.production._gathering import SHOWN_BANDS, Gatherer, manifest_rows
from catalogtool.production._spool import Spool
from catalogtool.production.candidates import Choice, choose_candidates
from catalogtool.production.record import RunRecord, read_record
from catalogtool.progress import Progress
from catalogtool.quality.vetting import CANDIDATES, VettingContent, render_vetting
from catalogtool.release._run_facts import RunFacts
from catalogtool.surveys import load_survey
from catalogtool.surveys._definition import Survey

KINDS = ("alert", "morphology")
"""Catalog kinds that can be vetted, the first one of a run counts."""


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
        min(len(survey.bands), SHOWN_BANDS),
        survey.cutout_size_pix,
        survey.cutout_size_pix,
    )
    with (
        storage.scratch_folder(uri) as scratch,
        Spool(scratch, chosen.num_rows, shape) as spool,
    ):
        with progress.stage("read cutouts"):
            config = record.config
            source = open_input_format(survey, config.input, config.labels)
            gatherer = Gatherer(source, spool, upside_down=kind == "alert")
            for ranks, rows in manifest_rows(manifest, chosen):
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
        channels=survey.band_names[:SHOWN_BANDS],
        ranked_by=what,
        candidates=candidates,
        remarks=(" ".join(remarks),) if remarks else (),
    )
