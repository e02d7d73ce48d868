"""Synthetic alert packets for tests of their readers: noise in the schema of ZTF."""

import gzip
import io
from collections.abc import Mapping, Sequence
from typing import Any

import fastavro
import numpy as np
import numpy.typing as npt
from astropy.io import fits
from input_samples import small_survey

from catalogtool.surveys import Survey

BANDS = "science template difference"
CUTOUTS = ("cutoutScience", "cutoutTemplate", "cutoutDifference")
_FLOATS = (
    *("diffmaglim", "magpsf", "sigmapsf", "chipsf", "magap", "distnr", "magnr", "chinr", "sharpnr"),
    *("fwhm", "classtar", "mindtoedge", "xpos", "ypos", "rb", "drb"),
    *(f"{name}{place}" for place in (1, 2, 3) for name in ("sgscore", "distpsnr")),
)


def _nullable(kind: Any) -> list[Any]:  # noqa: ANN401
    return ["null", kind]


def _record(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": key, "type": kind} for key, kind in fields.items()],
    }


_CUTOUT = _record("cutout", {"fileName": "string", "stampData": "bytes"})
_PREVIOUS = {
    "jd": "double",
    "fid": "int",
    "candid": _nullable("long"),
    "isdiffpos": _nullable("string"),
    **{name: _nullable("float") for name in _FLOATS},
}
_CANDIDATE = {
    "jd": "double",
    "fid": "int",
    "candid": "long",
    "isdiffpos": "string",
    "ra": "double",
    "dec": "double",
    "ndethist": "int",
    "ncovhist": "int",
    **{name: _nullable("float") for name in _FLOATS},
}
SCHEMA = _record(
    "alert",
    {
        "schemavsn": "string",
        "objectId": "string",
        "candid": "long",
        "candidate": _record("candidate", _CANDIDATE),
        "prv_candidates": _nullable({"type": "array", "items": _record("prv", _PREVIOUS)}),
        "cutoutScience": _nullable(_CUTOUT),
        "cutoutTemplate": _nullable("cutout"),
        "cutoutDifference": _nullable("cutout"),
    },
)


def alert_survey(size_pix: int = 63, form: str = "ztf_alerts", **source: str | None) -> Survey:
    """A survey of alerts."""
    survey = small_survey(BANDS, None, format=form, **source)
    return survey.model_copy(update={"cutout_size_pix": size_pix})


def noise(seed: int, shape: tuple[int, int] = (63, 63)) -> npt.NDArray[np.float32]:
    """Noise around a sky level."""
    return np.random.default_rng(seed).normal(200, 9, size=shape).astype(np.float32)


def fits_bytes(pixels: npt.NDArray[Any], *, zipped: bool = True) -> bytes:
    """A FITS file with one image."""
    stream = io.BytesIO()
    fits.PrimaryHDU(pixels).writeto(stream)
    return gzip.compress(stream.getvalue(), 4) if zipped else stream.getvalue()


def candidate(
    candid: int,
    images: Sequence[npt.NDArray[Any] | bytes | None] | None = None,
    earlier: int = 12,
    **values: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """A packet's record; `values` set fields of its candidate."""
    rng = np.random.default_rng(candid)
    images = [noise(3 * candid + band) for band in range(3)] if images is None else images
    data = [one if isinstance(one, bytes | None) else fits_bytes(one) for one in images]
    detection = {
        "jd": 2_460_000.5 + candid % 100,
        "fid": 1 + candid % 2,
        "candid": candid,
        "isdiffpos": "tf"[candid % 2],
        "ra": rng.uniform(0, 360),
        "dec": rng.uniform(-30, 90),
        "ndethist": 3,
        "ncovhist": 300,
        **{name: float(rng.uniform(10, 20)) for name in _FLOATS},
        "xpos": 1500.0,
        "ypos": 1500.0,
        "mindtoedge": 900.0,
    } | values
    previous = [
        detection | {"jd": detection["jd"] - 1 - day, "candid": None if day % 2 else candid + day}
        for day in range(earlier)
    ]
    return {
        "schemavsn": "4.02",
        "objectId": f"ZTF18{candid:07d}",
        "candid": candid,
        "candidate": detection,
        "prv_candidates": previous,
        **{
            name: None if one is None else {"fileName": f"candid{candid}.fits.gz", "stampData": one}
            for name, one in zip(CUTOUTS, data, strict=True)
        },
    }


def packet(*records: Mapping[str, Any], codec: str = "null", schema: Any = SCHEMA) -> bytes:  # noqa: ANN401
    """A container of some records."""
    stream = io.BytesIO()
    fastavro.writer(stream, schema, records, codec=codec)
    return stream.getvalue()


def message(record: Mapping[str, Any], number: int = 1) -> bytes:
    """A record as a Kafka stream sends it."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(SCHEMA), record)
    return b"\0" + number.to_bytes(4, "big") + stream.getvalue()
