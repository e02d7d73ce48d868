"""Commands that write simulated data as files, for tests of other programs and of this one."""

from typing import Annotated

import typer

from catalogtool.cli import console
from catalogtool.cli.options import Json

app = typer.Typer(help="Write simulated data as files.", no_args_is_help=True)


@app.callback()
def _simulate() -> None:
    pass


@app.command("alerts")
def simulate_alerts(  # noqa: PLR0913, PLR0917 - the options of the command
    count: Annotated[int, typer.Option(min=1, help="How many alerts to write.")],
    output: Annotated[
        str,
        typer.Option(
            help="NAME.tar.gz or NAME.tar, or a folder with one file per alert; or s3://."
        ),
    ],
    survey: Annotated[str, typer.Option(help="Survey to simulate.")] = "mock_alerts",
    seed: Annotated[
        int | None, typer.Option(help="Seed of everything random. [default: the survey's]")
    ] = None,
    distinct: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Draw only so many scenes and show them again under other numbers, names and "
            "positions: for load tests, not for training. [default: all alerts differ]",
        ),
    ] = None,
    corrupt_share: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of packets that are broken; their names say how."),
    ] = 0.0,
    labels: Annotated[
        str | None,
        typer.Option(help="Also write a CSV file with name, class and damage of every alert."),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Write simulated alerts as Avro packets of ZTF's schema.

    Packets hold pixels, measurements, catalog neighbours and the light curve of 30 days; an
    object's name tells what it was drawn as, sim-SURVEY-KIND-NUMBER.
    """
    from catalogtool.inputs._simulation.night import Night, write_night
    from catalogtool.surveys import load_survey

    night = Night(load_survey(survey), count, distinct, corrupt_share)
    if seed is not None:
        night = night.with_seed(seed)
    written = write_night(night, output, console.new_progress(), labels)
    if as_json:
        console.result_json(written.to_json())
        return
    rows = [("packets", written.packets), *written.classes.items()]
    rows += [(f"broken: {damage}", number) for damage, number in written.broken.items()]
    console.table(output, ("what", "number"), rows)


@app.command("hosts")
def simulate_hosts(
    count: Annotated[int, typer.Option(min=1, help="How many transients.")],
    output: Annotated[str, typer.Option(help="Folder to write into; or s3://.")],
    survey: Annotated[str, typer.Option(help="Survey to simulate.")] = "mock_hosts",
    seed: Annotated[
        int | None, typer.Option(help="Seed of everything random. [default: the survey's]")
    ] = None,
    *,
    mosaic: Annotated[
        bool, typer.Option("--mosaic", help="Write one large image instead of cutouts.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write simulated wide fields around transients as FITS files, with the truth about hosts.

    The folder gets cutouts/NAME.fits or mosaic.fits with a WCS, labels.csv with the positions of
    transients and hosts, and galaxies.parquet to match hosts with.
    """
    from catalogtool.inputs._simulation.host_files import write_fields, write_mosaic
    from catalogtool.inputs.simulated_hosts import Format
    from catalogtool.surveys import load_survey

    source = Format(load_survey(survey), f"simulated_hosts:{count}").with_seed(seed)
    if mosaic:
        written = write_mosaic(source, output)
    else:
        written = write_fields(source, output, console.new_progress())
    if as_json:
        console.result_json(written.to_json())
        return
    console.table(output, ("what", "number"), written.to_json().items())
