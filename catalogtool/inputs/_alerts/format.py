"""What the readers of all alert surveys share: listing, quarantine, cutouts, facts and history."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from catalogtool import storage
from catalogtool.errors import CatalogtoolError, ManifestError
from catalogtool.flags import FATAL, Flag
from catalogtool.inputs._alerts.byte_source import DamagedError
from catalogtool.inputs._alerts.cursor import read_packets
from catalogtool.inputs._alerts.facts import Measurement, Numbers
from catalogtool.inputs._alerts.layout import PacketFields, Purpose
from catalogtool.inputs._alerts.listing import Listed, alert_id, alert_table
from catalogtool.inputs._alerts.packets import (
    ARCHIVE_ENDINGS,
    PACKET_ENDING,
    AnyPacket,
    Packet,
    first_packet,
)
from catalogtool.inputs._alerts.planes import Edge, Image, fill_cutouts
from catalogtool.inputs._alerts.schema import Record
from catalogtool.inputs._alerts.seen import SeenIds
from catalogtool.inputs._alerts.walk import list_packets
from catalogtool.inputs._base import Cutouts
from catalogtool.inputs._base import Format as BaseFormat
from catalogtool.inputs._listing import files_ending
from catalogtool.inputs._names import TABLE_ENDINGS
from catalogtool.inputs.labels import read_labels

ENDINGS = (PACKET_ENDING, *ARCHIVE_ENDINGS, *TABLE_ENDINGS)
HISTORY_SCHEMA = pa.schema(
    [
        pa.field("object_id", pa.int64(), nullable=False),
        pa.field("mjd", pa.float64()),  # UTC
        pa.field("band", pa.string()),
        pa.field("magnitude_ab", pa.float32()),  # null: an upper limit
        pa.field("magnitude_error", pa.float32()),
        pa.field("limit_mag_ab", pa.float32()),
        pa.field("is_positive", pa.bool_()),
    ]
)
_ROWS_PER_TABLE = 4096
_LOOKED_AT = 16
_NOTHING: Measurement = {}
_ODD = (DamagedError, AttributeError, KeyError, TypeError, ValueError)
"""Also what those packets raise whose fields are of other kinds than in any survey."""
_EXPECTED = (
    f"expected files {', '.join(ENDINGS)}; bare messages of a stream also need their schema as "
    "schema*.avsc in the same folder"
)


class AlertFormat(BaseFormat):
    """Alert packets: files of one or many, folders of files, archives, and tables of brokers.

    A packet that cannot be read, or repeats another, is a flagged row of its own: its name says
    which file it is in and at which place, and its `identity` is the SHA-256 of its bytes.

    Archives cannot be entered in the middle: every worker passes over all that stands before its
    units, at about a third of the cost of reading it. Nights in several archives spare that.
    """

    fields: PacketFields

    @classmethod
    def _is_ours(cls, uri: str) -> bool:
        """Whether one of the first packets at or below a URI is of this kind."""
        try:
            first = islice(list_packets(files_ending(uri, ENDINGS), cls.fields), _LOOKED_AT)
            return any(packet.found.readable for _, packet in first)
        except CatalogtoolError:
            return False

    @abstractmethod
    def measurement(self, record: Record, documents: dict[str, str]) -> Measurement:
        """What a packet says of its detection, under names of the reader's own.

        Among them are ``id`` (int or text), ``name`` (of the object), ``ra`` and ``dec``.
        """

    @abstractmethod
    def observed_mjd(self, measurements: Sequence[Measurement]) -> Numbers:
        """When detections were observed: MJD, UTC; NaN where unknown."""

    @abstractmethod
    def facts(self, measurements: Sequence[Measurement]) -> pa.Table:
        """What packets say of their objects besides pixels, one row each."""

    @abstractmethod
    def images(self, record: Record) -> dict[str, Image]:
        """Cutouts by the name of their band, which is one of `CUTOUT_BANDS`."""

    @abstractmethod
    def detections(self, record: Record, documents: dict[str, str]) -> pa.Table:
        """Current and earlier detections and limits, of `HISTORY_SCHEMA` without the id."""

    def edge(self, measurement: Measurement) -> Edge | None:  # noqa: ARG002
        """Where the edge of a detector may have cut the cutouts off, if near."""
        return None

    @property
    def pixel_flags(self) -> Flag:
        """What is true of all pixels that are read."""
        return Flag(0)

    def list_objects(self) -> Iterator[pa.Table]:
        """Yield one row per packet, in the order of files and of packets in them.

        Labels join by the name of the alert, or else by that of its object.

        Raises
        ------
        ManifestError
            If there are no packets, or none of them can be read.
        LabelError
            If none of the labels is of an object that the input has.
        """
        labels = read_labels(self.labels_uri, self.survey) if self.labels_uri else None
        seen, known = SeenIds(), set[str]()
        readable = count = 0
        for listed in self._batches():
            count += len(listed)
            readable += sum(one.measurement is not None for one in listed)
            if not readable:
                raise ManifestError(
                    f"{self.uri}: none of the first {count} packets can be read as those of "
                    f"{self.fields.survey}; {_EXPECTED}",
                    count=count,
                )
            times = self.observed_mjd([one.measurement or _NOTHING for one in listed])
            yield alert_table(listed, times, seen, labels)
            if labels is not None:
                known |= labels.index.keys() & {name for one in listed for name in one.names}
        if not count:
            raise ManifestError(f"{self.uri}: holds no alert packets: {_EXPECTED}")
        if labels is not None and not known:
            labels.refuse_unknown(known)  # some may be of other nights, all of them are a mistake

    def _batches(self) -> Iterator[list[Listed]]:
        base = storage.normalise(str(self.uri))
        packets = list_packets(files_ending(base, ENDINGS), self.fields)
        while batch := [self._listed(base, *one) for one in islice(packets, _ROWS_PER_TABLE)]:
            yield batch

    def _listed(self, base: str, info: storage.FileInfo, packet: Packet) -> Listed:
        measurement = self._measured(packet.found)
        file = info.uri.removeprefix(base).lstrip("/") or info.uri.rsplit("/", 1)[-1]
        return Listed(
            uri=info.uri,
            place=f"{file}#{packet.ordinal}",
            row=packet.ordinal,
            identity=info.identity,
            digest="" if measurement else packet.found.digest,
            measurement=measurement,
        )

    def _measured(self, found: AnyPacket) -> Measurement | None:
        """What listing asks of a packet; None if it cannot be read, or has no id."""
        try:
            measurement = self.measurement(found.read("listing"), found.documents)
        except _ODD:
            return None
        return None if alert_id(measurement) is None else measurement

    def read(self, rows: pa.Table) -> Cutouts:
        """Read cutouts and facts of some manifest rows."""
        cutouts = self._cutouts(rows.num_rows, self.packets(rows, "reading"))
        cutouts.flags[:] |= (rows.column("flags").to_numpy() & FATAL)[:, None]
        return cutouts

    def decode(self, files: Sequence[bytes]) -> Cutouts:
        """Cutouts and facts of the first packet of each of some files in memory."""
        found = (first_packet(data, self.fields) for data in files)
        return self._cutouts(len(files), enumerate(self._read(one, "reading") for one in found))

    def _cutouts(self, count: int, packets: Iterator[tuple[int, "ReadPacket | Flag"]]) -> Cutouts:
        cutouts = self.empty_cutouts(count)
        measurements = [_NOTHING] * count
        bands = self.survey.band_names
        for index, found in packets:
            if isinstance(found, Flag):
                cutouts.flags[index] = found
                continue
            measurements[index] = found.measurement
            images = self.images(found.record)
            wanted = [images.get(band) for band in bands]
            fill_cutouts(cutouts, index, wanted, self.edge(found.measurement))
            if self.pixel_flags:
                cutouts.flags[index, (cutouts.flags[index] & FATAL) == 0] |= self.pixel_flags
        return replace(cutouts, facts=self.facts(measurements))

    def read_history(self, rows: pa.Table) -> pa.Table:
        """Light curves of some manifest rows, as far as their packets know them.

        Returns
        -------
        Table
            Of `HISTORY_SCHEMA`: detections, the current one included, and upper limits, sorted by
            time; nothing of packets that cannot be read.

        Raises
        ------
        StorageError
            Only if the storage cannot be reached and trying again may help.
        """
        ids = rows.column("object_id")
        tables = [HISTORY_SCHEMA.empty_table()]
        for index, found in self.packets(rows, "history"):
            table = None if isinstance(found, Flag) else self._history(found)
            if table is not None:
                object_id = pa.repeat(ids[index], table.num_rows)
                tables.append(table.add_column(0, HISTORY_SCHEMA.field(0), object_id))
        return pa.concat_tables(table.cast(HISTORY_SCHEMA) for table in tables)

    def _history(self, found: "ReadPacket") -> pa.Table | None:
        """Light curve of one packet; None if it is of another kind than those of any survey."""
        try:
            return self.detections(found.record, found.documents).sort_by("mjd")
        except _ODD:
            return None

    def packets(
        self, rows: pa.Table, purpose: Purpose
    ) -> Iterator[tuple[int, "ReadPacket | Flag"]]:
        """What is read of those rows that were readable when listed, by index."""
        uris, ordinals = rows.column("uris").to_pylist(), rows.column("row").to_pylist()
        ids = rows.column("object_id").to_pylist()
        wanted = np.flatnonzero((rows.column("flags").to_numpy() & FATAL) == 0).tolist()
        places = [(uris[index][0], ordinals[index]) for index in wanted]
        for place, found in read_packets(places, self.fields, purpose):
            index = wanted[place]
            packet = found if isinstance(found, Flag) else self._read(found, purpose)
            # Another alert than the one that was listed here: the file is another one by now.
            if isinstance(packet, ReadPacket) and alert_id(packet.measurement) != ids[index]:
                packet = Flag.UNREADABLE
            yield index, packet

    def _read(self, found: AnyPacket, purpose: Purpose) -> "ReadPacket | Flag":
        try:
            record = found.read(purpose)
            measurement = self.measurement(record, found.documents)
        except _ODD:
            return Flag.UNREADABLE
        return ReadPacket(record, found.documents, measurement)


class ReadPacket(NamedTuple):
    """A packet's fields, and what they say."""

    record: Record
    documents: dict[str, str]
    measurement: Measurement
