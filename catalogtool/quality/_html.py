"""Pieces of the pages: sections, tables and figures as HTML text."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from string import Template


def page(title: str, subtitle: str, body: str) -> str:
    """A whole page, which needs no other file; `body` is HTML."""
    return fill("page.html", title=escape(title), subtitle=escape(subtitle), body=body)


def fill(template: str, **parts: str) -> str:
    """A page from a template of this folder, in the colours of all pages; `parts` are HTML."""
    return Template(resource(template)).substitute(theme=resource("theme.css"), **parts)


def resource(name: str) -> str:
    """Text of a file of this folder."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def section(title: str, body: str) -> str:
    """A box with a heading; `body` is HTML."""
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def figure(caption: str, svg: str) -> str:
    """A picture with its caption."""
    return f"<figure><figcaption>{escape(caption)}</figcaption>{svg}</figure>"


def plots(figures: Iterable[str]) -> str:
    """Pictures side by side where there is room."""
    return f'<div class="plots">{"".join(figures)}</div>'


def heading(text: str) -> str:
    """Heading within a section."""
    return f"<h3>{escape(text)}</h3>"


def note(text: str) -> str:
    """What must not be overlooked."""
    return f'<p class="banner" role="note">{escape(text)}</p>'


def definitions(pairs: Sequence[tuple[str, str]]) -> str:
    """A list of names and values."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f"<dl>{items}</dl>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """Table in a box that scrolls; the last `numbers` columns are aligned as numbers."""
    text_columns = len(head) - numbers
    kinds = ["" if index < text_columns else ' class="n"' for index in range(len(head))]
    top = "".join(f"<th{k}>{escape(h)}</th>" for h, k in zip(head, kinds, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f"<td{_kind(c, k)}>{escape(c)}</td>" for c, k in zip(row, kinds, strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _kind(cell: str, kind: str) -> str:
    return {"passed": ' class="good"', "FAILED": ' class="bad"'}.get(cell, kind)
