"""The command that chooses an adaptation method by evidence."""

from typing import TYPE_CHECKING, Annotated

import typer

from catalogtool.cli import console
from catalogtool.cli.options import InsecureCluster, Json, OptionalCluster, Runtime, SharedDisk
from catalogtool.cli.running import There, run_here, run_there

if TYPE_CHECKING:
    from catalogtool.production.outcome import Outcome


def compare(  # noqa: PLR0913, PLR0917 - the options of a main command
    survey: Annotated[
        list[str], typer.Option(help="Target survey, name or file; may be given several times.")
    ],
    methods: Annotated[
        str | None,
        typer.Option(help="Adaptation methods, separated by commas. [default: all that fit]"),
    ] = None,
    shots: Annotated[
        str, typer.Option(help="Target labels per class that teach, separated by commas.")
    ] = "0,1,5,10,50",
    seeds: Annotated[
        int, typer.Option(min=1, help="Trials of each: other labels, weights and batches.")
    ] = 5,
    validation_shots: Annotated[
        int, typer.Option(min=0, help="Further target labels per class, which choose an epoch.")
    ] = 10,
    input_: Annotated[
        str | None, typer.Option("--input", help="Cutouts of the target. [default: simulated]")
    ] = None,
    labels: Annotated[str | None, typer.Option(help="Label table of the target.")] = None,
    source_input: Annotated[
        str | None, typer.Option(help="Cutouts of the source survey. [default: simulated]")
    ] = None,
    source_labels: Annotated[
        str | None, typer.Option(help="Label table of the source survey.")
    ] = None,
    output: Annotated[
        str, typer.Option(help="Folder or s3:// prefix for models, trials and comparisons.")
    ] = "catalogtool-output",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of every training. [default: the recipe's]")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Trials at once here. [default: one per core]")
    ] = None,
    trials_per_gpu: Annotated[int, typer.Option(min=1, help="Trials that share a GPU.")] = 1,
    cluster: OptionalCluster = None,
    runtime: Runtime = None,
    *,
    all_pairs: Annotated[
        bool, typer.Option("--all-pairs", help="Adapt each survey to each other one.")
    ] = False,
    shared_disk: SharedDisk = False,
    insecure_cluster: InsecureCluster = False,
    as_json: Json = False,
) -> None:
    """Measure adaptation methods on a target survey's own labels, and say which one to take."""
    from catalogtool.config._base import build_settings
    from catalogtool.config.compare import CompareConfig

    values = {
        "surveys": survey,
        "all_pairs": all_pairs,
        "methods": methods and _words(methods),
        "shots": _words(shots),
        "seeds": seeds,
        "validation_shots": validation_shots,
        "input": input_,
        "labels": labels,
        "source_input": source_input,
        "source_labels": source_labels,
        "output": output,
        "epochs": epochs,
        "workers": workers,
        "trials_per_gpu": trials_per_gpu,
    }
    given = {key: value for key, value in values.items() if value is not None}
    config = build_settings(CompareConfig, given, where="catalogtool compare")
    if cluster is None:
        from catalogtool.distributed.compare import compare as run_comparison

        outcome = run_here(run_comparison, config)
    else:
        where = There(cluster, runtime, shared_disk=shared_disk, insecure=insecure_cluster)
        outcome = run_there(config, where)
    _show(outcome, as_json=as_json)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _show(outcome: "Outcome", *, as_json: bool) -> None:
    if as_json:
        console.result_json(outcome.to_json())
        return
    rows = [(name, one["method"], one["reason"]) for name, one in outcome.figures.items()]
    console.table("which method to take", ("for", "method", "why"), rows)
    console.table("where everything is", ("what", "where"), outcome.places)
