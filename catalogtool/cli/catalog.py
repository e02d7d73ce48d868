"""Commands about finished catalogs."""

from typing import Annotated

import typer

from catalogtool.cli import console
from catalogtool.cli.options import Json, Releases

app = typer.Typer(
    help="Verify, show, list and fold catalogs, and print their columns.", no_args_is_help=True
)
Path = Annotated[str, typer.Argument(help="Folder of the catalog (a HATS collection).")]


@app.command("verify")
def verify_catalog(path: Path, *, as_json: Json = False) -> None:
    """Recompute what a catalog claims and print a table of named checks."""
    from catalogtool.release.verify import verify

    report = verify(path)
    rows = [(c.name, "ok" if c.passed else "FAILED", c.found) for c in report.checks]
    if as_json:
        console.result_json([dict(zip(("name", "result", "found"), r, strict=True)) for r in rows])
    else:
        console.table(path, ("check", "result", "found"), rows)
    report.raise_for_failures()


@app.command("show")
def show_catalog(
    path: Path,
    rows: Annotated[int, typer.Option(min=0, help="How many rows to print.")] = 5,
    *,
    as_json: Json = False,
) -> None:
    """Show what a catalog holds: properties, columns and its first rows."""
    from catalogtool.release.show import summarise

    summary = summarise(path, rows)
    if as_json:
        console.result_json(summary.to_json())
        return
    console.table(path, ("property", "value"), summary.properties)
    console.table("first rows", summary.column_names, summary.rows)


@app.command("stale")
def list_stale(
    place: Annotated[str, typer.Argument(help="Folder of a run, or an output folder.")],
    survey: Annotated[
        str | None, typer.Option(help="Survey whose newest run in the output folder is meant.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """List the columns of a run that its models would not make again in the same way."""
    from dataclasses import asdict

    from catalogtool.production.stale import freshness
    from catalogtool.release._run_facts import find_run

    run = find_run(place, survey).run
    found = freshness(run)
    if as_json:
        console.result_json([asdict(catalog) for catalog in found])
        return
    rows = [(f.kind, ", ".join(f.columns), f.reason) for f in found if f.reason]
    if rows:
        console.table(run.uri, ("catalog", "old columns", "why"), rows)
        console.result("Make them again with 'catalogtool produce ... --only-stale'.")
    else:
        console.result(f"{run.uri}: no column is old.")


@app.command("compact")
def compact_catalog(
    path: Annotated[str, typer.Argument(help="Folder of a catalog that grew by increments.")],
    to: Annotated[
        str | None, typer.Option(help="Folder of the result. [default: compacted/ beside it]")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Fold all increments into one plain catalog with one file per partition."""
    from dataclasses import asdict

    from catalogtool.release.compact import compact

    result = compact(path, to)
    if as_json:
        console.result_json(asdict(result))
        return
    console.table(path, ("what", "value"), [(k, str(v)) for k, v in asdict(result).items()])


@app.command("schema")
def show_schema(
    kind: Annotated[str, typer.Argument(help="Catalog kind, for example morphology.")],
    survey: Annotated[str, typer.Option(help="Survey whose classes and bands apply.")] = "clash",
    *,
    as_json: Json = False,
) -> None:
    """Print the columns of a catalog kind with type, unit, UCD and meaning."""
    from catalogtool.catalogs import load_table
    from catalogtool.catalogs._base import CatalogContext
    from catalogtool.surveys import load_survey

    context = CatalogContext.of(load_survey(survey), model_id="")
    columns = load_table(kind).columns(context)
    names = ("column", "type", "unit", "ucd", "description")
    rows = [(c.name, c.dtype, c.unit, c.ucd, c.description) for c in columns]
    if as_json:
        console.result_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    console.table(f"{kind} of {survey}", names, rows)


@app.command("list")
def list_releases(releases: Releases, *, as_json: Json = False) -> None:
    """List the published releases of a place."""
    from catalogtool.release.releases import ReleasesLayout, read_index

    found = read_index(ReleasesLayout(releases)).releases
    if as_json:
        console.result_json([release.to_json() for release in found])
        return
    columns = ("release", "rows", "MB", "published", "licence", "simulated", "title")
    console.table(releases, columns, [release.row() for release in found])
