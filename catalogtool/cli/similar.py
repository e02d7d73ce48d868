"""The command that finds similar objects."""

from typing import Annotated

import typer

from catalogtool.cli import console
from catalogtool.cli.options import Json


def similar(
    wanted: Annotated[
        str, typer.Argument(help="Object id, name in the survey, or file of a cutout.")
    ],
    run: Annotated[str, typer.Option(help="Folder of a run with embeddings, or output folder.")],
    survey: Annotated[
        str | None, typer.Option(help="Survey whose newest run in the output folder is meant.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=10_000, help="How many objects.")] = 20,
    *,
    as_json: Json = False,
) -> None:
    """Find the objects of a run that its network sees as most like another one."""
    from dataclasses import asdict

    from catalogtool.production.similar import find_similar
    from catalogtool.release._run_facts import find_run

    found = find_similar(find_run(run, survey).run, wanted, top)
    if as_json:
        console.result_json(asdict(found))
        return
    names = ("object_id", "source_id", "ra", "dec", "distance")
    rows = [
        (str(r["object_id"]), r["source_id"], _degrees(r["ra"]), _degrees(r["dec"]), f"{d:.4g}")
        for r, d in ((row, row["distance"]) for row in found.rows)
    ]
    console.table(f"most like {wanted}", names, rows)
    how = "all were looked at" if found.is_exact else f"a search finds {found.recall:.1%} of 20"
    console.result(f"Among {found.objects:,} objects; {how}.")


def _degrees(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
