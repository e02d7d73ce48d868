"""The command that shows unusual objects and hosts."""

from typing import Annotated

import typer

from catalogtool.cli import console


def gallery(
    run: Annotated[str, typer.Argument(help="Folder of a run; with --survey, an output folder.")],
    survey: Annotated[str | None, typer.Option(help="Show the newest run of this survey.")] = None,
    count: Annotated[
        int, typer.Option(min=1, max=500, help="Unusual objects, and hosts, at most.")
    ] = 48,
) -> None:
    """Write a page of a run's most unusual objects, and of its hosts with their offsets."""
    from catalogtool.production.gallery import write_gallery
    from catalogtool.release._run_facts import find_run

    console.result(write_gallery(find_run(run, survey).run, count))
