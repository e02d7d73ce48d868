"""The ledger: what went into a unit, what came out, and that the two are equal."""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from catalogtool import storage
from catalogtool.config._base import Settings, build_settings, canonical_json
from catalogtool.errors import DataError, StorageError
from catalogtool.layout import RunLayout


class PartLine(Settings):
    """One part file of a unit.

    Every row is in exactly one of three places: with a prediction, flagged without one, or
    without a position and therefore in quarantine.
    """

    kind: str
    rows_in: int
    """Rows that the manifest promises."""
    rows_written: int
    rows_flagged: int
    rows_unplaced: int
    reasons: dict[str, int]
    """Flagged and unplaced rows by the names of their fatal flags."""
    size_bytes: int
    sha256: str

    def check(self, unit: int) -> None:
        """Refuse a line that does not close.

        Raises
        ------
        DataError
            If rows in differ from rows out.
        """
        out = self.rows_written + self.rows_flagged + self.rows_unplaced
        if out != self.rows_in:
            raise DataError(
                f"unit {unit}, {self.kind}: the ledger does not close: {self.rows_in} rows in, "
                f"{out} rows out; this is a bug or a damaged run folder",
                unit=unit,
            )


class LedgerLine(Settings):
    """What became of one unit."""

    unit: int
    objects: int
    form: str
    """Form of the network that predicted."""
    parts: tuple[PartLine, ...]

    def to_bytes(self) -> bytes:
        """Content of the ledger file."""
        return canonical_json(self.to_json()).encode()

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Self:
        """Parse a ledger file.

        Raises
        ------
        DataError
            If it is damaged.
        """
        try:
            values = json.loads(data)
        except ValueError as error:
            raise DataError(f"{where}: damaged ledger line: {error}") from error
        return build_settings(cls, values, where=where)


class LedgerTotals(Settings):
    """Sums over the parts of one kind."""

    kind: str
    units: int
    rows_in: int
    rows_written: int
    rows_flagged: int
    rows_unplaced: int
    reasons: dict[str, int]

    @property
    def flagged_share(self) -> float:
        """Share of all rows that got no prediction."""
        return (self.rows_flagged + self.rows_unplaced) / max(self.rows_in, 1)


def read_ledger(run: RunLayout) -> dict[int, LedgerLine]:
    """All ledger lines of a run by unit; each is checked to close."""
    uris = [info.uri for info in storage.list_files(run.ledger)]
    lines = {}
    for uri, data in zip(uris, storage.read_many(uris), strict=True):
        if isinstance(data, StorageError):
            raise data
        line = LedgerLine.from_bytes(data, uri)
        for part in line.parts:
            part.check(line.unit)
        lines[line.unit] = line
    return lines


def finished_units(run: RunLayout, kinds: tuple[str, ...]) -> dict[int, LedgerLine]:
    """Ledger lines of the units that need no more work.

    A unit counts if its line tells of all kinds and every part is there with the size that the
    line tells; hashes are for verification.
    """
    with ThreadPoolExecutor(1) as pool:  # a long listing, while the lines are read
        listing = pool.submit(
            lambda: {info.uri: info.size_bytes for info in storage.list_files(run.parts)}
        )
        lines = read_ledger(run)
        sizes = listing.result()

    def is_whole(line: LedgerLine) -> bool:
        return tuple(part.kind for part in line.parts) == kinds and all(
            sizes.get(storage.normalise(run.part(part.kind, line.unit))) == part.size_bytes
            for part in line.parts
        )

    return {unit: line for unit, line in lines.items() if is_whole(line)}


def totals(lines: Iterable[LedgerLine], kind: str) -> LedgerTotals:
    """Sum the parts of one kind."""
    parts = [part for line in lines for part in line.parts if part.kind == kind]
    reasons: dict[str, int] = {}
    for part in parts:
        for reason, count in part.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + count
    return LedgerTotals(
        kind=kind,
        units=len(parts),
        rows_in=sum(part.rows_in for part in parts),
        rows_written=sum(part.rows_written for part in parts),
        rows_flagged=sum(part.rows_flagged for part in parts),
        rows_unplaced=sum(part.rows_unplaced for part in parts),
        reasons=dict(sorted(reasons.items())),
    )
