"""The command that turns a run into a release."""

from pathlib import Path
from typing import Annotated

import typer

from catalogtool.cli import console
from catalogtool.cli.options import Json


def publish(  # noqa: PLR0913, PLR0917 - the options of the command
    run: Annotated[str, typer.Argument(help="Folder of a run; with --survey, an output folder.")],
    version: Annotated[str, typer.Option(help="Version of the release, for example 2026.1.")],
    survey: Annotated[
        str | None, typer.Option(help="Publish the newest run of this survey.")
    ] = None,
    catalog: Annotated[
        str | None, typer.Option(help="Catalog kind; without it, all of the run.")
    ] = None,
    to: Annotated[
        str,
        typer.Option(
            envvar="CATALOGTOOL_RELEASES", help="Where releases are: a folder or s3:// URI."
        ),
    ] = "releases",
    card: Annotated[
        Path | None,
        typer.Option(help="TOML file: title, description, authors, licence, doi, contact."),
    ] = None,
    licence: Annotated[
        str | None, typer.Option("--license", help="SPDX identifier, for example CC-BY-4.0.")
    ] = None,
    *,
    back: Annotated[
        bool, typer.Option("--latest", help="Make it the latest even if a newer one is.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Publish the catalogs of a finished run as an immutable release."""
    from catalogtool.release import publish as publishing
    from catalogtool.release._documents import load_card
    from catalogtool.release._run_facts import chosen_kinds, find_run
    from catalogtool.release.releases import ReleasesLayout

    facts = find_run(run, survey)
    order = publishing.Order(ReleasesLayout(to), version, load_card(card, licence), back=back)
    progress = console.new_progress()
    kinds = chosen_kinds(facts, catalog)
    done = [publishing.publish(facts, kind, order, progress) for kind in kinds]
    if as_json:
        console.result_json([publication.to_json() for publication in done])
        return
    columns = ("release", "rows", "files", "MB", "catalog", "note")
    console.table("published", columns, [publication.row() for publication in done])
