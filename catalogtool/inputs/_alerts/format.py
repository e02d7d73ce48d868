"""What the readers of all alert surveys share: listing, quarantine, cutouts, facts and history."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import pyarrow as pa

from catalogtool import storage
from catalogtool.errors import CatalogtoolError, ManifestError
from catalogtool.flags import FATAL, Flag
from catalogtool.inputs._alerts.byte_source import DamagedError
from catalogtool.inputs._alerts.facts import Measurement, Numbers
from catalogtool.inputs._alerts.layout import PacketFields, Purpose, Record
from catalogtool.inputs._alerts.listing import Listed, alert_id, alert_table
from catalogtool.inputs._alerts.packets import (
    ARCHIVE_ENDINGS,
    PACKET_ENDING,
    AnyPacket,
    Packet,
    list_packets,
    read_packets,
)
from catalogtool.inputs._alerts.planes import Image, fill_cutouts
from catalogtool.inputs._alerts.seen import SeenIds
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
_EXPECTED = (
    f"expected files {', '.join(ENDINGS)}; bare messages of a stream also need their schema as "
    "schema*.avsc in the same folder"
)


class AlertFormat(BaseFormat):
    """Alert packets: files of one or many, folders of files, archives, and tables of brokers.

    A packet that cannot be read, or repeats another, is a flagged row of its own: its name says
    which file it is in and at which place, and its `identity` is the SHA-256 of its bytes.
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

    def cut_side(self, measurement: Measurement) -> tuple[int, int]:  # noqa: ARG002
        """For y and x, where the edge of a detector cut the cutouts: -1, 0 or 1."""
        return (0, 0)

    def list_objects(self) -> Iterator[pa.Table]:
        """Yield one row per packet, in the order of files and of packets in them.

        Labels join by the name of the alert, or else by that of its object.

        Raises
        ------
        ManifestError
            If there are no packets, or none of them can be read.
        LabelError
            If labels are of objects that the input does not have.
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
        if labels is not None:
            labels.refuse_unknown(known)

    def _batches(self) -> Iterator[list[Listed]]:
        packets = list_packets(files_ending(str(self.uri), ENDINGS), self.fields)
        while batch := [self._listed(*one) for one in islice(packets, _ROWS_PER_TABLE)]:
            yield batch

    def _listed(self, info: storage.FileInfo, packet: Packet) -> Listed:
        measurement = self._measured(packet.found)
        base = storage.normalise(str(self.uri))
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
        except DamagedError:
            return None
        return None if alert_id(measurement) is None else measurement

    def read(self, rows: pa.Table) -> Cutouts:
        """Read cutouts and facts of some manifest rows."""
        cutouts = self.empty_cutouts(rows.num_rows)
        measurements = [_NOTHING] * rows.num_rows
        cutouts.flags[:] = (rows.column("flags").to_numpy() & FATAL)[:, None]
        for index, found in self._packets(rows, "reading"):
            if isinstance(found, Flag):
                cutouts.flags[index] = found
                continue
            record, documents = found
            measurements[index] = self.measurement(record, documents)
            images = self.images(record)
            fill_cutouts(
                cutouts,
                index,
                [images.get(name) for name in self.survey.band_names],
                self.cut_side(measurements[index]),
            )
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
        for index, found in self._packets(rows, "history"):
            if not isinstance(found, Flag):
                table = self.detections(*found).sort_by("mjd")
                object_id = pa.repeat(ids[index], table.num_rows)
                tables.append(table.add_column(0, HISTORY_SCHEMA.field(0), object_id))
        return pa.concat_tables(table.cast(HISTORY_SCHEMA) for table in tables)

    def _packets(
        self, rows: pa.Table, purpose: Purpose
    ) -> Iterator[tuple[int, tuple[Record, dict[str, str]] | Flag]]:
        """Records of those rows that were readable when listed, by index."""
        uris, ordinals = rows.column("uris").to_pylist(), rows.column("row").to_pylist()
        ids = rows.column("object_id").to_pylist()
        wanted = np.flatnonzero((rows.column("flags").to_numpy() & FATAL) == 0).tolist()
        places = [(uris[index][0], ordinals[index]) for index in wanted]
        for place, found in read_packets(places, self.fields, purpose):
            index = wanted[place]
            if isinstance(found, Flag):
                yield index, found
                continue
            try:
                record = found.read(purpose)
                same = alert_id(self.measurement(record, found.documents)) == ids[index]
            except DamagedError:
                same = False
            yield index, (record, found.documents) if same else Flag.UNREADABLE
