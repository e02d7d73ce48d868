"""The Avro schema of ZTF's alert packets, version 4.02, written down field by field."""

from typing import Any

VERSION = "4.02"

# One or more names, then their type; a type with a question mark may be null, and is by default.
_IMAGE = """
jd double
fid int
pid long
diffmaglim float?
pdiffimfilename programpi string?
programid int
"""
_MEASURED = """
tblid long?
nid rcid field int?
xpos ypos float?
"""
_SHAPE = """
chipsf magap sigmagap distnr magnr sigmagnr chinr sharpnr sky magdiff fwhm classtar float?
mindtoedge magfromlim seeratio aimage bimage aimagerat bimagerat elong float?
nneg nbad int?
rb ssdistnr ssmagnr float?
ssnamenr string?
sumrat magapbig sigmagapbig float?
"""
_CANDIDATE = f"""
{_IMAGE}
candid long
isdiffpos string
{_MEASURED}
ra dec double
magpsf sigmapsf float
{_SHAPE}
ranr decnr double
sgmag1 srmag1 simag1 szmag1 sgscore1 distpsnr1 float?
ndethist ncovhist int
jdstarthist jdendhist scorr double?
tooflag int?
objectidps1 objectidps2 long?
sgmag2 srmag2 simag2 szmag2 sgscore2 distpsnr2 float?
objectidps3 long?
sgmag3 srmag3 simag3 szmag3 sgscore3 distpsnr3 float?
nmtchps int
rfid long
jdstartref jdendref double
nframesref int
rbversion string
dsnrms ssnrms dsdiff magzpsci magzpsciunc magzpscirms float?
nmatches int
clrcoeff clrcounc zpclrcov zpmed clrmed clrrms float?
neargaia neargaiabright maggaia maggaiabright exptime drb float?
drbversion string
"""
_PREVIOUS = f"""
{_IMAGE}
candid long?
isdiffpos string?
{_MEASURED}
ra dec double?
magpsf sigmapsf float?
{_SHAPE}
ranr decnr scorr double?
magzpsci magzpsciunc magzpscirms clrcoeff clrcounc float?
rbversion string
"""
_FORCED = """
field rcid int?
fid int
pid rfid long
sciinpseeing scibckgnd scisigpix magzpsci magzpsciunc magzpscirms clrcoeff clrcounc float?
exptime adpctdif1 adpctdif2 diffmaglim float?
programid int
jd double
forcediffimflux forcediffimfluxunc float?
procstatus string?
distnr float?
ranr decnr double
magnr sigmagnr chinr sharpnr float?
"""
_CUTOUT = """
fileName string
stampData bytes
"""


def field_names(record: dict[str, Any]) -> tuple[str, ...]:
    """Names of the fields of a record of the schema."""
    return tuple(field["name"] for field in record["fields"])


def _record(name: str, text: str) -> dict[str, Any]:
    fields: list[dict[str, Any]] = []
    for line in text.strip().splitlines():
        *names, kind = line.split() or [""]
        nullable = kind.endswith("?")
        for field in names:
            entry: dict[str, Any] = {"name": field, "type": kind}
            if nullable:
                entry = {"name": field, "type": ["null", kind[:-1]], "default": None}
            fields.append(entry)
    return {"type": "record", "name": f"ztf.alert.{name}", "fields": fields}


def _or_null(name: str, kind: dict[str, Any] | str) -> dict[str, Any]:
    return {"name": name, "type": ["null", kind], "default": None}


CANDIDATE = _record("candidate", _CANDIDATE)
PREVIOUS = _record("prv_candidate", _PREVIOUS)
FORCED = _record("fp_hist", _FORCED)

ALERT: dict[str, Any] = {
    "type": "record",
    "name": "ztf.alert",
    "doc": "ZTF alert, simulated",
    "version": VERSION,
    "fields": [
        {"name": "schemavsn", "type": "string"},
        {"name": "publisher", "type": "string"},
        {"name": "objectId", "type": "string"},
        {"name": "candid", "type": "long"},
        {"name": "candidate", "type": CANDIDATE},
        _or_null("prv_candidates", {"type": "array", "items": PREVIOUS}),
        _or_null("fp_hists", {"type": "array", "items": FORCED}),
        _or_null("cutoutScience", _record("cutout", _CUTOUT)),
        _or_null("cutoutTemplate", "ztf.alert.cutout"),
        _or_null("cutoutDifference", "ztf.alert.cutout"),
    ],
}
"""Of a packet."""
