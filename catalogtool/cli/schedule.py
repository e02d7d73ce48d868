"""Commands about nightly schedules."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catalogtool.cli import console
from catalogtool.cli.options import Json
from catalogtool.cli.produce import produce

if TYPE_CHECKING:
    from catalogtool.schedule.store import Store

app = typer.Typer(help="Produce survey nights by a calendar.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the schedule.")]
State = Annotated[
    Path | None, typer.Option(help="State folder. [default: ~/.local/state/catalogtool]")
]


def _store(state: Path | None) -> "Store":
    from catalogtool.schedule.store import Store, default_folder

    return Store(state or default_folder())


def _show(columns: tuple[str, ...], rows: list[tuple[object, ...]], *, as_json: bool) -> None:
    if as_json:
        console.result_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        console.table("", columns, rows)


def _check_produce_options(options: list[str]) -> None:
    """Refuse options that 'produce' does not have, by its own words."""
    alone = typer.Typer()
    alone.command("produce")(produce)
    command = typer.main.get_command(alone)
    command.make_context("catalogtool produce", ["--survey", "any", *options])


@app.command("add")
def add_schedule(  # noqa: PLR0913, PLR0917 - the options of a schedule
    survey: Annotated[str, typer.Argument(help="Name of a survey, or path of a survey file.")],
    cron: Annotated[
        str, typer.Option(help="When to look: minute, hour, day of month, month, day of week.")
    ],
    options: Annotated[
        list[str] | None, typer.Argument(help="After --: further options of 'produce'.")
    ] = None,
    timezone: Annotated[str, typer.Option(help="Time zone of --cron.")] = "UTC",
    output: Annotated[
        str, typer.Option(help="Folder or s3:// prefix of the productions.")
    ] = "catalogtool-output",
    name: Annotated[str | None, typer.Option(help="[default: the survey's name]")] = None,
    cluster: Annotated[str | None, typer.Option(help="Ray cluster that does the work.")] = None,
    first_night: Annotated[
        str | None, typer.Option(help="YYYY-MM-DD. [default: the last night that ended]")
    ] = None,
    look_back: Annotated[
        int, typer.Option(min=1, help="Leave nights alone that ended longer ago, in nights.")
    ] = 30,
    state: State = None,
) -> None:
    """Add a schedule; 'serve' or an exported file then follows it."""
    from catalogtool.schedule.manage import add

    _check_produce_options(options or [])
    given = {
        "name": name,
        "survey": survey,
        "cron": cron,
        "timezone": timezone,
        "output": output,
        "cluster": cluster,
        "first_night": first_night,
        "look_back_nights": look_back,
        "options": options,
    }
    schedule = add(_store(state), {key: v for key, v in given.items() if v is not None})
    console.result(f"{schedule.name}: added, from the night {schedule.first_night} on")


@app.command("list")
def list_schedules(state: State = None, *, as_json: Json = False) -> None:
    """List the schedules, their next tick and what became of the last attempt."""
    from catalogtool.schedule.manage import LINE, describe

    _show(LINE, describe(_store(state)), as_json=as_json)


@app.command("history")
def show_history(
    name: Name,
    count: Annotated[int, typer.Option(min=1, help="How many attempts, newest first.")] = 40,
    state: State = None,
    *,
    as_json: Json = False,
) -> None:
    """List what was attempted: night, time, outcome, log."""
    from catalogtool.schedule.manage import ATTEMPT, history

    _show(ATTEMPT, history(_store(state), name, count), as_json=as_json)


@app.command("remove")
def remove_schedule(name: Name, state: State = None) -> None:
    """Remove a schedule and its history; what it produced stays."""
    _store(state).remove(name)
    console.result(f"{name}: removed")


@app.command("run-now")
def run_now(
    name: Name,
    state: State = None,
    *,
    if_due: Annotated[
        bool, typer.Option("--if-due", help="Only if a tick came since the last one.")
    ] = False,
) -> None:
    """Produce all nights that lack a commit, oldest first, and try failed ones again."""
    from catalogtool.schedule.manage import run_now as run

    try:
        for line in run(_store(state), name, only_if_due=if_due):
            console.result(line)
    except KeyboardInterrupt:
        console.error("interrupted; what is committed is kept")
        raise typer.Exit(130) from None


@app.command("serve")
def serve_schedules(
    names: Annotated[list[str] | None, typer.Argument(help="Schedules. [default: all]")] = None,
    state: State = None,
) -> None:
    """Follow the schedules by the clock until Ctrl-C or SIGTERM."""
    from catalogtool.schedule.manage import serve

    serve(_store(state), names or [])


@app.command("export")
def export_schedule(
    name: Name,
    format_: Annotated[
        str, typer.Option("--format", help="cron, systemd, scrontab, cronjob or raycronjob.")
    ],
    to: Annotated[Path | None, typer.Option(help="Folder. [default: print]")] = None,
    image: Annotated[str | None, typer.Option(help="Container image for Kubernetes.")] = None,
    state: State = None,
) -> None:
    """Write files for a scheduler that the site already has."""
    from catalogtool.schedule.export import Site, export, host_timezone

    store = _store(state)
    site = Site(store.folder, host_timezone(), image)
    for file_name, text in export(store.get(name), format_, site).items():
        if to is None:
            console.result(f"# {file_name}\n{text}")
        else:
            to.mkdir(parents=True, exist_ok=True)
            (to / file_name).write_text(text, encoding="utf-8")
            console.result(str(to / file_name))
