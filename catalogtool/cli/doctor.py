"""The command that looks whether this machine can do the work."""

from typing import Annotated

import typer

from catalogtool.cli import console
from catalogtool.cli.options import Json


def doctor(
    output: Annotated[
        str, typer.Option(help="Folder whose disk is checked.")
    ] = "catalogtool-output",
    *,
    as_json: Json = False,
) -> None:
    """Check versions, disk, shared memory, compiler, GPUs and credentials."""
    from catalogtool.production.doctor import examine

    findings = examine(output)
    rows = [(f.subject, f.verdict, f.found) for f in findings]
    if as_json:
        names = ("subject", "verdict", "found")
        console.result_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        console.table("", ("subject", "verdict", "found"), rows)
    if any(finding.verdict == "problem" for finding in findings):
        raise typer.Exit(1)
