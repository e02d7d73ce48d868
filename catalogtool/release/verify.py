"""Recomputes everything that a finished catalog claims."""

import hashlib
import io
import logging
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.errors import CatalogtoolError, DataError, VerificationError
from catalogtool.ledger import LedgerTotals
from catalogtool.release._collection import COLLECTION, Collection, Table, fields
from catalogtool.release._folder import MANIFEST, parse_manifest
from catalogtool.release._properties import JOIN_COLUMN
from catalogtool.release._scan import READ_ERRORS, Findings, Scan, compare_margin
from catalogtool.release.voparquet import VERSION, VERSION_KEY

_CHUNK_BYTES = 8 << 20
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
"""Odd numbers that spread ids over 64 bits."""
_SHOWN = 3
_PROPERTIES = ".properties"
_REQUIRED = {
    COLLECTION: ("obs_collection", "hats_primary_table_url", "all_margins", "default_margin"),
    "primary": (
        "obs_collection",
        "dataproduct_type",
        "hats_nrows",
        "hats_col_ra",
        "hats_col_dec",
        "hats_cols_survey_id",
        "catalogtool_run_id",
        "catalogtool_model_id",
        "catalogtool_simulated_pixels",
        "catalogtool_simulated_training",
    ),
    "margin": (
        "obs_collection",
        "dataproduct_type",
        "hats_nrows",
        "hats_primary_table_url",
        "hats_margin_threshold",
    ),
}


@dataclass(frozen=True)
class Check:
    """One thing that was recomputed."""

    name: str
    passed: bool
    found: str


@dataclass(frozen=True)
class VerificationReport:
    """All checks of one catalog."""

    uri: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.failures

    @property
    def failures(self) -> tuple[Check, ...]:
        """Checks that failed."""
        return tuple(check for check in self.checks if not check.passed)

    def raise_for_failures(self) -> None:
        """Refuse a catalog that is not what it claims.

        Raises
        ------
        VerificationError
            One line per failed check.
        """
        if self.failures:
            lines = "\n".join(f"  {check.name}: {check.found}" for check in self.failures)
            raise VerificationError(
                f"{self.uri}: {len(self.failures)} of {len(self.checks)} checks failed; do not "
                f"use this catalog, produce it again:\n{lines}",
                failed=[check.name for check in self.failures],
            )


def verify(catalog_uri: str, ledger: LedgerTotals | None = None) -> VerificationReport:
    """Check a catalog against itself, its hashes and the ledger of its run.

    Reads every file, one partition at a time; those of extensions as well, unless `ledger` is
    given: a run verifies them by themselves, against their own sums. A bad catalog raises nothing:
    its failures are in the report.

    Parameters
    ----------
    catalog_uri : str
        Folder of a HATS collection. The check of the library hats itself is made for local
        folders only.
    ledger : LedgerTotals or None
        Sums of the run; None leaves the comparison with them out.

    Raises
    ------
    DataError
        If nothing there is of a catalog.
    """
    collection = Collection.list(catalog_uri)
    if not {COLLECTION, MANIFEST}.intersection(collection.names):
        raise DataError(f"{catalog_uri}: holds no catalog; name the folder of a HATS collection")
    small: list[tuple[str, Callable[[], Check]]] = [
        ("hashes", lambda: _check_hashes(collection)),
        ("properties complete", lambda: _check_properties(collection)),
        ("partitions listed", lambda: _check_partitions(collection)),
        ("voparquet metadata", lambda: _check_voparquet(collection)),
    ]
    if {*_top(collection, _PROPERTIES)} - {COLLECTION}:
        small.append(("extensions linked", lambda: _check_links(collection)))
    if storage.is_local(catalog_uri):
        small.insert(0, ("hats strict", lambda: _check_hats(collection)))
    checks = [_guarded(name, check) for name, check in small]
    checks += _guarded_rows(collection, ledger)
    if ledger is None:
        checks += _extension_checks(collection)
    return VerificationReport(catalog_uri, tuple(checks))


def _top(collection: Collection, ending: str) -> Iterator[str]:
    """Files beside the tables with such an ending."""
    return (name for name in collection.names if "/" not in name and name.endswith(ending))


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except (CatalogtoolError, *READ_ERRORS) as error:
        return Check(name, passed=False, found=_text(error))


def _extension_checks(collection: Collection) -> list[Check]:
    """Checks of the collections inside of this one, their names after that of the extension."""
    try:
        reports = {alias: verify(inner.uri) for alias, inner in collection.extensions.items()}
    except (CatalogtoolError, *READ_ERRORS) as error:
        return [Check("extensions", passed=False, found=_text(error))]
    return [
        replace(check, name=f"{alias}: {check.name}")
        for alias, report in reports.items()
        for check in report.checks
    ]


def _guarded_rows(collection: Collection, ledger: LedgerTotals | None) -> list[Check]:
    try:
        return list(_check_rows(collection, ledger))
    except (CatalogtoolError, *READ_ERRORS) as error:
        return [Check("rows", passed=False, found=_text(error))]


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _result(name: str, problems: list[str], good: str) -> Check:
    shown = "; ".join(problems[:_SHOWN])
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return Check(name, not problems, shown + more if problems else good)


def _check_hats(collection: Collection) -> Check:
    from hats.io.validation import is_valid_collection

    logger = logging.getLogger()
    messages = _Messages()
    logger.addHandler(messages)
    try:
        valid = is_valid_collection(collection.uri, strict=True)
    finally:
        logger.removeHandler(messages)
    problems = [] if valid else (messages.texts or ["is_valid_collection is False"])
    return _result("hats strict", problems, "is_valid_collection(strict=True)")


class _Messages(logging.Handler):
    """Keeps the warnings with which hats explains its verdict."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _check_hashes(collection: Collection) -> Check:
    promised = parse_manifest(collection.read(MANIFEST))
    present = set(collection.names) - {MANIFEST}
    problems = [f"{name}: missing" for name in sorted(promised.keys() - present)]
    problems += [f"{name}: not in {MANIFEST}" for name in sorted(present - promised.keys())]
    for name in sorted(promised.keys() & present):
        if _sha256(storage.join(collection.uri, name)) != promised[name]:
            problems.append(f"{name}: another content than was written")
    return _result("hashes", problems, f"{len(promised)} files as written")


def _sha256(uri: str) -> str:
    digest = hashlib.sha256()
    with storage.open_input(uri) as source:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _check_properties(collection: Collection) -> Check:
    found = {
        COLLECTION: collection.properties,
        "primary": collection.primary.properties,
        "margin": collection.margin.properties,
    }
    problems = [
        f"{where}: lacks {key}"
        for where, keys in _REQUIRED.items()
        for key in keys
        if not found[where].get(key)
    ]
    return _result("properties complete", problems, f"{sum(map(len, found.values()))} keys")


def _check_partitions(collection: Collection) -> Check:
    problems: list[str] = []
    count = 0
    for table in (collection.primary, collection.margin):
        tiling = table.tiling
        files = set(zip(tiling.orders.tolist(), tiling.pixels.tolist(), strict=True))
        listed = table.listed_partitions
        count += len(listed)
        problems += [f"{table.name}: no file of {pair}" for pair in sorted(listed - files)]
        problems += [f"{table.name}: {pair} is not listed" for pair in sorted(files - listed)]
        if table.is_growing:  # readers would take its partitions twice from footers
            continue
        footers = pq.read_metadata(io.BytesIO(table.read("dataset/_metadata")))
        promised = int(table.properties["hats_nrows"])
        if footers.num_rows != promised:
            text = f"{footers.num_rows} rows in _metadata, {promised} in hats_nrows"
            problems.append(f"{table.name}: {text}")
    return _result("partitions listed", problems, f"{count} partitions in partition_info.csv")


def _check_voparquet(collection: Collection) -> Check:
    problems: list[str] = []
    for table in (collection.primary, collection.margin):
        problems += [f"{table.name}: {text}" for text in _voparquet_problems(table)]
    return _result("voparquet metadata", problems, "units, UCDs and descriptions of all columns")


def _voparquet_problems(table: Table) -> Iterator[str]:
    schema = table.schema
    if (schema.metadata or {}).get(VERSION_KEY) != VERSION:
        yield f"lacks {VERSION_KEY.decode()} {VERSION.decode()}"
    described: list[Any] = fields(schema)
    if [field.name for field in described] != schema.names:
        yield "the VOTable fields are not the columns"
        return
    for field, column in zip(described, schema, strict=True):
        if field.datatype not in _votable_types(column.type):
            yield f"{column.name}: {field.datatype} in VOTable, {column.type} in Parquet"
        if not field.ucd or not field.description:
            yield f"{column.name}: lacks a UCD or a description"


def _votable_types(kind: pa.DataType) -> tuple[str, ...]:
    item = kind.value_type if pa.types.is_fixed_size_list(kind) else kind
    names = {"int64": "long", "int32": "int", "int16": "short", "int8": "short", "bool": "boolean"}
    names |= {"double": "double", "float": "float", "string": "char"}
    return (names.get(str(item), "char"),)


def _check_links(collection: Collection) -> Check:
    """Whether every extension has exactly one row for each object of the primary table."""
    rows, digest = _ids_digest(collection.primary)
    problems, count = [], 0
    for alias, extension in collection.extensions.items():
        count, its_digest = _ids_digest(extension.primary)
        per_object, rest = divmod(rows, max(count, 1))
        if rest or (its_digest * np.uint64(per_object) != digest).any():
            problems.append(f"{alias}: its {count} rows are not one for each object")
    names = ", ".join(collection.extensions)
    return _result("extensions linked", problems, f"{names}: one row for each of {count} objects")


def _ids_digest(table: Table) -> tuple[int, npt.NDArray[np.uint64]]:
    """Number of rows, and sums of hashes of their ids, which do not depend on the order."""
    rows, digest = 0, np.zeros(2, dtype=np.uint64)
    for data in table.files:
        with table.open(data.path) as file:
            ids = file.read(columns=[JOIN_COLUMN]).column(JOIN_COLUMN).to_numpy().view(np.uint64)
        for place, factor in enumerate(_MIX):
            mixed = (ids ^ (ids >> np.uint64(31))) * factor
            digest[place : place + 1] += (mixed ^ (mixed >> np.uint64(29))).sum(dtype=np.uint64)
        rows += len(ids)
    return rows, digest


def _check_rows(collection: Collection, ledger: LedgerTotals | None) -> Iterator[Check]:
    primary, margin = collection.primary, collection.margin
    width = float(margin.properties["hats_margin_threshold"])
    with tempfile.TemporaryDirectory(prefix="catalogtool-verify-") as scratch:
        scan = Scan(primary, width, Path(scratch))
        findings = scan.run()
        margin_rows = compare_margin(scan, margin, findings)
    yield _check_counts(primary, findings, ledger)
    yield _check_margin_count(margin, margin_rows)
    for name, problems in findings.problems.items():
        yield _result(name, problems, f"{findings.rows} rows in {len(scan.files)} files")


def _check_counts(primary: Table, findings: Findings, ledger: LedgerTotals | None) -> Check:
    counts = {
        "hats_nrows": int(primary.properties["hats_nrows"]),
        "footers": findings.footer_rows,
        "rows read": findings.rows,
    }
    if ledger is not None:
        counts["ledger"] = ledger.rows_written + ledger.rows_flagged
    text = ", ".join(f"{name} {count}" for name, count in counts.items())
    return Check("row counts", len(set(counts.values())) == 1, text)


def _check_margin_count(margin: Table, rows: int) -> Check:
    promised = int(margin.properties["hats_nrows"])
    text = f"hats_nrows {promised}, rows read {rows}"
    return Check("margin row counts", promised == rows, text)
