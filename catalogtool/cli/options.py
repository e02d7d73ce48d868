"""Options that several commands share."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Releases = Annotated[
    str,
    typer.Option(
        "--from",
        envvar="CATALOGTOOL_RELEASES",
        help="Where releases are: a folder, s3:// or https:// URI.",
    ),
]
