"""Numbers by which the Transient Name Server knows instruments and bands, for bulk reports."""

from typing import Any

_ZTF = {"instrument": "196", "filters": {"g": "110", "r": "111", "i": "112"}}
_RUBIN = {
    "instrument": "287",
    "filters": {"u": "160", "g": "161", "r": "162", "i": "163", "z": "164", "y": "165"},
}
_CODES = {"ztf": _ZTF, "rubin": _RUBIN}


def tns_codes(survey: str) -> dict[str, Any] | None:
    """``instrument`` and ``filters`` by band of a survey; None where they are not known."""
    return _CODES.get(survey)
