"""Reads every row of a catalog once, partition by partition, and notes what is wrong."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from catalogtool.flags import FATAL
from catalogtool.release._collection import DataFile, Table, ucds
from catalogtool.release._spill import Spill
from catalogtool.release._tiling import (
    Cell,
    cells_of,
    coarser,
    margin_order,
    margin_targets,
    partition_path,
)
from catalogtool.release.voparquet import HEALPIX

READ_ERRORS = (OSError, pa.ArrowException, ValueError, KeyError)
"""What damaged files make readers raise; a verification reports it and goes on."""

_KEY_BINS = 64
_SUM_TOLERANCE = 1e-4
_PROBABILITIES = ("stat.probability;src.morph.type", "stat.probability;src.class")
_FLAGS = "meta.code.qual"


@dataclass
class Findings:
    """Problems of each check, in the order they were met, and counts of what was read."""

    problems: dict[str, list[str]] = field(default_factory=dict)
    rows: int = 0
    footer_rows: int = 0

    def note(self, check: str, path: str, bad: int | np.integer, what: str) -> None:
        """Note a problem if there is one."""
        found = self.problems.setdefault(check, [])
        if bad:
            found.append(f"{path}: {int(bad)} {what}")


@dataclass(frozen=True)
class Group:
    """Probabilities that sum to 1, and the flags that excuse their absence."""

    columns: tuple[str, ...]
    flags: str


def probability_groups(schema: pa.Schema) -> list[Group]:
    """Runs of neighbouring probability columns, each with the next column of flags."""
    words = ucds(schema)
    groups: list[Group] = []
    run: list[str] = []
    for name in schema.names:
        if words[name] in _PROBABILITIES:
            run.append(name)
        elif words[name] == _FLAGS and run:
            groups.append(Group(tuple(run), name))
            run = []
    return groups


class Scan:
    """One pass over the primary table.

    Parameters
    ----------
    table : Table
        The primary table.
    margin_arcsec : float
        Width of the margin whose rows are collected.
    scratch : Path
        Folder for keys and margin rows, which do not fit in memory for a large catalog.
    """

    def __init__(self, table: Table, margin_arcsec: float, scratch: Path) -> None:
        self.findings = Findings()
        self.schema = table.schema
        self.key = table.properties["hats_cols_survey_id"].split()
        self.expected_margin = Spill(scratch / "margin", self.schema)
        self.files = table.files
        self.partitions = table.margin_partitions
        self._table = table
        self._order = margin_order(margin_arcsec)
        self._groups = probability_groups(self.schema)
        self._key_folder = scratch / "keys"
        self._key_codes: dict[str, int] = {}

    def run(self) -> Findings:
        """Read all partitions."""
        self._key_folder.mkdir()
        for file in self.files:
            self.findings.note("files readable", file.path, 0, "")
            try:
                self._read(file)
            except READ_ERRORS as error:
                self.findings.note("files readable", file.path, 1, f"error: {error}")
        self.expected_margin.flush()
        self._find_duplicates()
        return self.findings

    def _read(self, data: DataFile) -> None:
        with self._table.open(data.path) as file:
            self.findings.footer_rows += file.metadata.num_rows
            same = file.schema_arrow.equals(self.schema, check_metadata=True)
            self.findings.note("schemas equal", data.path, not same, "file with another schema")
            rows = file.read()
        self.findings.rows += rows.num_rows
        if same:
            self._check_places(data, rows)
            self._check_order(data.path, rows)
            self._check_probabilities(data.path, rows)
            self._keep_keys(rows)
            self._expect_margin(rows)

    def _check_places(self, data: DataFile, rows: pa.Table) -> None:
        path, (order, pixel) = data.path, data.cell
        stored = rows.column(HEALPIX.name).to_numpy()
        cells = cells_of(rows.column("ra").to_numpy(), rows.column("dec").to_numpy())
        wrong = np.count_nonzero(stored != cells)
        self.findings.note("healpix recomputed", path, wrong, "rows with another cell")
        outside = coarser(cells, order) != pixel
        strays = np.count_nonzero(outside)
        self.findings.note("rows in their pixel", path, strays, "rows outside of the pixel")

    def _check_order(self, path: str, rows: pa.Table) -> None:
        keys = [(name, "ascending") for name in (HEALPIX.name, *self.key)]
        order = pc.sort_indices(rows, sort_keys=keys).to_numpy()
        moved = np.count_nonzero(order != np.arange(len(order)))
        self.findings.note("rows sorted", path, moved, "rows out of order")

    def _check_probabilities(self, path: str, rows: pa.Table) -> None:
        for group in self._groups:
            bad = np.count_nonzero(~_probabilities_hold(rows, group))
            what = f"rows whose {group.columns[0]}, … neither sum to 1 nor are flagged"
            self.findings.note("probabilities", path, bad, what)

    def _keep_keys(self, rows: pa.Table) -> None:
        keys = self._encode_keys(rows)
        # The high bits of a product with an odd number depend on all bits of the id.
        mixed = keys[:, 0].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        bins = (mixed >> np.uint64(58)).astype(np.int64)
        order = np.argsort(bins, kind="stable")
        found, starts = np.unique(bins[order], return_index=True)
        for index, chunk in zip(found, np.split(keys[order], starts[1:]), strict=True):
            with (self._key_folder / str(index)).open("ab") as file:
                file.write(chunk.tobytes())

    def _encode_keys(self, rows: pa.Table) -> npt.NDArray[np.int64]:
        """Integer id and a number for the rest of the key, shape (N, 2)."""
        ids = rows.column(self.key[0]).to_numpy()
        keys = np.zeros((len(ids), 2), dtype=np.int64)
        keys[:, 0] = ids
        if len(self.key) > 1:
            texts = [rows.column(name).cast(pa.string()) for name in self.key[1:]]
            joined = pc.binary_join_element_wise(*texts, "\x1f").combine_chunks()
            encoded = joined.dictionary_encode()
            codes = [
                self._key_codes.setdefault(text, len(self._key_codes))
                for text in encoded.dictionary.to_pylist()
            ]
            keys[:, 1] = np.asarray(codes, dtype=np.int64)[encoded.indices.to_numpy()]
        return keys

    def _find_duplicates(self) -> None:
        self.findings.problems.setdefault("keys unique", [])
        for index in range(_KEY_BINS):
            path = self._key_folder / str(index)
            if not path.exists():
                continue
            keys = np.fromfile(path, dtype=np.int64).reshape(-1, 2)
            keys = keys[np.lexsort(keys.T)]
            twice = keys[1:][(keys[1:] == keys[:-1]).all(axis=1)]
            if len(twice):
                text = f"rows whose key occurs before, such as {self.key[0]} {twice[0, 0]}"
                self.findings.note("keys unique", "catalog", len(twice), text)

    def _expect_margin(self, rows: pa.Table) -> None:
        cells = rows.column(HEALPIX.name).to_numpy()
        index, partitions = margin_targets(cells, self.partitions, self._order)
        if len(index):
            self.expected_margin.add(rows.take(pa.array(index)), partitions)


def _probabilities_hold(rows: pa.Table, group: Group) -> npt.NDArray[np.bool_]:
    columns = [rows.column(name).to_numpy() for name in group.columns]  # null becomes NaN
    p = np.stack(columns, axis=1).astype(np.float64)  # (N, K)
    fatal = (rows.column(group.flags).to_numpy() & int(FATAL)) != 0
    absent = np.isnan(p).all(axis=1)
    with np.errstate(invalid="ignore"):
        proper = (np.abs(p.sum(axis=1) - 1) < _SUM_TOLERANCE) & (p >= 0).all(axis=1)
    held: npt.NDArray[np.bool_] = np.where(fatal, absent, proper)
    return held


def compare_margin(scan: Scan, margin: Table, findings: Findings) -> int:
    """Compare the margin's files with the rows that belong there; returns rows read."""
    check = "margin complete and correct"
    findings.note(check, margin.name, 0, "")
    expected = {scan.partitions.cell(index): index for index in scan.expected_margin.bins()}
    present: dict[Cell, list[str]] = {}
    for file in margin.files:
        present.setdefault(file.cell, []).append(file.path)
    keys = [(name, "ascending") for name in (HEALPIX.name, *scan.key)]
    read = 0
    for cell in sorted(expected.keys() | present.keys()):
        path = partition_path(cell)
        try:
            rows = _read_files(margin, present.get(cell, []), scan.schema)
        except READ_ERRORS as error:
            findings.note(check, path, 1, f"unreadable file: {error}")
            continue
        read += rows.num_rows
        wanted = scan.schema.empty_table()
        if cell in expected:
            wanted = scan.expected_margin.read(expected[cell])
        if margin.is_growing:  # only its files are sorted
            rows = rows.sort_by(keys)
        if not _are_equal(rows, wanted.sort_by(keys)):
            text = f"rows, which differ from the {wanted.num_rows} near this partition"
            findings.note(check, path, max(rows.num_rows, 1), text)
    return read


def _are_equal(found: pa.Table, wanted: pa.Table) -> bool:
    """Whether two tables hold the same; vectors of NaN are the same, which Arrow denies."""
    vectors = [f.name for f in wanted.schema if pa.types.is_fixed_size_list(f.type)]
    if not found.drop_columns(vectors).equals(wanted.drop_columns(vectors)):
        return False
    return all(
        np.array_equal(_numbers(found, name), _numbers(wanted, name), equal_nan=True)
        for name in vectors
    )


def _numbers(table: pa.Table, vectors: str) -> npt.NDArray[np.floating[Any]]:
    """All numbers of a column of vectors."""
    return np.asarray(pc.list_flatten(table.column(vectors)))


def _read_files(table: Table, paths: list[str], schema: pa.Schema) -> pa.Table:
    tables = [schema.empty_table()]
    for path in paths:
        with table.open(path) as file:
            tables.append(file.read())
    return pa.concat_tables(tables)
