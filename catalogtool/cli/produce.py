"""The main command: from cutouts to a verified catalog."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from catalogtool.cli import console
from catalogtool.cli.options import InsecureCluster, Json

if TYPE_CHECKING:
    from catalogtool.config.run import RunConfig
    from catalogtool.distributed.submit import Jobs
    from catalogtool.production.outcome import Outcome


def produce(  # noqa: PLR0913, PLR0917 - the options of the main command
    survey: Annotated[str, typer.Option(help="Name of a survey, or path of a survey file.")],
    input_: Annotated[
        str | None,
        typer.Option("--input", help="Cutouts: a folder, file or s3:// URI. [default: simulated]"),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Table of labels and positions, CSV or Parquet.")
    ] = None,
    output: Annotated[
        str, typer.Option(help="Folder or s3:// prefix for models, runs and catalogs.")
    ] = "catalogtool-output",
    catalog: Annotated[
        str | None, typer.Option(help="One catalog kind. [default: all of the survey's recipe]")
    ] = None,
    source_input: Annotated[
        str | None, typer.Option(help="Cutouts of the source survey. [default: simulated]")
    ] = None,
    source_labels: Annotated[
        str | None, typer.Option(help="Label table of the source survey.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="Adaptation method, see 'catalogtool method list'.")
    ] = None,
    shots: Annotated[
        int | None, typer.Option(min=0, help="Target labels per class; 0 uses none.")
    ] = None,
    label_count: Annotated[
        int | None, typer.Option(min=0, help="Target labels altogether; 0 uses none.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of every training. [default: the recipe's]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, batches and drawn labels.")] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Workers of inference. [default: one per core]")
    ] = None,
    train_workers: Annotated[
        int | None, typer.Option(min=1, help="Workers of training. [default: one per GPU, or 1]")
    ] = None,
    unit_objects: Annotated[
        int | None, typer.Option(min=1, help="Objects per unit of work.")
    ] = None,
    max_flagged: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Share of failed rows above which the run fails. [default: 0.05]"
        ),
    ] = None,
    stall_seconds: Annotated[
        float | None,
        typer.Option(min=1, help="End a run that finishes no unit for this long. [default: 600]"),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Folder of a model to predict with, instead of training.")
    ] = None,
    night: Annotated[
        str | None,
        typer.Option(
            help="Add the new objects of this observing night (YYYY-MM-DD) to the series."
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(help="Form of the network, for comparisons. [default: the fastest]"),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            envvar="CATALOGTOOL_CLUSTER", help="Run as a job of this Ray cluster, http://HOST:8265."
        ),
    ] = None,
    runtime: Annotated[
        Literal["upload", "installed"] | None,
        typer.Option(
            help="The cluster gets this package, or uses its own. [default: upload, if it runs "
            "from a working tree]"
        ),
    ] = None,
    *,
    since_last: Annotated[
        bool, typer.Option("--since-last", help="Add all objects that are new to the series.")
    ] = False,
    new_model: Annotated[
        bool, typer.Option("--new-model", help="Begin another series, with another model.")
    ] = False,
    shared_disk: Annotated[
        bool, typer.Option("--shared-disk", help="All nodes see the local paths.")
    ] = False,
    insecure_cluster: InsecureCluster = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print what would be done and stop.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train, adapt, predict every object, and write a verified catalog with a report."""
    from catalogtool.config._base import build_settings
    from catalogtool.config.run import RunConfig

    values = {
        "survey": survey,
        "input": input_,
        "labels": labels,
        "output": output,
        "catalog": catalog,
        "source_input": source_input,
        "source_labels": source_labels,
        "method": method,
        "shots": shots,
        "label_count": label_count,
        "epochs": epochs,
        "seed": seed,
        "workers": workers,
        "train_workers": train_workers,
        "unit_objects": unit_objects,
        "max_flagged_share": max_flagged,
        "stall_seconds": stall_seconds,
        "form": form,
        "model": model,
        "night": night,
        "since_last": since_last,
        "new_model": new_model,
    }
    given = {key: value for key, value in values.items() if value is not None}
    config = build_settings(RunConfig, given, where="catalogtool produce")
    if plan:
        _show_plan(config, as_json=as_json)
        return
    if cluster is None:
        outcome = _produce(config)
    else:
        from catalogtool.distributed.submit import Jobs
        from catalogtool.production.handover import make_portable

        portable = make_portable(config, shared_disk=shared_disk)
        outcome = _produce_there(Jobs(cluster, insecure=insecure_cluster), portable, runtime)
    _show_outcome(outcome, as_json=as_json)


def _show_plan(config: "RunConfig", *, as_json: bool) -> None:
    import tempfile

    from catalogtool.production.describe import describe_plan
    from catalogtool.production.increments import with_series_model
    from catalogtool.production.plan import make_plan

    with tempfile.TemporaryDirectory(prefix="catalogtool-plan-") as scratch:
        description = describe_plan(make_plan(with_series_model(config), manifests_uri=scratch))
    if as_json:
        console.result_json(dict(description.facts))
        return
    console.table(f"plan of {config.survey}", ("what", "value"), description.facts)
    console.table("columns", ("catalog", "columns"), description.columns)


def _produce(config: "RunConfig") -> "Outcome":
    from catalogtool.distributed.produce import produce as run_production

    progress = console.new_progress()
    try:
        return run_production(config, progress)
    except KeyboardInterrupt:
        console.error(
            "interrupted; what is finished is kept. Run the same command again to resume."
        )
        raise typer.Exit(130) from None


def _produce_there(
    jobs: "Jobs", config: "RunConfig", runtime: Literal["upload", "installed"] | None
) -> "Outcome":
    from catalogtool.production.handover import read_outcome

    job, is_new = jobs.submit(config, runtime)
    console.note(f"job {job} {'is submitted' if is_new else 'runs already'}; its log:")
    try:
        jobs.follow(job, console.passage)
    except KeyboardInterrupt:
        console.note(
            f"\njob {job} keeps running. Look at it again: catalogtool job logs --follow {job} "
            f"--cluster {jobs.address}; end it: catalogtool job stop {job} --cluster {jobs.address}"
        )
        raise typer.Exit(130) from None
    if code := jobs.exit_code(job):
        raise typer.Exit(code)
    return read_outcome(config, job)


def _show_outcome(outcome: "Outcome", *, as_json: bool) -> None:
    if as_json:
        console.result_json(outcome.to_json())
        return
    console.table("where everything is", ("what", "where"), outcome.places)
    console.table("rows", ("catalog", "rows", "flagged", "in quarantine"), outcome.counts)
    console.table("stages", ("stage", "seconds"), outcome.timings)
    for line in outcome.remarks:
        console.result(line)
