"""Commands about descriptions of clusters."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from catalogtool.cli import console

app = typer.Typer(help="Check and translate descriptions of clusters.", no_args_is_help=True)
_FILE = Path("cluster.yaml")


@app.command("check")
def check_cluster(
    file: Annotated[Path, typer.Argument(help="Cluster file, as of 'ray up'.")] = _FILE,
) -> None:
    """Check a cluster file: Ray's schema, misspelt keys, and what would leave it open."""
    from catalogtool.distributed.launcher import read_shape

    shape = read_shape(file)
    groups = ", ".join(f"{g.name} {g.min_nodes} to {g.max_nodes}" for g in shape.groups)
    console.result(f"{file}: correct (workers: {groups or 'none'})")


@app.command("show")
def show_cluster(
    form: Annotated[
        Literal["ray", "raycluster", "slurm"],
        typer.Option("--format", help="Ray's launcher, KubeRay, or a Slurm batch script."),
    ] = "ray",
    file: Annotated[Path, typer.Option(help="Cluster file, as of 'ray up'.")] = _FILE,
    image: Annotated[
        str | None, typer.Option(help="Container image for KubeRay. [default: the file's]")
    ] = None,
) -> None:
    """Write a cluster file in the words of another system."""
    from catalogtool.distributed.kuberay import raycluster_yaml
    from catalogtool.distributed.launcher import read_shape
    from catalogtool.distributed.slurm import sbatch_script

    shape = read_shape(file)
    text = file.read_text(encoding="utf-8")
    if form == "raycluster":
        text = raycluster_yaml(shape, image or shape.image)
    elif form == "slurm":
        text = sbatch_script(shape)
    console.result(text.rstrip("\n"))
