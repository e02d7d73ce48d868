"""The command that brings a release, or rows of it, to this machine."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from catalogtool.cli import console
from catalogtool.cli.options import Json, Releases


class Format(StrEnum):
    """Formats of a table."""

    parquet = "parquet"
    fits = "fits"
    votable = "votable"
    csv = "csv"


def download(  # noqa: PLR0913, PLR0917 - the options of the command
    release: Annotated[
        str, typer.Argument(help="Name, or name@version, for example clash-morphology@2026.1.")
    ],
    releases: Releases,
    columns: Annotated[
        str | None, typer.Option(help="Only these columns, with commas between them.")
    ] = None,
    cone: Annotated[
        str | None,
        typer.Option(help="Only a circle: RA,DEC,RADIUS, for example '150.1,2.2,10 arcmin'."),
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="Only rows with, for example, 'p_disk > 0.8 and flags == 0'.")
    ] = None,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="Write one table; without any selection, a copy of all."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="Folder to write to; without it, name-version here.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Download a release, or the rows and columns of it that are asked for."""
    from catalogtool.release import download as downloading
    from catalogtool.release._selection import parse_selection
    from catalogtool.release.releases import ReleasesLayout

    found = downloading.find_release(ReleasesLayout(releases), release)
    target = to or Path(f"{found.record.name}-{found.record.version}")
    selection = parse_selection(columns, cone, where, form.value if form else None)
    progress = console.new_progress()
    if selection is None:
        done = downloading.download_release(found, target, progress)
    else:
        done = downloading.download_rows(found, selection, target, progress)
    if as_json:
        console.result_json(done.to_json())
        return
    console.table("downloaded", ("what", "value"), done.to_json().items())
