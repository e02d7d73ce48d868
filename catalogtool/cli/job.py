"""Commands about productions that run on a cluster."""

from dataclasses import asdict
from typing import Annotated

import typer

from catalogtool.cli import console
from catalogtool.cli.options import ClusterAddress, InsecureCluster, Json

app = typer.Typer(help="List, watch and stop productions on a cluster.", no_args_is_help=True)
JobId = Annotated[str, typer.Argument(help="Id of the job, see 'catalogtool job list'.")]


@app.command("list")
def list_jobs(
    cluster: ClusterAddress, *, insecure_cluster: InsecureCluster = False, as_json: Json = False
) -> None:
    """List the productions that the cluster remembers, the newest first."""
    from catalogtool.distributed.submit import Jobs

    rows = [asdict(line) for line in Jobs(cluster, insecure=insecure_cluster).lines()]
    if as_json:
        console.result_json(rows)
        return
    names = ("job", "status", "started", "ended", "exit_code")
    console.table(cluster, names, [tuple(row[name] for name in names) for row in rows])


@app.command("status")
def show_status(
    job: JobId,
    cluster: ClusterAddress,
    *,
    insecure_cluster: InsecureCluster = False,
    as_json: Json = False,
) -> None:
    """Show what the cluster knows of a job."""
    from catalogtool.distributed.submit import Jobs

    facts = asdict(Jobs(cluster, insecure=insecure_cluster).status(job))
    if as_json:
        console.result_json(facts)
    else:
        console.table(cluster, ("what", "value"), facts.items())


@app.command("logs")
def show_logs(
    job: JobId,
    cluster: ClusterAddress,
    *,
    follow: Annotated[bool, typer.Option(help="Wait for more until the job ends.")] = False,
    insecure_cluster: InsecureCluster = False,
) -> None:
    """Print the log of a job; with --follow, end with its exit code."""
    from catalogtool.distributed.submit import Jobs

    jobs = Jobs(cluster, insecure=insecure_cluster)
    if not follow:
        console.result(jobs.logs(job).rstrip("\n"))
        return
    jobs.follow(job, console.passage)
    raise typer.Exit(jobs.exit_code(job))


@app.command("stop")
def stop_job(
    job: JobId, cluster: ClusterAddress, *, insecure_cluster: InsecureCluster = False
) -> None:
    """End a job; its finished units are kept."""
    from catalogtool.distributed.submit import Jobs

    Jobs(cluster, insecure=insecure_cluster).stop(job)
    console.note(f"job {job} is asked to stop")
