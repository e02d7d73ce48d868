"""The page on which people vet candidates: a table, cutouts, light curves and a map of the sky.

The page is one HTML file beside a folder of data: scripts with rows and light curves, and sheets
of cutouts. It loads them as it needs them, from a disk or from any web server, and nothing else.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalogtool import flags
from catalogtool.quality import _html
from catalogtool.quality._sky import ecliptic, galactic_plane
from catalogtool.quality._sprites import SheetLayout, Tones, shrink
from catalogtool.quality._tns import tns_codes

CANDIDATES = pa.schema(
    [
        pa.field("object_id", pa.int64(), nullable=False),  # of the detection
        pa.field("source_id", pa.string(), nullable=False),  # the survey's name of the object
        pa.field("ra", pa.float64()),  # ICRS degrees
        pa.field("dec", pa.float64()),
        pa.field("observed_mjd", pa.float64()),
        pa.field("night", pa.string()),
        pa.field("predicted_class", pa.string()),
        pa.field("score", pa.float32(), nullable=False),  # what the candidates are ranked by
        pa.field("probabilities", pa.list_(pa.float32())),  # in the order of the classes
        pa.field("real_bogus", pa.float32()),
        pa.field("survey_score", pa.float32()),
        pa.field("age_days", pa.float32()),  # since the first detection of the object
        pa.field("magnitude_ab", pa.float32()),
        pa.field("magnitude_error", pa.float32()),
        pa.field("band", pa.string()),
        pa.field("is_positive", pa.bool_()),
        pa.field("detections", pa.int32()),
        pa.field("neighbour_arcsec", pa.float32()),  # distance of the nearest catalogued source
        pa.field("neighbour_star_score", pa.float32()),  # 1: a star, 0: a galaxy
        pa.field("flags", pa.int32(), nullable=False),
    ]
)
"""Columns of candidates; null where unknown."""

_DIGITS = {"ra": 6, "dec": 6, "observed_mjd": 5, "magnitude_ab": 3, "magnitude_error": 3}
_OTHER_DIGITS = 4
_ROWS_PER_FILE = 2000
_LARGEST_THUMBNAIL_PIX = 32
_THUMBNAILS = SheetLayout(columns=16, rows=16)
_DETAILS = SheetLayout(columns=4, rows=8)
_SCRIPTS = (
    "vetting_data.js",
    "vetting_plots.js",
    "vetting_table.js",
    "vetting_detail.js",
    "vetting_export.js",
    "vetting_page.js",
)
_HISTORY = ("mjd", "band", "magnitude_ab", "magnitude_error", "limit_mag_ab", "is_positive")

ReadDetails = Callable[[int, int], tuple[Tones, Sequence[str]]]
"""From a first candidate and one past the last: tones of cutouts, shape (N, C, H, H), and texts of
`detail_text`."""


@dataclass(frozen=True)
class VettingContent:
    """What the page says besides cutouts and light curves.

    Attributes
    ----------
    title, subtitle : str
        Head of the page.
    page_id : str
        Names the folder of the data: another selection, another name.
    picks_id : str
        What a reader picked is kept in the browser under this name.
    survey : str
        Name of the survey.
    classes, channels : tuple of str
        Names of the probabilities and of the cutouts of a candidate.
    ranked_by : str
        What the score is, in words.
    candidates : pa.Table
        Of `CANDIDATES`, best first.
    remarks : tuple of str
        What a reader must not overlook: simulated cutouts.
    """

    title: str
    subtitle: str
    page_id: str
    picks_id: str
    survey: str
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    ranked_by: str
    candidates: pa.Table
    remarks: tuple[str, ...] = ()


def detail_text(history: pa.Table | None, facts: dict[str, Any]) -> str:
    """JSON text of a candidate's light curve and further facts.

    Parameters
    ----------
    history : pa.Table or None
        Detections and upper limits of one object: mjd, band, magnitude_ab (null for an upper
        limit), magnitude_error, limit_mag_ab and is_positive.
    facts : dict
        Names and plain values; nulls are left out.
    """
    values: dict[str, Any] = {
        "facts": {k: _plain(v, _OTHER_DIGITS) for k, v in facts.items() if v is not None}
    }
    if history is not None:
        ordered = history.sort_by("mjd")
        values["history"] = {
            name: _column(ordered, name) for name in _HISTORY if name in ordered.column_names
        }
    return _script_json(values)


def render_vetting(
    content: VettingContent, read_details: ReadDetails
) -> Iterator[tuple[str, bytes]]:
    """Files of the page by name, relative to its folder; the page itself comes last.

    Parameters
    ----------
    content : VettingContent
        Candidates and words.
    read_details : callable
        Cutouts and light curves of a range of candidates; asked once for each, in order.
    """
    folder = f"data-{content.page_id}"
    thumbnail_pix = cutout_pix = 1
    for start in range(0, content.candidates.num_rows, _THUMBNAILS.objects):
        stop = min(start + _THUMBNAILS.objects, content.candidates.num_rows)
        tones, details = read_details(start, stop)
        thumbnails = shrink(tones, _LARGEST_THUMBNAIL_PIX)
        cutout_pix, thumbnail_pix = tones.shape[-1], thumbnails.shape[-1]
        number = start // _THUMBNAILS.objects
        yield f"{folder}/thumbnails-{number:05d}.png", _THUMBNAILS.draw(thumbnails)
        for first in range(0, stop - start, _DETAILS.objects):
            some = slice(first, first + _DETAILS.objects)
            number = (start + first) // _DETAILS.objects
            yield f"{folder}/cutouts-{number:05d}.png", _DETAILS.draw(tones[some])
            yield (
                f"{folder}/details-{number:05d}.js",
                _call("details", number, f"[{','.join(details[some])}]"),
            )
    yield from _row_files(content, folder)
    yield "index.html", _page(content, folder, thumbnail_pix, cutout_pix).encode()


def _row_files(content: VettingContent, folder: str) -> Iterator[tuple[str, bytes]]:
    rows, shown = content.candidates, _shown_columns(content.candidates)
    for number, start in enumerate(range(0, rows.num_rows, _ROWS_PER_FILE)):
        some = rows.slice(start, _ROWS_PER_FILE)
        values = {name: _column(some, name) for name in shown}
        # Numbers of this size lose digits in a browser.
        values["object_id"] = [str(value) for value in values["object_id"]]
        values["flags"] = [" ".join(flags.names(value)) for value in values["flags"]]
        yield f"{folder}/rows-{number:05d}.js", _call("rows", start, _script_json(values))


def _shown_columns(rows: pa.Table) -> list[str]:
    """Columns in which any candidate has a value."""
    return [name for name in rows.column_names if rows.column(name).null_count < rows.num_rows]


def _longest(rows: pa.Table, name: str) -> int:
    """Characters of a column's longest text, which its width follows."""
    lengths = pc.utf8_length(rows.column(name).cast(pa.string()))
    return int(pc.max(lengths).as_py() or 0)


def _page(content: VettingContent, folder: str, thumbnail_pix: int, cutout_pix: int) -> str:
    head = {
        "title": content.title,
        "picks": content.picks_id,
        "folder": folder,
        "count": content.candidates.num_rows,
        "rowsPerFile": _ROWS_PER_FILE,
        "columns": _shown_columns(content.candidates),
        "longest": {
            name: _longest(content.candidates, name) for name in ("source_id", "object_id")
        },
        "survey": content.survey,
        "classes": content.classes,
        "channels": content.channels,
        "rankedBy": content.ranked_by,
        "thumbnails": {
            "columns": _THUMBNAILS.columns,
            "rows": _THUMBNAILS.rows,
            "pix": thumbnail_pix,
        },
        "cutouts": {"columns": _DETAILS.columns, "rows": _DETAILS.rows, "pix": cutout_pix},
        "galacticPlane": galactic_plane().round(2).tolist(),
        "ecliptic": ecliptic().round(2).tolist(),
        "tns": tns_codes(content.survey),
    }
    return _html.fill(
        "vetting_page.html",
        title=escape(content.title),
        subtitle=escape(content.subtitle),
        remarks="".join(_html.note(remark) for remark in content.remarks),
        style=_html.resource("vetting_page.css"),
        head=_script_json(head),
        script="".join(_html.resource(name) for name in _SCRIPTS),
    )


def _call(function: str, number: int, argument: str) -> bytes:
    return f"vetting.{function}({number},{argument});\n".encode()


def _column(rows: pa.Table, name: str) -> list[Any]:
    digits = _DIGITS.get(name, 5 if name == "mjd" else _OTHER_DIGITS)
    return [_plain(value, digits) for value in rows.column(name).to_pylist()]


def _plain(value: Any, digits: int) -> Any:  # noqa: ANN401 - any value of a table
    """A value of JSON: short numbers, null instead of what is not finite."""
    if isinstance(value, list):
        return [_plain(item, digits) for item in value]
    if isinstance(value, float):
        return round(value, digits) if np.isfinite(value) else None
    return value


def _script_json(value: object) -> str:
    """JSON text that may stand in a script: nothing in it ends the script or opens a tag."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
