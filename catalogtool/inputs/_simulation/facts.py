"""Facts and light curves of simulated alerts, as the reader of ZTF's packets gives them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from catalogtool.inputs._alerts import HISTORY_SCHEMA
from catalogtool.inputs._alerts.facts import column, numbers_of, sky_columns
from catalogtool.inputs._simulation.alert_records import BANDS, JD_OF_MJD, Alert

_MEASURED = (
    *(f"{name}{number}" for number in (1, 2, 3) for name in ("sgscore", "distpsnr")),
    *("fwhm", "magpsf", "sigmapsf", "ra", "dec", "diffmaglim", "classtar", "ndethist", "ncovhist"),
    *("chinr", "sharpnr", "rb", "distnr", "magnr"),
)


def facts_of(alerts: Sequence[Alert]) -> pa.Table:
    """Facts of some alerts, one row each: null where unknown.

    Returns
    -------
    Table
        What all alerts have, and the 26 features of stamp classifiers, float32, under the names of
        ZTF's packets; ``isdiffpos`` is 0 for what brightened and 1 for what faded.
    """
    rows = [alert.candidate for alert in alerts]
    numbers = dict(zip(_MEASURED, numbers_of(rows, _MEASURED), strict=True))
    (score,) = numbers_of(rows, ("drb",))
    faded = np.array([row["isdiffpos"] == "f" for row in rows], dtype=np.float64)
    columns = {
        "band": pa.array([BANDS[row["fid"]] for row in rows], pa.string()),
        "magnitude_ab": column(numbers["magpsf"]),
        "magnitude_error": column(numbers["sigmapsf"]),
        "is_positive": column(1 - faded, pa.bool_()),
        "survey_score": column(score),
        "detections": column(numbers["ndethist"], pa.int32()),
        **{name: column(values) for name, values in numbers.items()},
        "isdiffpos": column(faded),
        "non_detections": column(numbers["ncovhist"] - numbers["ndethist"]),
    }
    return pa.table(columns | sky_columns(numbers["ra"], numbers["dec"]))


def history_of(alerts: Sequence[Alert]) -> pa.Table:
    """Detections and upper limits of some alerts, in order of time: a table of `HISTORY_SCHEMA`."""
    rows = [
        {
            "object_id": alert.sighting.candid,
            "mjd": seen["jd"] - JD_OF_MJD,
            "band": BANDS[seen["fid"]],
            "magnitude_ab": seen["magpsf"],
            "magnitude_error": seen["sigmapsf"],
            "limit_mag_ab": seen["diffmaglim"],
            "is_positive": None if seen["magpsf"] is None else seen["isdiffpos"] == "t",
        }
        for alert in alerts
        for seen in (*alert.previous, alert.candidate)
    ]
    return pa.Table.from_pylist(rows, schema=HISTORY_SCHEMA)
