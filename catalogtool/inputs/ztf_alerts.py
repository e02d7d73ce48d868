"""ZTF alert packets, and those of surveys that follow ZTF: ``candidate`` and three cutouts."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from catalogtool.inputs._alerts import AlertFormat
from catalogtool.inputs._alerts.facts import (
    Measurement,
    Numbers,
    column,
    numbers_of,
    sign_of,
    sky_columns,
    texts_of,
)
from catalogtool.inputs._alerts.layout import PacketFields
from catalogtool.inputs._alerts.planes import Edge, Image, image_in
from catalogtool.inputs._alerts.schema import Record

_CUTOUTS = {
    "science": ("cutoutScience", "cutout_science"),
    "template": ("cutoutTemplate", "cutout_template"),
    "difference": ("cutoutDifference", "cutout_difference"),
}
_OTHER_NAMES = {
    "ra": ("RA",),
    "dec": ("Dec",),
    "magpsf": ("forcediffimmag", "Mag"),
    "sigmapsf": ("forcediffimmagunc", "Dmag"),
    "drb": ("reliability",),
    "band": ("filter",),
}
"""What other surveys call the fields of ``candidate``."""
_FEATURES = (
    *("sgscore1", "distpsnr1", "sgscore2", "distpsnr2", "sgscore3", "distpsnr3"),
    *("fwhm", "magpsf", "sigmapsf", "ra", "dec", "diffmaglim", "classtar", "ndethist", "ncovhist"),
    *("chinr", "sharpnr", "rb", "distnr", "magnr"),
)
_SITE = ("xpos", "ypos", "mindtoedge")
_POSITION = frozenset({"jd", "mjd", "candid", "ra", "dec", "RA", "Dec"})
_DETECTION = frozenset(
    {"jd", "mjd", "fid", "band", "filter", "isdiffpos", "magpsf", "sigmapsf", "diffmaglim"}
)
_NAMES = {"candid": None, "objectId": None, "objectid": None}
_ALL = _POSITION | _DETECTION | {*_FEATURES, *_SITE, "drb"}
_ALL |= {name for names in _OTHER_NAMES.values() for name in names}
_CUTOUT_FIELDS = frozenset(name for names in _CUTOUTS.values() for name in names)
_BANDS = {0: None, 1: "g", 2: "r", 3: "i"}
_NUMBERED_BAND = re.compile(r"(\d+)\s*=\s*(\w+)")
_JD_OF_MJD = 2_400_000.5
_CUTOUT_PIX = 63
_HALF_PIX = 32
"""Objects nearer to a detector's edge than this have cutouts that it cut off."""


class Format(AlertFormat):
    """Packets with a record ``candidate``, in any version of their schema."""

    fields = PacketFields(
        survey="ZTF",
        wanted={
            "listing": _NAMES | {"candidate": _POSITION},
            "reading": _NAMES | {"candidate": _ALL} | dict.fromkeys(_CUTOUT_FIELDS),
            "history": _NAMES | {"candidate": _ALL, "prv_candidates": _ALL},
        },
        cutouts=_CUTOUT_FIELDS,
        main="candidate",
    )

    @staticmethod
    def recognises(uri: str) -> bool:
        """Whether this is a file, a folder or an archive of packets with a ``candidate``."""
        return Format._is_ours(uri)

    def measurement(self, record: Record, documents: Mapping[str, str]) -> Measurement:
        """Fields of the candidate under ZTF's names, and `id`, `name`, `mjd`, `band`."""
        candidate = record.get("candidate")
        found = _with_common_names(
            dict(candidate) if isinstance(candidate, dict) else {}, documents
        )
        own = record.get("candid")
        found["id"] = found.get("candid") if own is None else own
        found["name"] = record.get("objectId") or record.get("objectid")
        return found

    def observed_mjd(self, measurements: Sequence[Measurement]) -> Numbers:
        """When exposures began: MJD, UTC; NaN where unknown."""
        return _mjd(measurements)

    def images(self, record: Record) -> dict[str, Image]:
        """FITS files by band."""
        return {
            band: image
            for band, names in _CUTOUTS.items()
            for name in names
            if (image := image_in(record.get(name))) is not None
        }

    def edge(self, measurement: Measurement) -> Edge | None:
        """Where the edge of the detector may have cut the cutouts off, if near."""
        site = (measurement.get(name) for name in _SITE)
        x, y, distance = (v if isinstance(v, int | float) else np.inf for v in site)
        if distance >= _HALF_PIX or np.inf in {x, y}:
            return None
        return Edge(_CUTOUT_PIX, (-1 if y < _HALF_PIX else 1, -1 if x < _HALF_PIX else 1))

    def facts(self, measurements: Sequence[Measurement]) -> pa.Table:
        """Facts that all alerts have, and the features of stamp classifiers under ZTF's names."""
        numbers = dict(zip(_FEATURES, numbers_of(measurements, _FEATURES), strict=True))
        (drb,) = numbers_of(measurements, ("drb",))
        positive = _positive(measurements)
        covered = numbers["ncovhist"] - numbers["ndethist"]
        columns = {
            "band": texts_of(measurements, "band"),
            "magnitude_ab": column(np.abs(numbers["magpsf"])),
            "magnitude_error": column(numbers["sigmapsf"]),
            "is_positive": column(positive, pa.bool_()),
            "survey_score": column(np.where(np.isnan(drb), numbers["rb"], drb)),
            "detections": column(numbers["ndethist"], pa.int32()),
        }
        columns |= {name: column(values) for name, values in numbers.items()}
        columns |= {"isdiffpos": column(1 - positive), "non_detections": column(covered)}
        return pa.table(columns | sky_columns(numbers["ra"], numbers["dec"]))

    def detections(self, record: Record, documents: Mapping[str, str]) -> pa.Table:
        """The candidate, and the earlier detections and limits that its packet lists."""
        earlier = record.get("prv_candidates") or []
        now = record.get("candidate") or {}
        every = [_with_common_names(dict(one), documents) for one in [now, *earlier] if one]
        magnitude, error, limit = numbers_of(every, ("magpsf", "sigmapsf", "diffmaglim"))
        times = _mjd(every)
        return pa.table(
            {
                "mjd": pa.array(times, mask=np.isnan(times)),
                "band": texts_of(every, "band"),
                "magnitude_ab": column(np.abs(magnitude)),
                "magnitude_error": column(np.where(np.isnan(magnitude), np.nan, error)),
                "limit_mag_ab": column(limit),
                "is_positive": column(_positive(every), pa.bool_()),
            }
        )


def _with_common_names(found: dict[str, Any], documents: Mapping[str, str]) -> dict[str, Any]:
    for name, others in _OTHER_NAMES.items():
        if name not in found:
            found[name] = next((found[other] for other in others if other in found), None)
    if found["band"] is None:
        number = found.get("fid")
        found["band"] = (
            _bands(documents.get("fid", "")).get(number) if isinstance(number, int) else None
        )
    return found


@lru_cache(maxsize=64)
def _bands(document: str) -> dict[int, str | None]:
    """Bands by their number, as a schema explains it: ``Filter ID (1=g; 2=R; 3=i)``."""
    told = {int(number): name.lower() for number, name in _NUMBERED_BAND.findall(document)}
    return dict(told) or dict(_BANDS)


def _mjd(measurements: Sequence[Measurement]) -> Numbers:
    jd, mjd = numbers_of(measurements, ("jd", "mjd"))
    times: Numbers = np.where(np.isnan(jd), mjd, jd - _JD_OF_MJD)
    return times


def _positive(measurements: Sequence[Measurement]) -> Numbers:
    """1 where the science image is brighter; of ATLAS, whose magnitudes have a sign, by that."""
    told = np.array([sign_of(one.get("isdiffpos")) for one in measurements], dtype=np.float64)
    (magnitude,) = numbers_of(measurements, ("magpsf",))
    by_sign = np.where(np.isnan(magnitude), np.nan, magnitude > 0)
    unsaid = np.array(["isdiffpos" not in one for one in measurements], dtype=np.bool_)
    return np.where(unsaid, by_sign, told)
