"""The page of a run's most unusual objects, and of its hosts with their offsets, for looking at."""

import math
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from catalogtool.quality._figures import cutout_png
from catalogtool.quality._html import definitions, note, page, section

Image = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Anomaly:
    """An unusual object.

    Attributes
    ----------
    image : ndarray, shape (H, W) or (3, H, W)
        Its cutout, rows upward.
    row : dict
        Its row of the catalog.
    """

    image: Image
    row: dict[str, Any]


@dataclass(frozen=True)
class Host:
    """A transient and its host.

    Attributes
    ----------
    image : ndarray, shape (H, W)
        The wide cutout around it, rows upward.
    row : dict
        Its row of the catalog.
    arrows : dict
        Offsets x and y in pixels from the transient: ``host``, ``network`` and ``second``.
    scatter_pix : float
        Scatter of the network's votes.
    """

    image: Image
    row: dict[str, Any]
    arrows: dict[str, tuple[float, float]]
    scatter_pix: float


@dataclass(frozen=True)
class GalleryContent:
    """Everything that the page says."""

    title: str
    subtitle: str
    anomalies: tuple[Anomaly, ...]
    hosts: tuple[Host, ...]
    remarks: tuple[str, ...]


def render_gallery(content: GalleryContent) -> str:
    """The page, which needs no other file."""
    parts = [note(remark) for remark in content.remarks]
    if content.anomalies:
        cards = "".join(map(_anomaly, enumerate(content.anomalies, 1)))
        legend = "The least usual objects first. p: share of usual objects that score as high."
        parts.append(section("Unusual objects", _paragraph(legend) + _grid(cards, 200)))
    if content.hosts:
        cards = "".join(map(_host, content.hosts))
        legend = (
            "Cross: the transient. Solid arrow: its host. Dotted: where the network's votes point, "
            "with the scatter of the votes. Dashed: the second candidate, where it is plausible."
        )
        parts.append(section("Hosts", _paragraph(legend) + _grid(cards, 280)))
    return page(content.title, content.subtitle, "".join(parts))


def _paragraph(text: str) -> str:
    return f'<p class="sub">{escape(text)}</p>'


def _grid(cards: str, width_px: int) -> str:
    style = f"grid-template-columns:repeat(auto-fill,minmax({width_px}px,1fr))"
    return f'<div class="examples" style="{style}">{cards}</div>'


def _anomaly(numbered: tuple[int, Anomaly]) -> str:
    rank, anomaly = numbered
    row = anomaly.row
    facts = (
        ("rank", str(rank)),
        ("score", f"{row['anomaly_score']:.3g}"),
        ("p", f"{row['anomaly_p_value']:.2g}"),
        ("nearest", row["nearest_class"]),
        ("distances", " ".join(f"{value:.2g}" for value in row["class_distances"])),
        ("position", _position(row)),
    )
    picture = f'<img alt="" src="{cutout_png(anomaly.image[..., ::-1, :])}">'
    return _card(row, picture, facts)


def _host(host: Host) -> str:
    row = host.row
    facts = [
        ("separation", f"{row['separation_arcsec']:.2f}″ ± {row['scatter_arcsec']:.2f}″"),
        ("host", f"{row['host_probability']:.0%}" + _if(row["is_detected"], "", ", not detected")),
        ("none", f"{row['hostless_probability']:.0%}"),
        ("second", f"{row['second_probability']:.0%}" + _if(row["is_ambiguous"], ", plausible")),
    ]
    if row["matched_id"]:
        redshift = "" if row["redshift"] is None else f", z = {row['redshift']:.4f}"
        facts.append(("galaxy", f"{row['matched_id']}{redshift}"))
    return _card(row, _with_arrows(host), facts)


def _if(condition: object, text: str, other: str = "") -> str:
    return text if condition else other


def _card(row: dict[str, Any], picture: str, facts: Any) -> str:  # noqa: ANN401 - pairs of texts
    name = escape(row["source_id"] or str(row["object_id"]))
    head = f"<figcaption><b>{name}</b> {_link(row)}</figcaption>"
    return f"<figure>{head}{picture}{definitions(facts)}</figure>"


def _link(row: dict[str, Any]) -> str:
    """Link to the place on the sky, for people who are online."""
    if row["ra"] is None or row["dec"] is None:
        return ""
    place = f"{row['ra']:.5f}%20{row['dec']:.5f}"
    return (
        f'<a href="https://aladin.cds.unistra.fr/AladinLite/?target={place}&amp;fov=0.05">sky</a> '
        f'<a href="https://simbad.cds.unistra.fr/simbad/sim-coo?Coord={place}">SIMBAD</a>'
    )


def _position(row: dict[str, Any]) -> str:
    if row["ra"] is None or row["dec"] is None:
        return "unknown"
    return f"{row['ra']:.5f} {row['dec']:+.5f}"


def _with_arrows(host: Host) -> str:
    """The cutout with its arrows as one SVG; y grows downward in it."""
    height, width = host.image.shape[:2]
    x, y = width // 2 + 0.5, height - height // 2 - 0.5
    shapes = [_cross(x, y, width / 40)]
    styles = {"host": ("#ffd34d", ""), "network": ("#6fd3ff", "2 4"), "second": ("#ff9a8a", "8 5")}
    for name, (dx, dy) in host.arrows.items():
        if math.isfinite(dx) and math.isfinite(dy):
            colour, dashes = styles[name]
            shapes.append(_arrow((x, y), (x + dx, y - dy), colour, dashes, width / 60))
    dx, dy = host.arrows["network"]
    circle = f'<circle cx="{x + dx:.1f}" cy="{y - dy:.1f}" r="{max(host.scatter_pix, 1):.1f}"'
    shapes.append(f'{circle} fill="none" stroke="#6fd3ff" stroke-width="{width / 240:.2f}"/>')
    picture = f'<image width="{width}" height="{height}" href="{cutout_png(host.image[::-1])}"/>'
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="transient and host" '
        f'style="border-radius:6px;overflow:hidden">{picture}{"".join(shapes)}</svg>'
    )


def _cross(x: float, y: float, size: float) -> str:
    lines = (
        f"M{x - size:.1f} {y:.1f}h{0.6 * size:.1f}M{x + 0.4 * size:.1f} {y:.1f}h{0.6 * size:.1f}"
        f"M{x:.1f} {y - size:.1f}v{0.6 * size:.1f}M{x:.1f} {y + 0.4 * size:.1f}v{0.6 * size:.1f}"
    )
    return f'<path d="{lines}" stroke="#ff5a5a" stroke-width="{size / 5:.2f}" fill="none"/>'


def _arrow(
    start: tuple[float, float], end: tuple[float, float], colour: str, dashes: str, head: float
) -> str:
    (x0, y0), (x1, y1) = start, end
    angle = math.atan2(y1 - y0, x1 - x0)
    wings = "".join(
        f"M{x1:.1f} {y1:.1f}L{x1 - head * math.cos(angle + side):.1f} "
        f"{y1 - head * math.sin(angle + side):.1f}"
        for side in (-0.5, 0.5)
    )
    style = f'stroke="{colour}" stroke-width="{head / 4:.2f}" fill="none"'
    shaft = f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" stroke-dasharray="{dashes}" {style}/>'
    return f'{shaft}<path d="{wings}" {style}/>'
