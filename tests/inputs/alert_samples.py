"""Synthetic alert packets for tests of their readers: noise in the schema of ZTF."""

import gzip
import io
import json
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


def schema_of(_: int) -> bytes:
    """The schema of every message."""
    return json.dumps(SCHEMA).encode()


_SOURCE = {
    "diaSourceId": "long",
    "diaObjectId": _nullable("long"),
    "ssObjectId": _nullable("long"),
    "midpointMjdTai": "double",
    "ra": "double",
    "dec": "double",
    "band": _nullable("string"),
    "isNegative": _nullable("boolean"),
    **{
        name: _nullable("float")
        for name in ("psfFlux", "psfFluxErr", "snr", "scienceFlux", "templateFlux")
    },
    "extendedness": _nullable("float"),
    "reliability": _nullable("float"),
}
RUBIN_SCHEMA = _record(
    "alert",
    {
        "diaSourceId": "long",
        "diaSource": _record("diaSource", _SOURCE),
        "prvDiaSources": _nullable({"type": "array", "items": "diaSource"}),
        "prvDiaForcedSources": _nullable(
            {
                "type": "array",
                "items": _record(
                    "forced",
                    {
                        "midpointMjdTai": "double",
                        "band": _nullable("string"),
                        "psfFlux": _nullable("float"),
                        "psfFluxErr": _nullable("float"),
                    },
                ),
            }
        ),
        "diaObject": _nullable(_record("diaObject", {"nDiaSources": _nullable("int")})),
        "cutoutDifference": _nullable("bytes"),
        "cutoutScience": _nullable("bytes"),
        "cutoutTemplate": _nullable("bytes"),
    },
)


def rubin_fits(pixels: npt.NDArray[Any], variance: float = 4.0, angle_deg: float = 0.0) -> bytes:
    """A cutout as Rubin writes it, seen under an angle, with east on the left."""
    primary = fits.PrimaryHDU(pixels)
    turn = np.deg2rad(angle_deg)
    scale = 0.2 / 3600
    matrix = scale * np.array([[-np.cos(turn), np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centre = (pixels.shape[1] + 1) / 2, (pixels.shape[0] + 1) / 2
    primary.header.update(
        WCSAXES=2,
        CRPIX1=centre[0],
        CRPIX2=centre[1],
        CRVAL1=150.0,
        CRVAL2=2.0,
        CDELT1=1.0,
        CDELT2=1.0,
        **{f"PC{i + 1}_{j + 1}": matrix[i, j] for i in range(2) for j in range(2)},
    )
    uncert = fits.ImageHDU(np.full(pixels.shape, variance, dtype=np.float32), name="UNCERT")
    psf = np.zeros((41, 45))
    psf[20, 22] = 1
    stream = io.BytesIO()
    fits.HDUList([primary, uncert, fits.ImageHDU(psf, name="PSFIMAGE")]).writeto(stream)
    return stream.getvalue()


def rubin_record(source_id: int, size_pix: int = 30, **values: Any) -> dict[str, Any]:  # noqa: ANN401
    """A packet's record; `values` set its fields, or those of its source."""
    source = dict.fromkeys(_SOURCE) | {
        "diaSourceId": source_id,
        "diaObjectId": 7000 + source_id,
        "midpointMjdTai": 61000.5,
        "ra": 150.0 + source_id,
        "dec": 2.0,
        "band": "i",
        "psfFlux": -1000.0,
        "psfFluxErr": 50.0,
        "reliability": 0.75,
    }
    record = {
        "diaSourceId": source_id,
        "prvDiaSources": None,
        "prvDiaForcedSources": None,
        "diaObject": {"nDiaSources": 4},
        **{
            name: rubin_fits(noise(source_id + place, (size_pix, size_pix)))
            for place, name in enumerate(CUTOUTS)
        },
    }
    top = {key: value for key, value in values.items() if key in record}
    own = {key: value for key, value in values.items() if key not in record}
    return record | top | {"diaSource": source | own}


def rubin_packet(source_id: int, size_pix: int = 30, **values: Any) -> bytes:  # noqa: ANN401
    """A container of one of Rubin's packets."""
    return packet(rubin_record(source_id, size_pix, **values), schema=RUBIN_SCHEMA)
