"""Manifest rows of alerts; those that cannot be read, or repeat another, are rows as well."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalogtool.flags import FATAL, Flag
from catalogtool.identifiers import object_id_of
from catalogtool.inputs._alerts.facts import Measurement, Numbers, numbers_of
from catalogtool.inputs._alerts.seen import SeenIds
from catalogtool.inputs._base import MANIFEST_SCHEMA
from catalogtool.inputs.labels import LabelTable

_INT64 = range(-(2**63), 2**63)


class Listed(NamedTuple):
    """A packet, or something that is none, before it becomes a row."""

    uri: str
    place: str
    """File, relative to the input, and place in it."""
    row: int
    identity: str
    digest: str
    """SHA-256 of its bytes; empty for one that can be read."""
    measurement: Measurement | None
    """None: it cannot be read."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the alert and of its object, by which labels may know it."""
        found = self.measurement or {}
        return tuple(str(found[key]) for key in ("id", "name") if found.get(key) is not None)


def alert_id(measurement: Measurement) -> int | None:
    """Integer of an alert: its own number, or a hash of its name; None if it has neither."""
    value = measurement.get("id")
    if isinstance(value, str) and value:
        return object_id_of(value)
    return value if isinstance(value, int) and value in _INT64 else None


def alert_table(
    listed: Sequence[Listed], times: Numbers, seen: SeenIds, labels: LabelTable | None
) -> pa.Table:
    """Rows of `MANIFEST_SCHEMA`.

    Parameters
    ----------
    listed : sequence of Listed
        N packets.
    times : ndarray, shape (N,)
        MJD, UTC; NaN where unknown.
    seen : SeenIds
        Alerts of earlier tables; those of this one are added.
    labels : LabelTable or None
        Labels by name of the alert or of the object.
    """
    ids, flags = _ids_and_flags(listed, seen)
    fatal = (flags & FATAL) != 0
    ra, dec = numbers_of([one.measurement or {} for one in listed], ("ra", "dec"))
    placed = (np.abs(dec) <= 90) & (ra >= -180) & (ra <= 360) & ~fatal
    flags[~placed] |= Flag.NO_POSITION
    dated = ~np.isnan(times) & ~fatal
    good = [None if bad else one for one, bad in zip(listed, fatal, strict=True)]
    names = [_label_name(one, labels) for one in good]
    columns = {
        "object_id": ids,
        "source_id": [
            one.place if whole is None else one.names[-1]
            for one, whole in zip(listed, good, strict=True)
        ],
        "ra": pa.array(np.where(placed, ra % 360, 0), mask=~placed),
        "dec": pa.array(np.where(placed, dec, 0), mask=~placed),
        "flags": flags,
        "uris": [[one.uri] for one in listed],
        "row": [one.row for one in listed],
        "identity": [one.digest or one.identity for one in listed],
        "votes": [_votes(name, labels) for name in names],
        "split": [labels.split_of(name) if labels and name else "" for name in names],
        "observed_mjd": pa.array(np.where(dated, times, 0), mask=~dated),
    }
    return pa.table(columns, schema=MANIFEST_SCHEMA)


def _ids_and_flags(
    listed: Sequence[Listed], seen: SeenIds
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Ids of all rows; those of rows without a prediction are hashes of their places."""
    own = [alert_id(one.measurement) if one.measurement else None for one in listed]
    unreadable = np.array([value is None for value in own])
    ids = np.array([0 if value is None else value for value in own], dtype=np.int64)
    duplicate = np.zeros(len(ids), dtype=np.bool_)
    duplicate[~unreadable] = seen.again(ids[~unreadable])
    for index in np.flatnonzero(unreadable | duplicate).tolist():
        ids[index] = object_id_of(listed[index].place)
    flags = np.where(unreadable, Flag.UNREADABLE, 0) | np.where(duplicate, Flag.DUPLICATE, 0)
    return ids, flags.astype(np.int32)


def _label_name(listed: Listed | None, labels: LabelTable | None) -> str | None:
    """The name by which a label table knows an alert."""
    if listed is None or labels is None:
        return None
    return next((name for name in listed.names if name in labels.index), None)


def _votes(name: str | None, labels: LabelTable | None) -> list[float] | None:
    votes = labels.votes_of(name) if labels and name else None
    return None if votes is None else votes.ravel().tolist()
