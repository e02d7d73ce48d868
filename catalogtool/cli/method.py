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
    """List the adaptation methods, what they learn from and what they ask for."""
    from catalogtool.adaptation import method_names

    methods = [_describe(name) for name in method_names()]
    if as_json:
        console.result_json(methods)
        return
    console.table("", tuple(methods[0]), [tuple(method.values()) for method in methods])


def _describe(name: str) -> dict[str, str]:
    from catalogtool.adaptation import load_method

    method = load_method(name)
    labels = "optional" if "target_labelled" in method.optional else "none"
    if "target_labelled" in method.domains:
        labels = "needed"
    return {
        "name": name,
        "learns from": ", ".join(method.domains),
        "target labels": labels,
        "strong views": "yes" if method.wants_strong else "no",
        "universal": "yes" if method.universal else "no",
        "starts from": method.starts_from or "",
        "heads": ", ".join(method.heads),
        "what it does": (method.__doc__ or "").strip().split("\n", 1)[0],
    }
