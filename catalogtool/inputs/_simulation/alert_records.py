"""A simulated alert as a record: everything that its packet says besides pixels."""

from dataclasses import dataclass
from math import floor

import numpy as np

from catalogtool.inputs._simulation.camera import Camera
from catalogtool.inputs._simulation.candidates import is_real
from catalogtool.inputs._simulation.differences import Difference
from catalogtool.inputs._simulation.light_curves import (
    DETECTION_SNR,
    HISTORY_DAYS,
    History,
    draw_history,
)
from catalogtool.inputs._simulation.matches import MISSING, match
from catalogtool.inputs._simulation.measurements import (
    POGSON,
    Record,
    centroid,
    magnitude_of,
    measure,
)
from catalogtool.inputs._simulation.ztf_schema import PREVIOUS, field_names

BANDS = {1: "g", 2: "r", 3: "i"}
"""Names of filters by their ``fid``."""

JD_OF_MJD = 2_400_000.5
_FIRST_NIGHT_MJD = 57_754  # of the survey: 2017-01-01
_PER_EXPOSURE = 1_000_000  # ids of one exposure
_PER_NIGHT = 1_000_000_000  # exposures
_FIRST_PLACE = 15_000  # of detections in an exposure
_POSITION_SCATTER_DEG = 3e-5
_KNOWN_SHARE = 0.7  # of asteroids
_PREVIOUS_FIELDS = field_names(PREVIOUS)
_OF_EXPOSURES = (
    "programpi",
    "programid",
    "rcid",
    "field",
    "magzpsci",
    "magzpsciunc",
    "magzpscirms",
    "clrcoeff",
    "clrcounc",
    "rbversion",
)
_NO_ASTEROID: Record = {"ssdistnr": None, "ssmagnr": None, "ssnamenr": None}

# Median of the detections before the last 30 days, and scatter of its natural logarithm.
_OLDER_DETECTIONS = {"variable_star": (400.0, 1.0), "nuclear": (500.0, 1.0)}
_COVERAGE = (900.0, 0.8)  # the same of exposures without detection


@dataclass(frozen=True)
class Sighting:
    """What is known of an alert before anything is measured.

    Attributes
    ----------
    index : int
        Of the simulation.
    kind, name : str
        Value of `CandidateKind`, and the survey's name of the object.
    ra, dec : float
        ICRS degrees.
    mjd : float
        UTC.
    """

    index: int
    kind: str
    name: str
    ra: float
    dec: float
    mjd: float

    @property
    def candid(self) -> int:
        """Number of the alert: night, exposure and place in it."""
        return candid_of(self.index, self.mjd)

    @property
    def pid(self) -> int:
        """Number of the exposure."""
        return self.candid // _PER_EXPOSURE


@dataclass(frozen=True)
class Alert:
    """One alert, complete.

    Attributes
    ----------
    sighting : Sighting
    found : Difference
        Pixels; what faded is positive in the difference image, as in packets.
    candidate : dict
        Fields of the packet's candidate.
    previous : list of dict
        Fields of its earlier exposures, in order of time; ``magpsf`` is None where nothing was
        detected.
    """

    sighting: Sighting
    found: Difference
    candidate: Record
    previous: list[Record]


def candid_of(index: int, mjd: float) -> int:
    """Number of an alert: night, exposure and place in it, one exposure per alert."""
    night = int(mjd) - _FIRST_NIGHT_MJD
    return (night * _PER_NIGHT + index) * _PER_EXPOSURE + _FIRST_PLACE


def make_alert(
    camera: Camera, sighting: Sighting, found: Difference, rng: np.random.Generator
) -> Alert:
    """Measure an alert, look its neighbours up, and recall its history."""
    fid = int(rng.integers(1, 3))
    right, up = centroid(found)
    sources = [source.moved(-right, -up) for source in found.sources]
    candidate: Record = {
        **_exposure(sighting, fid, rng),
        **measure(camera, sighting.kind, found, rng),
        **match(camera, sources, rng),
    }
    candidate |= _solar_system(sighting.kind, candidate, rng)
    history = draw_history(sighting.kind, found.flux_counts, camera.flux_error_counts, rng)
    candidate |= _counts(sighting, history, rng)
    return Alert(
        sighting=sighting,
        found=found,
        candidate=candidate,
        previous=_previous(camera, sighting, candidate, history),
    )


def _exposure(sighting: Sighting, fid: int, rng: np.random.Generator) -> Record:
    """When and where, and the constants of the survey's calibration."""
    pid = sighting.pid
    rcid, field = (int(number) for number in rng.integers((0, 200), (64, 880)))
    jd = sighting.mjd + JD_OF_MJD
    right, up = _POSITION_SCATTER_DEG * rng.standard_normal(2)
    return {
        "jd": jd,
        "fid": fid,
        "pid": pid,
        "candid": sighting.candid,
        "pdiffimfilename": f"simulated_{pid}_scimrefdiffimg.fits",
        "programpi": "simulated",
        "programid": 1,
        "tblid": 0,
        "nid": pid // _PER_NIGHT,
        "rcid": rcid,
        "field": field,
        "ra": sighting.ra,
        "dec": sighting.dec,
        "ranr": sighting.ra + right,
        "decnr": sighting.dec + up,
        "tooflag": 0,
        "rfid": field * 1_000_000 + fid * 100_000 + rcid,
        "jdstartref": jd - 1000.0,
        "jdendref": jd - 800.0,
        "nframesref": 15,
        "nmatches": 800,
        "clrcoeff": 0.1 if fid == 2 else -0.05,
        "clrcounc": 1e-5,
        "zpclrcov": -1e-5,
        "zpmed": 26.2,
        "clrmed": 0.6,
        "clrrms": 0.28,
        "exptime": 30.0,
    }


def _solar_system(kind: str, candidate: Record, rng: np.random.Generator) -> Record:
    if kind != "moving" or rng.random() > _KNOWN_SHARE:
        return {"ssdistnr": MISSING, "ssmagnr": MISSING, "ssnamenr": "null"}
    return {
        "ssdistnr": float(rng.integers(0, 3)),
        "ssmagnr": round(candidate["magpsf"] + float(rng.normal(0, 0.2)), 1),
        "ssnamenr": str(rng.integers(1, 400_000)),
    }


def _counts(sighting: Sighting, history: History, rng: np.random.Generator) -> Record:
    """How often the place was seen and something detected, this alert included."""
    kind, jd = sighting.kind, sighting.mjd + JD_OF_MJD
    older = 0
    if kind in _OLDER_DETECTIONS:
        median, scatter = _OLDER_DETECTIONS[kind]
        older = int(median * np.exp(scatter * rng.standard_normal()))
    elif is_real(kind) and kind != "moving" and history.is_detected[:3].any():
        older = int(rng.poisson(12))
    detected = int(history.is_detected.sum()) + older + 1
    median, scatter = _COVERAGE
    first = min(history.days[history.is_detected], default=0.0)
    return {
        "ndethist": detected,
        "ncovhist": detected + int(median * np.exp(scatter * rng.standard_normal())),
        "jdstarthist": jd - HISTORY_DAYS - 1.5 * older if older else jd + first,
        "jdendhist": jd,
    }


def _previous(
    camera: Camera, sighting: Sighting, candidate: Record, history: History
) -> list[Record]:
    """Earlier exposures; where nothing was detected, the limit alone."""
    rows: list[Record] = []
    zeropoint = camera.zeropoint_mag_ab
    night = int(sighting.mjd) - _FIRST_NIGHT_MJD
    detected = {name: candidate.get(name) for name in _PREVIOUS_FIELDS}
    undetected: Record = dict.fromkeys(_PREVIOUS_FIELDS)
    undetected |= {name: candidate[name] for name in _OF_EXPOSURES}
    for number, (days, fid, flux, error, is_detected) in enumerate(
        zip(
            history.days.tolist(),
            history.fid.tolist(),
            history.flux_counts.tolist(),
            history.flux_error_counts.tolist(),
            history.is_detected.tolist(),
            strict=True,
        )
    ):
        nid = night + floor(sighting.mjd % 1 + days)
        pid = nid * _PER_NIGHT + sighting.index
        limit = magnitude_of(DETECTION_SNR * error, zeropoint)
        row = (detected if is_detected else undetected) | {
            "jd": sighting.mjd + JD_OF_MJD + days,
            "fid": fid,
            "pid": pid,
            "nid": nid,
            "diffmaglim": limit,
            "pdiffimfilename": f"simulated_{pid}_scimrefdiffimg.fits",
        }
        if is_detected:
            magnitude = magnitude_of(abs(flux), zeropoint)
            row |= {
                "candid": pid * _PER_EXPOSURE + _FIRST_PLACE + 1 + number,
                "isdiffpos": "t" if flux >= 0 else "f",
                "magpsf": magnitude,
                "sigmapsf": POGSON * error / abs(flux),
                "magap": magnitude,
                "magapbig": magnitude,
                "magdiff": 0.0,
                "magfromlim": limit - magnitude,
                "scorr": abs(flux) / error,
                **_NO_ASTEROID,
            }
        rows.append(row)
    return rows
