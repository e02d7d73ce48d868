"""The command that lets people look at candidates."""

from typing import Annotated

import typer

from catalogtool.cli import console
from catalogtool.cli.options import Json


def vet(  # noqa: PLR0913 - the options of the command
    run: Annotated[str, typer.Argument(help="Folder of a run; with --survey, an output folder.")],
    survey: Annotated[str | None, typer.Option(help="Vet the newest run of this survey.")] = None,
    class_name: Annotated[
        str | None,
        typer.Option(
            "--class",
            help="Class whose probability ranks them. [default: sn, or the most probable]",
        ),
    ] = None,
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="Least probability of a candidate.")
    ] = 0.0,
    limit: Annotated[int, typer.Option(min=1, help="Candidates at most.")] = 10_000,
    output: Annotated[
        str | None,
        typer.Option(help="Folder or s3:// prefix of the page. [default: vetting/ in the run]"),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Write a page to vet the best candidates of a run on: cutouts, light curves, picks, export."""
    from catalogtool.production.candidates import Choice
    from catalogtool.production.vetting import write_vetting
    from catalogtool.release._run_facts import find_run

    choice = Choice(class_name, min_score, limit)
    page = write_vetting(find_run(run, survey), choice, output, console.new_progress())
    if as_json:
        console.result_json(page.to_json())
        return
    console.table("vetting page", ("what", "value"), page.rows())
