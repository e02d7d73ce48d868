"""Facts of simulated alerts: what catalogs and networks are told of an alert besides its pixels."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from catalogtool.inputs._simulation.alert_records import BANDS, Alert
from catalogtool.inputs._simulation.matches import MISSING
from catalogtool.inputs._simulation.sky import ECLIPTIC, GALACTIC, turned

_JD_OF_MJD = 2_400_000.5

_MEASURED = (
    *(f"{name}{number}" for number in (1, 2, 3) for name in ("sgscore", "distpsnr")),
    "fwhm",
    "magpsf",
    "sigmapsf",
    "ra",
    "dec",
    "diffmaglim",
    "classtar",
    "ndethist",
    "ncovhist",
    "chinr",
    "sharpnr",
    "rb",
    "distnr",
    "magnr",
)
"""Features under the packet's own names, as they are."""

_DERIVED = ("isdiffpos", "ecl_lat", "ecl_long", "gal_lat", "gal_long", "non_detections")
FEATURES = (*_MEASURED, *_DERIVED)
"""Numeric facts, float32, under the names of ZTF's packets. ``isdiffpos`` is 0 for what brightened
and 1 for what faded."""

FACTS = pa.schema(
    [
        ("band", pa.string()),
        ("magnitude_ab", pa.float32()),
        ("magnitude_error", pa.float32()),
        ("is_positive", pa.bool_()),
        ("survey_score", pa.float32()),
        ("detections", pa.int32()),
        *((name, pa.float32()) for name in FEATURES),
    ]
)

HISTORY = pa.schema(
    [
        ("object_id", pa.int64()),
        ("mjd", pa.float64()),
        ("band", pa.string()),
        ("magnitude_ab", pa.float32()),
        ("magnitude_error", pa.float32()),
        ("limit_mag_ab", pa.float32()),
        ("is_positive", pa.bool_()),
    ]
)


def facts_of(alerts: Sequence[Alert]) -> pa.Table:
    """Facts of some alerts, one row each: a table of `FACTS`."""
    rows = [alert.candidate for alert in alerts]
    columns = {name: [_known(row[name]) for row in rows] for name in _MEASURED}
    ra, dec = (np.array(columns[name], dtype=np.float64) for name in ("ra", "dec"))
    ecliptic, galactic = turned(ra, dec, ECLIPTIC), turned(ra, dec, GALACTIC)
    is_positive = [row["isdiffpos"] == "t" for row in rows]
    counts = np.array([(row["ndethist"], row["ncovhist"]) for row in rows]).reshape(-1, 2)
    columns |= {
        "band": [BANDS[row["fid"]] for row in rows],
        "magnitude_ab": columns["magpsf"],
        "magnitude_error": columns["sigmapsf"],
        "is_positive": is_positive,
        "survey_score": [row["drb"] for row in rows],
        "detections": counts[:, 0],
        "isdiffpos": 1.0 - np.array(is_positive),
        "ecl_long": ecliptic[0],
        "ecl_lat": ecliptic[1],
        "gal_long": galactic[0],
        "gal_lat": galactic[1],
        "non_detections": counts[:, 1] - counts[:, 0],
    }
    return pa.table(
        [pa.array(columns[field.name]).cast(field.type, safe=False) for field in FACTS],
        schema=FACTS,
    )


def history_of(alerts: Sequence[Alert]) -> pa.Table:
    """Detections and upper limits of some alerts, in order of time: a table of `HISTORY`."""
    rows = [
        {
            "object_id": alert.sighting.candid,
            "mjd": seen["jd"] - _JD_OF_MJD,
            "band": BANDS[seen["fid"]],
            "magnitude_ab": seen["magpsf"],
            "magnitude_error": seen["sigmapsf"],
            "limit_mag_ab": seen["diffmaglim"],
            "is_positive": None if seen["magpsf"] is None else seen["isdiffpos"] == "t",
        }
        for alert in alerts
        for seen in (*alert.previous, alert.candidate)
    ]
    return pa.Table.from_pylist(rows, schema=HISTORY)


def _known(value: object) -> object:
    return None if value == MISSING else value
