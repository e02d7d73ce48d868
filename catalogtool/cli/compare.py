"""The command that chooses an adaptation method by evidence."""

from typing import TYPE_CHECKING, Annotated, Literal

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
from catalogtool.errors import ConfigError

if TYPE_CHECKING:
    from catalogtool.config.anomaly import AnomalyCompareConfig
    from catalogtool.config.compare import CompareConfig
    from catalogtool.production.outcome import Outcome
    from catalogtool.progress import Progress


_OF_ANOMALIES = (
    *("catalog", "methods", "seeds", "input_", "labels", "output", "workers", "as_json"),
    *("cluster", "runtime", "shared_disk", "insecure_cluster"),
)
"""Parameters that a comparison of anomaly methods has."""


def compare(  # noqa: PLR0913, PLR0917 - the options of a main command
    context: typer.Context,
    survey: Annotated[
        list[str] | None,
        typer.Option(help="Target survey, name or file; may be given several times."),
    ] = None,
    catalog: Annotated[
        Literal["anomaly"] | None,
        typer.Option(
            help="anomaly: compare anomaly methods, with one class after the other left out."
        ),
    ] = None,
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
    source_input: SourceInput = None,
    source_labels: SourceLabels = None,
    output: Annotated[
        str, typer.Option(help="Folder or s3:// prefix for models, trials and comparisons.")
    ] = "catalogtool-output",
    epochs: Epochs = None,
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
    """Measure adaptation or anomaly methods on one's own labels, and say which one to take."""
    place = Place(cluster, runtime, shared_disk=shared_disk, insecure=insecure_cluster)
    if catalog == "anomaly":
        _refuse_all_but_anomalies(context)
        asked = _anomaly_config(input_, labels, output, methods, (seeds, workers))
        _show(run(_anomaly_work, asked, place), as_json=as_json)
        return
    if not survey:
        raise ConfigError("compare: give --survey, or --catalog anomaly and --input")
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
    _show(run(_work, config, place), as_json=as_json)


def _refuse_all_but_anomalies(context: typer.Context) -> None:
    """An option that a comparison of anomaly methods would not heed is a mistake."""
    others = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name not in _OF_ANOMALIES and _is_given(str(parameter.name), context)
    ]
    if others:
        raise ConfigError(
            "compare --catalog anomaly: compares on the table or run that --input names; "
            f"leave {', '.join(others)} out"
        )


def _is_given(name: str, context: typer.Context) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _anomaly_config(
    input_: str | None,
    labels: str | None,
    output: str,
    methods: str | None,
    numbers: tuple[int, int | None],
) -> "AnomalyCompareConfig":
    from catalogtool.config._base import build_settings
    from catalogtool.config.anomaly import AnomalyCompareConfig

    values = {
        "input": input_,
        "labels": labels,
        "output": output,
        "methods": methods and _words(methods),
        "seeds": numbers[0],
        "workers": numbers[1],
    }
    given = {key: value for key, value in values.items() if value is not None}
    return build_settings(
        AnomalyCompareConfig, given, where="catalogtool compare --catalog anomaly"
    )


def _anomaly_work(config: "AnomalyCompareConfig", progress: "Progress") -> "Outcome":
    from catalogtool.distributed.anomaly_compare import compare_anomalies

    return compare_anomalies(config, progress)


def _work(config: "CompareConfig", progress: "Progress") -> "Outcome":
    from catalogtool.distributed.compare import compare as run_comparison

    return run_comparison(config, progress)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _show(outcome: "Outcome", *, as_json: bool) -> None:
    if as_json:
        console.result_json(outcome.to_json())
        return
    rows = [(name, one["method"], one["reason"]) for name, one in outcome.figures.items()]
    console.table("which method to take", ("for", "method", "why"), rows)
    console.table("where everything is", ("what", "where"), outcome.places)
