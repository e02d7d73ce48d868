"""Nightly increments: which model, which objects, and when a night counts.

A survey's growing catalogs are made with one model for as long as nobody asks for another: the
first increment trains it as the recipe says and writes it down. Every model has a folder of its
own, so that objects seen by an earlier one are unseen under the new one.

An object counts as seen when a committed increment of this model holds its id. Observed again in a
later night, it keeps the row of the first one and is only counted in the log.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from catalogtool import storage
from catalogtool.config._base import Settings, build_settings, canonical_json
from catalogtool.config.run import RunConfig
from catalogtool.errors import ConfigError, ReleaseError, StorageError
from catalogtool.inference.models import RunModels, model_ids
from catalogtool.inputs._times import mjd_of
from catalogtool.inputs.manifest import object_ids, write_manifest
from catalogtool.layout import OutputLayout, RunLayout, SeriesLayout
from catalogtool.ledger import read_ledger, totals
from catalogtool.nights import night_start
from catalogtool.production.domains import objects_per_unit
from catalogtool.production.finish import release_info
from catalogtool.production.plan import Plan
from catalogtool.production.record import read_record
from catalogtool.release._rows import RunParts, Shape
from catalogtool.release.append import AppendedCatalog, append
from catalogtool.surveys import load_survey

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


class SeriesModel(Settings):
    """The models and the kinds of a survey's growing catalogs."""

    model_uri: str | None
    scorer_uri: str | None = None
    hosts_uri: str | None = None
    models: dict[str, str]
    """Identity of the model of each kind."""
    kinds: tuple[str, ...]
    created: str

    @property
    def name(self) -> str:
        """Name of the series: its model, or a hash of its models where kinds have their own."""
        ids = sorted(set(self.models.values()))
        return ids[0] if len(ids) == 1 else hashlib.sha256("+".join(ids).encode()).hexdigest()[:16]


class IncrementRecord(Settings):
    """One increment that is in all growing catalogs."""

    name: str
    night: date | None
    """None: objects of any night."""
    run_id: str
    manifest: str
    """File of its objects in the folder of manifests."""
    objects: int
    created: str


@dataclass(frozen=True)
class Selection:
    """What one increment has to do.

    Attributes
    ----------
    plan : Plan or None
        The production of the selected objects; None if there are none.
    seen, undated : int
        Objects left out because the series has them, or because their night is unknown.
    """

    plan: Plan | None
    seen: int
    undated: int

    def sentence(self) -> str:
        """The selection in words."""
        objects = self.plan.target.manifest.objects if self.plan else 0
        text = f"{objects} objects are new to the series, {self.seen} were seen before"
        return f"{text}, {self.undated} have no known night" if self.undated else text


def with_series_model(config: RunConfig) -> RunConfig:
    """Settings of a production; an increment gets the model of its series, if that has one."""
    if not config.is_increment or config.new_model or config.model is not None:
        return config
    layout = OutputLayout(storage.normalise(config.output))
    record = _read_model(layout, load_survey(config.survey).name)
    if record is None:
        return config
    folders = {
        "model": record.model_uri,
        "scorer": record.scorer_uri,
        "host_model": record.hosts_uri,
    }
    return config.model_copy(update=folders)


def settle_models(plan: Plan, models: RunModels) -> SeriesLayout:
    """Make sure that the series has these models; the first increment decides.

    Raises
    ------
    ConfigError
        If the series has another model, or other kinds of catalogs.
    """
    survey = plan.survey.name
    mine = SeriesModel(
        model_uri=plan.model_uri,
        scorer_uri=plan.scorer_uri,
        hosts_uri=plan.hosts_uri,
        models=model_ids(models, plan.kinds),
        kinds=plan.kinds,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    where = plan.layout.series_model(survey)
    data = canonical_json(mine.to_json()).encode()
    found = _read_model(plan.layout, survey)
    if plan.config.new_model and (found is None or found.models != mine.models):
        storage.write_bytes(where, data)
    else:
        storage.create_bytes(where, data)
    record = _read_model(plan.layout, survey)
    assert record is not None
    if record.kinds != mine.kinds:
        raise ConfigError(
            f"{where}: the series of {survey} has the catalogs {', '.join(record.kinds)}; leave "
            "--catalog out, or name what all its increments have"
        )
    if record.models != mine.models:
        raise ConfigError(
            f"{where}: the series of {survey} has another model than {mine.name}; leave "
            "--model out to go on with it, or begin another series with --new-model"
        )
    return plan.layout.series(survey, mine.name)


def _read_model(layout: OutputLayout, survey: str) -> SeriesModel | None:
    where = layout.series_model(survey)
    if not storage.exists(where):
        return None
    return build_settings(SeriesModel, json.loads(storage.read_bytes(where)), where=where)


def read_increments(series: SeriesLayout) -> list[IncrementRecord]:
    """Committed increments of a series, oldest first."""
    uris = [info.uri for info in storage.list_files(series.increments)]
    records = []
    for uri, data in zip(uris, storage.read_many(uris), strict=True):
        if isinstance(data, StorageError):
            raise data
        records.append(build_settings(IncrementRecord, json.loads(data), where=uri))
    return sorted(records, key=lambda record: (record.created, record.name))


def select(plan: Plan, committed: Sequence[IncrementRecord]) -> Selection:
    """Restrict a plan to the objects of its night that the series has not seen.

    Parameters
    ----------
    plan : Plan
        A production of all objects.
    committed : sequence of IncrementRecord
        Increments of the plan's model.
    """
    folder = plan.layout.manifests
    chunks = [object_ids(storage.join(folder, record.manifest)) for record in committed]
    seen = np.sort(np.concatenate([np.zeros(0, np.int64), *chunks]))
    wanted: list[BoolArray] = []
    seen_count = undated = 0
    for rows in plan.target.manifest.iter_units():
        is_seen = _among(rows.column("object_id").to_numpy(), seen)
        of_night = _of_night(rows, plan)
        wanted.append(of_night & ~is_seen)
        seen_count += int((of_night & is_seen).sum())
        if plan.config.night is not None:
            undated += rows.column("observed_mjd").null_count
    if not any(chosen.any() for chosen in wanted):
        return Selection(None, seen_count, undated)
    manifest = write_manifest(
        _filtered(plan, wanted),
        plan.target.manifest.uri,
        storage.join(folder, plan.survey.name),
        objects_per_unit(plan.survey, plan.config.unit_objects),
    )
    target = replace(plan.target, manifest=manifest)
    return Selection(replace(plan, target=target), seen_count, undated)


def _filtered(plan: Plan, wanted: Sequence[BoolArray]) -> Iterator[pa.Table]:
    for rows, chosen in zip(plan.target.manifest.iter_units(), wanted, strict=True):
        if chosen.any():
            yield rows.filter(pa.array(chosen))


def _among(ids: IntArray, known: IntArray) -> BoolArray:
    """Which ids are in a sorted array."""
    if not len(known):
        return np.zeros(len(ids), dtype=np.bool_)
    place = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    found: BoolArray = known[place] == ids
    return found


def _of_night(rows: pa.Table, plan: Plan) -> BoolArray:
    """Which objects were observed in the night of the plan; all where it names none."""
    night = plan.config.night
    if night is None:
        return np.ones(rows.num_rows, dtype=np.bool_)
    start, end = (
        mjd_of(night_start(night + timedelta(days=days), plan.survey.timezone)) for days in (0, 1)
    )
    times = pc.fill_null(rows.column("observed_mjd"), float("nan")).to_numpy()
    inside: BoolArray = (times >= start) & (times < end)
    return inside


def share_form(series: SeriesLayout, run: RunLayout) -> None:
    """Let all increments predict with the form of the first one, for equal numbers."""
    for source, target in ((series.form, run.form), (run.form, series.form)):
        if storage.exists(source):
            storage.create_bytes(target, storage.read_bytes(source))


def append_run(
    plan: Plan, run: RunLayout, series: SeriesLayout, committed: Sequence[IncrementRecord]
) -> tuple[AppendedCatalog, ...]:
    """Append a finished run to the growing catalogs of its survey, and commit the increment.

    Raises
    ------
    ReleaseError
        If a catalog got other rows than the ledger tells of; the increment is then not committed.
    """
    record = read_record(run)
    night = plan.config.night
    name = f"{night.isoformat() if night else 'any-night'}-{record.run_id}"
    lines = read_ledger(run).values()
    catalogs = []
    for kind in record.kinds:
        shape = Shape(kind, release_info(plan, record, kind))
        rows = RunParts(run, kind, record.units, shape.part_schema)
        uri = series.catalog(record.survey, kind)
        catalogs.append(append(rows, shape, uri, name, [r.name for r in committed]))
        sums = totals(lines, kind)
        if catalogs[-1].rows != sums.rows_written + sums.rows_flagged:
            raise ReleaseError(
                f"{uri}: {catalogs[-1].rows} rows were appended, but the ledger of {run.uri} has "
                f"{sums.rows_written + sums.rows_flagged}; this is a bug or a damaged run folder"
            )
    increment = IncrementRecord(
        name=name,
        night=night,
        run_id=record.run_id,
        manifest=record.manifest_uri.rsplit("/", 1)[-1],
        objects=record.objects,
        created=datetime.now(UTC).isoformat(),
    )
    storage.create_bytes(series.increment(name), canonical_json(increment.to_json()).encode())
    return tuple(catalogs)


def commit_night(plan: Plan, series: SeriesLayout) -> int:
    """Make the night of a plan count, the last act of its production; returns its objects."""
    night = plan.config.night
    assert night is not None
    increments = [r for r in read_increments(series) if r.night == night]
    commit = {
        "night": night.isoformat(),
        "run": increments[-1].run_id if increments else None,
        "model": series.uri.rsplit("/", 1)[-1],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "objects": sum(record.objects for record in increments),
    }
    where = plan.layout.night(plan.survey.name, night)
    storage.create_bytes(where, canonical_json(commit).encode())
    return sum(record.objects for record in increments)
