"""Integers that manifests and catalogs know objects by."""

import hashlib

_INT64_MAX = 2**63 - 1
_INT64_DIGITS = 19
_HASH_BYTES = 8


def object_id_of(source_id: str) -> int:
    """Integer that stands for an object's name in manifests and catalogs.

    A decimal number that fits into 63 bits stands for itself; any other name gets the first 63
    bits of its SHA-256. Names that differ only by leading zeros therefore differ.
    """
    plain = source_id.isascii() and source_id.isdigit() and len(source_id) <= _INT64_DIGITS
    if plain and str(int(source_id)) == source_id and int(source_id) <= _INT64_MAX:
        return int(source_id)
    digest = hashlib.sha256(source_id.encode()).digest()
    return int.from_bytes(digest[:_HASH_BYTES], "big") >> 1
