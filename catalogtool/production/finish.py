"""From parts to a committed run: assemble, verify, evaluate, report, commit."""

import json
from collections.abc import Iterator
from datetime import datetime

from catalogtool import storage
from catalogtool.catalogs import load_kind
from catalogtool.config._base import canonical_json
from catalogtool.errors import FlaggedShareError
from catalogtool.inference.models import RunModels
from catalogtool.layout import RunLayout
from catalogtool.ledger import LedgerTotals, read_ledger, totals
from catalogtool.production.clock import Clock
from catalogtool.production.evaluation import evaluate_run
from catalogtool.production.findings import Findings
from catalogtool.production.outcome import Outcome
from catalogtool.production.plan import Plan
from catalogtool.production.record import RunRecord
from catalogtool.production.report_content import gather_content, labelled_sets
from catalogtool.quality.report import write_report
from catalogtool.release.assemble import (
    AssembledCatalog,
    ReleaseInfo,
    assemble,
    assemble_summary,
)
from catalogtool.release.verify import verify


def check_flagged_share(
    run: RunLayout, record: RunRecord, limit: float
) -> tuple[LedgerTotals, ...]:
    """Sum the ledger, and end a run of which too much failed.

    Raises
    ------
    FlaggedShareError
        With the counts by reason; parts and ledger stay for a look.
    """
    lines = read_ledger(run).values()
    sums = tuple(totals(lines, kind) for kind in record.kinds)
    for total in sums:
        if total.flagged_share <= limit:
            continue
        reasons = ", ".join(f"{name} {count}" for name, count in total.reasons.items())
        failed = total.rows_flagged + total.rows_unplaced
        raise FlaggedShareError(
            f"{total.kind}: {failed} of {total.rows_in} rows ({total.flagged_share:.1%}) have no "
            f"prediction or no position, more than the allowed {limit:.1%}: {reasons}. Repair the "
            "inputs, or allow more with --max-flagged",
            **total.to_json(),
        )
    return sums


def finish(
    plan: Plan, models: RunModels, record: RunRecord, sums: tuple[LedgerTotals, ...], clock: Clock
) -> Outcome:
    """Turn the parts of a finished inference into verified catalogs, a report and a commit.

    Parameters
    ----------
    plan, models, record : Plan, RunModels, RunRecord
        The run.
    sums : tuple of LedgerTotals
        What the ledger says, per kind.
    clock : Clock
        Times the stages.

    Raises
    ------
    VerificationError
        If a catalog is not what it claims; the run is then not committed.
    """
    run = plan.layout.run(record.run_id)
    with clock.stage("assemble"):
        catalogs = tuple(_assemble(plan, run, record))
        summaries = tuple(_summarise(plan, run, record))
    with clock.stage("verify"):
        folders = catalog_folders(run, record)
        reports = tuple(verify(folders[total.kind], total) for total in sums)
        for report in (*reports, *(verify(summary.uri) for summary in summaries)):
            report.raise_for_failures()
    with clock.stage("report"):
        evaluated = evaluate_run(plan, models.network, run)
        findings = Findings(plan, models, record, sums, catalogs, reports, evaluated, summaries)
        write_report(gather_content(findings, clock.timings), run.report)
    outcome = _outcome(findings, clock)
    _commit(findings, outcome)
    return outcome


def release_info(plan: Plan, record: RunRecord, kind: str) -> ReleaseInfo:
    """What the catalog of one kind says of itself."""
    return ReleaseInfo(
        survey=plan.survey,
        context=plan.context(record.models[kind], record.embedding_size),
        run_id=record.run_id,
        created=datetime.fromisoformat(record.created),
        simulated_pixels=record.simulated_cutouts,
        simulated_training=record.simulated_training,
        calibration=record.calibration,
    )


def extended_kind(kinds: tuple[str, ...]) -> str | None:
    """The kind that others of a run extend: its first one that extends none."""
    return next((kind for kind in kinds if not load_kind(kind).extends), None)


def catalog_folders(run: RunLayout, record: RunRecord) -> dict[str, str]:
    """Folder of the collection of each kind; extensions are inside of what they extend."""
    extended = extended_kind(record.kinds)
    return {
        kind: run.extension(record.survey, kind, extended)
        if extended is not None and load_kind(kind).extends
        else run.catalog(record.survey, kind)
        for kind in record.kinds
    }


def _assemble(plan: Plan, run: RunLayout, record: RunRecord) -> Iterator[AssembledCatalog]:
    """Collections of a run; extensions have none of their own if there is something to extend."""
    extended = extended_kind(record.kinds)
    extensions = [
        (kind, release_info(plan, record, kind))
        for kind in record.kinds
        if extended is not None and load_kind(kind).extends
    ]
    inside = {kind for kind, _ in extensions}
    for kind in record.kinds:
        if kind not in inside:
            info = release_info(plan, record, kind)
            uri = run.catalog(record.survey, kind)
            more = extensions if kind == extended else []
            yield assemble(run, kind, record.units, info, uri, more)


def _summarise(plan: Plan, run: RunLayout, record: RunRecord) -> Iterator[AssembledCatalog]:
    """Summaries of the kinds that have one."""
    for kind in record.kinds:
        summary = load_kind(kind).summary
        if summary is not None:
            info = release_info(plan, record, kind)
            uri = run.catalog(record.survey, summary.name)
            yield assemble_summary(run, kind, record.units, info, uri)


def _outcome(findings: Findings, clock: Clock) -> Outcome:
    record, run = findings.record, findings.run
    remarks = [findings.evaluated.sentence()]
    if record.simulated_cutouts:
        remarks.append("The cutouts of this catalog are simulated.")
    if record.simulated_training:
        remarks.append("The network learned from simulated cutouts.")
    total = sum(seconds for _, seconds in clock.timings)
    return Outcome(
        places=(
            *((f"catalog {k}", uri) for k, uri in catalog_folders(run, record).items()),
            *((f"catalog {c.kind}", c.uri) for c in findings.summaries),
            ("report", run.report),
            *record.model_folders,
            ("run", run.uri),
        ),
        counts=tuple((t.kind, t.rows_in, t.rows_flagged, t.rows_unplaced) for t in findings.sums),
        timings=tuple((n, f"{seconds:.1f}") for n, seconds in (*clock.timings, ("all", total))),
        figures=labelled_sets(findings),
        remarks=tuple(remarks),
    )


def _commit(findings: Findings, outcome: Outcome) -> None:
    """Make the run count; of several processes that finish it, the first one does."""
    record = findings.record
    commit = {
        "run_id": record.run_id,
        "catalogs": {c.kind: c.manifest_sha256 for c in (*findings.catalogs, *findings.summaries)},
        "checks": {r.uri: len(r.checks) for r in findings.reports},
        "outcome": outcome.to_json(),
    }
    storage.create_bytes(findings.run.commit, canonical_json(commit).encode())
    if findings.plan.config.is_increment:
        return  # its catalog holds the new objects alone
    pointer = {"run": findings.run.uri, "created": record.created}
    latest = findings.plan.layout.latest(record.survey)
    storage.write_bytes(latest, canonical_json(pointer).encode())


def read_outcome(run: RunLayout) -> Outcome:
    """Read what a committed run said when it ended."""
    return Outcome.from_json(json.loads(storage.read_bytes(run.commit))["outcome"])
