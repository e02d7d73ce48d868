"""The main command: from cutouts to a verified catalog."""

from typing import TYPE_CHECKING, Annotated

import typer

from catalogtool.cli import console
from catalogtool.cli.options import (
    Epochs,
    InsecureCluster,
    Json,
    OptionalCluster,
    Runtime,
    SharedDisk,
    SourceInput,
    SourceLabels,
)
from catalogtool.cli.running import Place, run

if TYPE_CHECKING:
    from catalogtool.config.run import RunConfig
    from catalogtool.production.outcome import Outcome
    from catalogtool.progress import Progress


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
        str | None,
        typer.Option(
            help="Catalog kinds, joined by commas: morphology,anomaly. [default: the recipe's]"
        ),
    ] = None,
    source_input: SourceInput = None,
    source_labels: SourceLabels = None,
    method: Annotated[
        str | None, typer.Option(help="Adaptation method, see 'catalogtool method list'.")
    ] = None,
    shots: Annotated[
        int | None, typer.Option(min=0, help="Target labels per class; 0 uses none.")
    ] = None,
    label_count: Annotated[
        int | None, typer.Option(min=0, help="Target labels altogether; 0 uses none.")
    ] = None,
    epochs: Epochs = None,
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
    galaxies: Annotated[
        str | None,
        typer.Option(help="Galaxies that hosts are matched with: HATS collection or Parquet."),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(help="Form of the network, for comparisons. [default: the fastest]"),
    ] = None,
    cluster: OptionalCluster = None,
    runtime: Runtime = None,
    *,
    since_last: Annotated[
        bool, typer.Option("--since-last", help="Add all objects that are new to the series.")
    ] = False,
    new_model: Annotated[
        bool, typer.Option("--new-model", help="Begin another series, with another model.")
    ] = False,
    only_stale: Annotated[
        bool,
        typer.Option(
            "--only-stale", help="Keep what the newest run has and its models would make again."
        ),
    ] = False,
    shared_disk: SharedDisk = False,
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
        "galaxies": galaxies,
        "only_stale": only_stale,
        "model": model,
        "night": night,
        "since_last": since_last,
        "new_model": new_model,
    }
    given = {key: value for key, value in values.items() if value is not None}
    config = build_settings(RunConfig, given, where="catalogtool produce")
    _refuse_misspelt(config)
    if plan:
        _show_plan(config, as_json=as_json)
        return
    place = Place(cluster, runtime, shared_disk=shared_disk, insecure=insecure_cluster)
    outcome = run(_work, config, place)
    _show_outcome(outcome, as_json=as_json)


def _refuse_misspelt(config: "RunConfig") -> None:
    """Tell of a misspelt name before anything is loaded that takes seconds."""
    from catalogtool._discovery import check_module
    from catalogtool.surveys import load_survey

    for kind in config.catalogs:
        check_module("catalogtool.catalogs", kind)
    if config.method is not None:
        check_module("catalogtool.adaptation", config.method)
    load_survey(config.survey)


def _work(config: "RunConfig", progress: "Progress") -> "Outcome":
    from catalogtool.distributed.produce import produce as run_production

    return run_production(config, progress)


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


def _show_outcome(outcome: "Outcome", *, as_json: bool) -> None:
    if as_json:
        console.result_json(outcome.to_json())
        return
    console.table("where everything is", ("what", "where"), outcome.places)
    console.table("rows", ("catalog", "rows", "flagged", "in quarantine"), outcome.counts)
    console.table("stages", ("stage", "seconds"), outcome.timings)
    for line in outcome.remarks:
        console.result(line)
