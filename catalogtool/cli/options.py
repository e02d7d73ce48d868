"""Options that several commands share."""

from typing import Annotated, Literal

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
ClusterAddress = Annotated[
    str,
    typer.Option(
        "--cluster", envvar="CATALOGTOOL_CLUSTER", help="Ray cluster, http(s)://HOST:8265."
    ),
]
SourceInput = Annotated[
    str | None, typer.Option(help="Cutouts of the source survey. [default: simulated]")
]
SourceLabels = Annotated[str | None, typer.Option(help="Label table of the source survey.")]
Epochs = Annotated[
    int | None, typer.Option(min=1, help="Epochs of every training. [default: the recipe's]")
]
OptionalCluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        envvar="CATALOGTOOL_CLUSTER",
        help="Run as a job of this Ray cluster, http://HOST:8265.",
    ),
]
Runtime = Annotated[
    Literal["upload", "installed"] | None,
    typer.Option(
        help="The cluster gets this package, or uses its own. [default: upload, if it runs from a "
        "working tree]"
    ),
]
SharedDisk = Annotated[bool, typer.Option("--shared-disk", help="All nodes see the local paths.")]
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
