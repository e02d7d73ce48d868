"""Simulated alerts as Avro packets of ZTF's schema: one file each, with the schema inside.

The same alert always gives the same bytes: nothing in a packet tells when it was written.
"""

import io
from functools import lru_cache
from typing import Any

import fastavro
import numpy as np
from isal import isal_zlib

from catalogtool.inputs._base import FloatArray
from catalogtool.inputs._simulation.alert_records import Alert
from catalogtool.inputs._simulation.camera import BANDS
from catalogtool.inputs._simulation.ztf_schema import ALERT, VERSION

_SCHEMA = fastavro.parse_schema(ALERT)
_FILE_ENDINGS = ("targ_sci", "ref", "targ_scimref")
_GZIP = 31  # window bits of zlib for a gzip container
_GZIP_LEVEL = 1
_CARD, _FITS_BLOCK = 80, 2880
_SYNC = b"catalogtool-sync"
"""Ends every block of a container; fixed, so that bytes are."""


def packet_of(alert: Alert) -> bytes:
    """Write an alert as the content of an Avro file.

    Notes
    -----
    Cutouts are gzipped FITS images of big-endian float32; masked pixels are NaN.
    """
    return pack(alert, encode_cutouts(alert))


def encode_cutouts(alert: Alert) -> tuple[bytes, ...]:
    """The three cutouts of an alert, each a gzipped FITS file."""
    found = alert.found
    return tuple(
        encode_image(np.where(mask, np.float32(np.nan), image))
        for image, mask in zip(found.images, found.mask, strict=True)
    )


def encode_image(image: FloatArray) -> bytes:
    """Gzip an image as a FITS file with the header of the survey's cutouts: no coordinates."""
    height, width = image.shape
    header = _header(height, width)
    data = image.astype(">f4").tobytes()
    padding = bytes(-len(data) % _FITS_BLOCK)
    packed: bytes = isal_zlib.compress(header + data + padding, _GZIP_LEVEL, _GZIP)
    return packed


def pack(alert: Alert, cutouts: tuple[bytes, ...]) -> bytes:
    """Put an alert's record and its encoded cutouts into an Avro container."""
    candid, pid = alert.sighting.candid, alert.candidate["pid"]
    record: dict[str, Any] = {
        "schemavsn": VERSION,
        "publisher": "catalogtool (simulated)",
        "objectId": alert.sighting.name,
        "candid": candid,
        "candidate": alert.candidate,
        "prv_candidates": alert.previous or None,
        "fp_hists": None,
    }
    for band, ending, packed in zip(BANDS, _FILE_ENDINGS, cutouts, strict=True):
        record[f"cutout{band.capitalize()}"] = {
            "fileName": f"candid{candid}_pid{pid}_{ending}.fits.gz",
            "stampData": packed,
        }
    return _container(record)


def _container(record: dict[str, Any]) -> bytes:
    """An Avro container of one block with one record, uncompressed."""
    block = io.BytesIO()
    fastavro.schemaless_writer(block, _SCHEMA, record)
    return b"".join((_HEAD, _ONE, _length(block.tell()), block.getvalue(), _SYNC))


def _length(number: int) -> bytes:
    """A whole number as Avro writes it."""
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, "long", number)
    return buffer.getvalue()


def _head() -> bytes:
    """Everything in front of the first block: the schema."""
    buffer = io.BytesIO()
    fastavro.writer(buffer, _SCHEMA, [], sync_marker=_SYNC)
    return buffer.getvalue()


_HEAD = _head()
_ONE = _length(1)


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
