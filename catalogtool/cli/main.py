"""The command line: one app, one boundary where known errors become one red sentence."""

import sys
from typing import Annotated

import typer

from catalogtool import __version__
from catalogtool.cli import (
    catalog,
    cluster,
    compare,
    console,
    doctor,
    download,
    gallery,
    job,
    method,
    produce,
    publish,
    schedule,
    similar,
    simulate,
    survey,
    vet,
)
from catalogtool.errors import CatalogtoolError

app = typer.Typer(
    name="catalogtool",
    help="Train on one survey, adapt to another, and write verified catalogs of every object.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("produce")(produce.produce)
app.command("compare")(compare.compare)
app.command("publish")(publish.publish)
app.command("download")(download.download)
app.command("vet")(vet.vet)
app.command("gallery")(gallery.gallery)
app.command("similar")(similar.similar)
app.command("doctor")(doctor.doctor)
app.add_typer(survey.app, name="survey")
app.add_typer(method.app, name="method")
app.add_typer(catalog.app, name="catalog")
app.add_typer(simulate.app, name="simulate")
app.add_typer(schedule.app, name="schedule")
app.add_typer(job.app, name="job")
app.add_typer(cluster.app, name="cluster")


def _print_version(asked: bool) -> None:  # noqa: FBT001 - typer's callback
    if asked:
        console.result(f"catalogtool {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[  # noqa: FBT002 - the callback acts on it
        bool,
        typer.Option("--version", help="Print the version and stop.", callback=_print_version),
    ] = False,
) -> None:
    pass


def run() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        app()
    except CatalogtoolError as error:
        console.error(str(error))
        sys.exit(error.exit_code)
