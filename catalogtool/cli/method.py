"""Commands about adaptation methods."""

import typer

from catalogtool.cli import console
from catalogtool.cli.options import Json

app = typer.Typer(help="List the adaptation methods.", no_args_is_help=True)


@app.callback()
def _main() -> None:
    pass


@app.command("list")
def list_methods(*, as_json: Json = False) -> None:
    """List the adaptation methods and what they learn from."""
    from catalogtool.adaptation import load_method, method_names

    rows = []
    for name in method_names():
        method = load_method(name)
        sentence = (method.__doc__ or "").strip().split("\n", 1)[0]
        rows.append((name, ", ".join(method.domains), method.starts_from or "", sentence))
    columns = ("name", "learns from", "starts from", "what it does")
    if as_json:
        console.result_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    console.table("", columns, rows)
