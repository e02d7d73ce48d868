"""Simulated alerts as Avro packets of ZTF's schema: one file each, with the schema inside.

The same alert always gives the same bytes: nothing in a packet tells when it was written.
"""

import io
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Self

import fastavro
import numpy as np
from isal import isal_zlib

from catalogtool.inputs._base import FloatArray
from catalogtool.inputs._simulation.alert_records import Alert, Sighting
from catalogtool.inputs._simulation.camera import BANDS
from catalogtool.inputs._simulation.measurements import Record
from catalogtool.inputs._simulation.ztf_schema import ALERT, VERSION

_SCHEMA = fastavro.parse_schema(ALERT)
# In Avro a record is its fields one after the other, so that parts of it are written by themselves.
_FRONT, _HISTORY, _CUTOUTS = (
    fastavro.parse_schema({**ALERT, "fields": ALERT["fields"][part]})
    for part in (slice(0, 5), slice(5, 7), slice(7, None))
)
_FILE_ENDINGS = ("targ_sci", "ref", "targ_scimref")
_GZIP = 31  # window bits of zlib for a gzip container
_GZIP_LEVEL = 1
_CARD, _FITS_BLOCK = 80, 2880
_SYNC = b"catalogtool-sync"
"""Ends every block of a container; fixed, so that bytes are."""


@dataclass(frozen=True)
class PacketParts:
    """A packet before it is put together.

    Attributes
    ----------
    sighting : Sighting
    candidate : dict
        Fields of the packet's candidate.
    history : bytes
        Earlier exposures, in Avro.
    cutouts : tuple of bytes
        Science, template and difference: gzipped FITS images of big-endian float32, in which
        masked pixels are NaN.
    """

    sighting: Sighting
    candidate: Record
    history: bytes
    cutouts: tuple[bytes, ...]

    @classmethod
    def of(cls, alert: Alert) -> Self:
        """Encode what takes longest of an alert."""
        history = {"prv_candidates": alert.previous or None, "fp_hists": None}
        return cls(
            sighting=alert.sighting,
            candidate=alert.candidate,
            history=_encode(_HISTORY, history),
            cutouts=tuple(
                encode_image(np.where(mask, np.float32(np.nan), image))
                for image, mask in zip(alert.found.images, alert.found.mask, strict=True)
            ),
        )

    def seen_as(self, sighting: Sighting) -> Self:
        """The same pixels and history as another alert, somewhere else."""
        place = {"ra": sighting.ra, "dec": sighting.dec}
        candidate = self.candidate | {
            "candid": sighting.candid,
            "pid": sighting.pid,
            **place,
            **{f"{name}nr": angle for name, angle in place.items()},
        }
        return replace(self, sighting=sighting, candidate=candidate)

    def pack(self) -> bytes:
        """Write the content of an Avro file with one record, uncompressed."""
        front = {
            "schemavsn": VERSION,
            "publisher": "catalogtool (simulated)",
            "objectId": self.sighting.name,
            "candid": self.sighting.candid,
            "candidate": self.candidate,
        }
        names = f"candid{self.sighting.candid}_pid{self.sighting.pid}"
        cutouts = {
            f"cutout{band.capitalize()}": {
                "fileName": f"{names}_{ending}.fits.gz",
                "stampData": packed,
            }
            for band, ending, packed in zip(BANDS, _FILE_ENDINGS, self.cutouts, strict=True)
        }
        body = _encode(_FRONT, front) + self.history + _encode(_CUTOUTS, cutouts)
        return b"".join((_HEAD, _ONE, _encode("long", len(body)), body, _SYNC))


def encode_image(image: FloatArray) -> bytes:
    """Gzip an image as a FITS file with the header of the survey's cutouts: no coordinates."""
    height, width = image.shape
    header = _header(height, width)
    data = image.astype(">f4").tobytes()
    padding = bytes(-len(data) % _FITS_BLOCK)
    packed: bytes = isal_zlib.compress(header + data + padding, _GZIP_LEVEL, _GZIP)
    return packed


def _encode(schema: Any, value: object) -> bytes:  # noqa: ANN401 - fastavro's word for a schema
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema, value)
    return buffer.getvalue()


def _head() -> bytes:
    """Everything in front of the first block: the schema."""
    buffer = io.BytesIO()
    fastavro.writer(buffer, _SCHEMA, [], sync_marker=_SYNC)
    return buffer.getvalue()


_HEAD = _head()
_ONE = _encode("long", 1)


@lru_cache(maxsize=8)
def _header(height: int, width: int) -> bytes:
    """Header of an image in float32, filled up to a whole block."""
    cards = (
        f"SIMPLE  = {'T':>20}",
        f"BITPIX  = {-32:>20}",
        f"NAXIS   = {2:>20}",
        f"NAXIS1  = {width:>20}",
        f"NAXIS2  = {height:>20}",
        "BUNIT   = 'DN      '",
        "END",
    )
    text = "".join(card.ljust(_CARD) for card in cards)
    return text.ljust(-(-len(text) // _FITS_BLOCK) * _FITS_BLOCK).encode()
