"""What input formats share when they list objects."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa

from catalogtool import storage
from catalogtool.flags import Flag
from catalogtool.identifiers import object_id_of
from catalogtool.inputs._base import MANIFEST_SCHEMA, FloatArray


class ListedObject(NamedTuple):
    """One row of a manifest, before it is written."""

    source_id: str
    uris: tuple[str, ...]
    row: int
    identity: str
    position: tuple[float, float] | None
    votes: FloatArray | None
    """Shape (R, K); None without a label."""
    split: str
    observed_mjd: float | None = None
    """UTC; None where unknown."""


def manifest_table(objects: Sequence[ListedObject]) -> pa.Table:
    """Table of `MANIFEST_SCHEMA`; objects without a position are flagged."""
    places = [listed.position or (None, None) for listed in objects]
    columns = {
        "object_id": [object_id_of(listed.source_id) for listed in objects],
        "source_id": [listed.source_id for listed in objects],
        "ra": [ra for ra, _ in places],
        "dec": [dec for _, dec in places],
        "flags": [0 if listed.position else int(Flag.NO_POSITION) for listed in objects],
        "uris": [list(listed.uris) for listed in objects],
        "row": [listed.row for listed in objects],
        "identity": [listed.identity for listed in objects],
        "votes": [None if o.votes is None else o.votes.ravel().tolist() for o in objects],
        "split": [listed.split for listed in objects],
        "observed_mjd": [listed.observed_mjd for listed in objects],
    }
    return pa.table(columns, schema=MANIFEST_SCHEMA)


def files_ending(uri: str, endings: tuple[str, ...]) -> Iterator[storage.FileInfo]:
    """Files at or below a URI whose names end in one of some ways, in any case."""
    return (info for info in storage.list_files(uri) if info.uri.lower().endswith(endings))
