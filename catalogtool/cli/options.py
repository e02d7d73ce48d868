"""Options that several commands share."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
ClusterAddress = Annotated[
    str,
    typer.Option(
        "--cluster", envvar="CATALOGTOOL_CLUSTER", help="Ray cluster, http(s)://HOST:8265."
    ),
]
InsecureCluster = Annotated[
    bool, typer.Option("--insecure-cluster", help="Accept a cluster that asks for no token.")
]
Releases = Annotated[
    str,
    typer.Option(
        "--from",
        envvar="CATALOGTOOL_RELEASES",
        help="Where releases are: a folder, s3:// or https:// URI.",
    ),
]
