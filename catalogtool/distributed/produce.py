"""One production from plan to committed catalog: the order of the stages, nothing else."""

import math
import os
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace

from catalogtool import storage
from catalogtool._discovery import check_name
from catalogtool.config.run import RunConfig
from catalogtool.distributed.cluster import any_cluster, default_workers
from catalogtool.distributed.infer import run_units
from catalogtool.distributed.models import find_models, make_models
from catalogtool.inference.forms import FORMS
from catalogtool.inference.models import RunModels, model_ids
from catalogtool.inference.unit import UnitTask
from catalogtool.layout import OutputLayout, RunLayout
from catalogtool.ledger import LedgerLine, finished_units
from catalogtool.production.clock import Clock
from catalogtool.production.finish import check_flagged_share, finish, read_outcome
from catalogtool.production.increments import (
    append_run,
    commit_night,
    read_increments,
    select,
    settle_models,
    share_form,
    with_series_model,
)
from catalogtool.production.lease import lease
from catalogtool.production.outcome import Outcome, small_outcome
from catalogtool.production.plan import Plan, make_plan
from catalogtool.production.record import (
    RunRecord,
    keep_record,
    new_record,
    read_record,
    run_id,
)
from catalogtool.production.stale import kept_parts
from catalogtool.progress import Progress
from catalogtool.surveys import load_survey

_THREADS = 1
"""Threads of a worker, which has one CPU; the number decides bits, so it is the same everywhere."""


def produce(config: RunConfig, progress: Progress) -> Outcome:
    """Run one production, or finish one that was interrupted.

    Parameters
    ----------
    config : RunConfig
        What is asked.
    progress : Progress
        Hears about stages and units.

    Returns
    -------
    Outcome
        Where everything is and how long it took.

    Raises
    ------
    CatalogtoolError
        The subclass says what went wrong; finished models and units are kept.
    """
    if config.form is not None:
        check_name(config.form, tuple(FORMS), "forms of a network")
    clock = Clock(progress)
    if config.is_increment:
        return _produce_increment(config, clock)
    with clock.stage("plan"):
        plan = make_plan(config)
    return _produce_plan(plan, clock)


def _produce_increment(config: RunConfig, clock: Clock) -> Outcome:
    """Add a night, or what is new, to the survey's series; the night's commit is the last act."""
    layout = OutputLayout(storage.normalise(config.output))
    survey = load_survey(config.survey).name
    with lease(layout.lock(survey)) as held:
        night = config.night and layout.night(survey, config.night)
        if night and storage.exists(night) and not config.new_model:
            clock.progress.log(f"nothing to do: the night {config.night} is committed in {night}")
            return small_outcome("night", night)
        with clock.stage("plan"):
            plan = make_plan(with_series_model(config))
        models = find_models(plan) or _make_models_first(plan, clock)
        series = settle_models(plan, models)
        committed = read_increments(series)
        selection = select(plan, committed)
        clock.progress.log(selection.sentence())
        outcome = small_outcome("series", series.uri)
        if selection.plan is not None:
            run = layout.run(run_id(selection.plan, model_ids(models, plan.kinds)))
            share_form(series, run)
            outcome = _produce_plan(selection.plan, clock)
            share_form(series, run)
            held.check()
            with clock.stage("append"):
                catalogs = append_run(selection.plan, run, series, committed)
            outcome = outcome.with_series(catalogs)
        if night:
            objects = commit_night(plan, series)
            clock.progress.log(f"night {config.night}: {objects} objects, committed in {night}")
        return outcome


def _make_models_first(plan: Plan, clock: Clock) -> RunModels:
    with _cluster(plan.config):
        return make_models(plan, clock)


def _produce_plan(plan: Plan, clock: Clock) -> Outcome:
    progress, config = clock.progress, plan.config
    _announce(plan, progress)
    models = find_models(plan)
    if models is not None:
        run = plan.layout.run(run_id(plan, model_ids(models, plan.kinds)))
        if storage.exists(run.commit):
            check_flagged_share(run, read_record(run), config.max_flagged_share)
            progress.log(f"nothing to do: this catalog is complete in {run.uri}")
            return read_outcome(run)
    with ExitStack() as stack:
        with clock.stage("start Ray"):
            stack.enter_context(_cluster(config))
        models = make_models(plan, clock)
        run = plan.layout.run(run_id(plan, model_ids(models, plan.kinds)))
        record = _infer(plan, models, run, clock)
    sums = check_flagged_share(run, record, config.max_flagged_share)
    return finish(plan, models, record, sums, clock)


def _cluster(config: RunConfig) -> AbstractContextManager[None]:
    workers = config.workers or len(os.sched_getaffinity(0))
    return any_cluster(max(workers, config.train_workers or 1))


def _announce(plan: Plan, progress: Progress) -> None:
    manifest = plan.target.manifest
    progress.log(f"{plan.survey.name}: {manifest.objects} objects in {manifest.units} units")
    if plan.simulated:
        progress.log(f"the cutouts of {plan.survey.name} are simulated")
    if plan.simulated_training:
        progress.log("the network learns from simulated cutouts")


def _infer(plan: Plan, models: RunModels, run: RunLayout, clock: Clock) -> RunRecord:
    workers = plan.config.workers or default_workers()
    record = keep_record(run, new_record(plan, models, _THREADS))
    finished = finished_units(run, plan.kinds)
    missing = sorted(set(range(record.units)) - set(finished))
    objects = record.objects - sum(line.objects for line in finished.values())
    done = 0
    if finished:
        clock.progress.log(f"{len(finished)} of {record.units} units are finished already")

    def on_line(line: LedgerLine) -> None:
        nonlocal done
        done += line.objects
        clock.progress.advance(done, objects, "objects")

    task = _unit_task(plan, record, run)
    with clock.stage("predict"):
        run_units(
            replace(task, objects_per_worker=math.ceil(record.objects / workers)),
            missing,
            workers,
            on_line,
            plan.config.stall_seconds,
        )
    return record


def _unit_task(plan: Plan, record: RunRecord, run: RunLayout) -> UnitTask:
    target = plan.target.to_data()
    kept_run_uri, kept = kept_parts(plan) if plan.config.only_stale else (None, ())
    return UnitTask(
        survey=plan.survey,
        input_format=target.input_format,
        input_uri=target.input_uri,
        labels_uri=target.labels_uri,
        manifest=plan.target.manifest,
        model_uri=record.model_uri,
        scorer_uri=record.scorer_uri,
        hosts_uri=record.hosts_uri,
        kept_run_uri=kept_run_uri,
        kept=kept,
        host_band=plan.host_band,
        galaxies=plan.galaxies,
        fields_uri=plan.fields_uri,
        kinds=plan.kinds,
        run_uri=run.uri,
        form=plan.config.form,
        threads=record.threads,
    )
