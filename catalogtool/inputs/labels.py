"""Labels and positions that a table gives to objects, checked before any training."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.errors import LabelError
from catalogtool.inputs._base import FloatArray
from catalogtool.inputs._names import TABLE_ENDINGS, CutoutName, first_few, parse_name
from catalogtool.inputs._times import Times, column_mjd
from catalogtool.surveys._definition import Survey

BoolArray = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.float64]

SUM_TOLERANCE = 1e-3
"""Vote fractions may miss a sum of 1 by this much: tables round."""
SPLITS = ("train", "test")


@dataclass(frozen=True)
class LabelTable:
    """What a label table says, one entry per object.

    Attributes
    ----------
    index : dict
        Entry of each object by its source id.
    votes : ndarray, shape (N, R, K), float32
        Vote fractions that sum to 1; NaN where there is no label.
    ra, dec : ndarray, shape (N,), float64
        ICRS degrees; NaN where unknown.
    splits : list of str
        ``train``, ``test`` or empty.
    times : ndarray, shape (N,), float64
        When objects were observed: MJD, UTC; NaN where unknown.
    """

    uri: str
    index: dict[str, int]
    votes: FloatArray
    ra: Positions
    dec: Positions
    splits: list[str]
    times: Times

    @property
    def has_votes(self) -> bool:
        """Whether there is any label; a table may give positions alone."""
        return bool(np.isfinite(self.votes).any())

    def position(self, source_id: str) -> tuple[float, float] | None:
        """Position of an object, None if the table has none."""
        entry = self.index.get(source_id)
        if entry is None or not np.isfinite((self.ra[entry], self.dec[entry])).all():
            return None
        return float(self.ra[entry]), float(self.dec[entry])

    def observed_mjd(self, source_id: str) -> float | None:
        """When an object was observed, None if the table does not tell."""
        entry = self.index.get(source_id)
        return None if entry is None or np.isnan(self.times[entry]) else float(self.times[entry])

    def votes_of(self, source_id: str) -> FloatArray | None:
        """Votes of an object, shape (R, K); None if it has no label."""
        entry = self.index.get(source_id)
        return None if entry is None or np.isnan(self.votes[entry]).all() else self.votes[entry]

    def split_of(self, source_id: str) -> str:
        """Split of an object, empty if the table has none."""
        entry = self.index.get(source_id)
        return "" if entry is None else self.splits[entry]

    def refuse_unknown(self, source_ids: Iterable[str]) -> None:
        """Refuse labels of objects that the input does not have.

        Raises
        ------
        LabelError
            With the first few names and their count.
        """
        unknown = sorted(self.index.keys() - set(source_ids))
        if unknown:
            raise LabelError(
                f"{self.uri}: {len(unknown)} of {len(self.index)} labelled objects are not in the "
                f"input: {first_few(unknown)}; remove these rows, or check that id_column and "
                "id_pattern of the survey fit both",
                count=len(unknown),
            )


def read_label_rows(uri: str, survey: Survey) -> tuple[list[CutoutName], pa.Table]:
    """Rows of a label table as they are, and the object that each is about.

    Raises
    ------
    LabelError
        If the table cannot be read, or names do not fit the pattern.
    """
    table = _read_table(uri, survey)
    return _parse_names(uri, table, survey), table


def read_labels(uri: str, survey: Survey) -> LabelTable:
    """Read a label table: CSV or Parquet, one row per object, or per object and band.

    Parameters
    ----------
    uri : str
        The table. It may cover only some of the objects, and may give positions alone; rows
        without a label need no band.
    survey : Survey
        Names of the columns, and the pattern that splits names into object and band.

    Raises
    ------
    LabelError
        If columns are missing, names do not fit the pattern or occur twice, or fractions are
        outside [0, 1] or do not sum to 1.
    """
    names, table = read_label_rows(uri, survey)
    index: dict[str, int] = {}
    entries = np.array([index.setdefault(n.source_id, len(index)) for n in names], dtype=np.int64)
    table_votes = _table_votes(uri, table, survey)
    labelled = np.asarray(np.isfinite(table_votes).any(axis=1))
    bands = _band_indices(uri, names, labelled, survey)
    _refuse_twice(uri, names, entries * (survey.rows_per_object + 1) + bands)
    votes = np.full(
        (len(index), survey.rows_per_object, len(survey.labels.classes)), np.nan, dtype=np.float32
    )
    votes[entries[labelled], bands[labelled]] = table_votes[labelled]
    ra, dec, times = np.full((3, len(index)), np.nan)
    splits = [""] * len(index)
    row_ra, row_dec = row_positions(uri, table, survey)
    known = np.isfinite(row_ra) & np.isfinite(row_dec)
    ra[entries[known]], dec[entries[known]] = row_ra[known], row_dec[known]
    row_times = column_mjd(uri, table, survey.input.time_column)
    times[entries[~np.isnan(row_times)]] = row_times[~np.isnan(row_times)]
    for entry, split in zip(entries, row_splits(table, survey), strict=True):
        splits[entry] = split
    return LabelTable(uri, index, votes, ra, dec, splits, times)


def _table_votes(uri: str, table: pa.Table, survey: Survey) -> FloatArray:
    if has_labels(uri, table.column_names, survey):
        return row_votes(uri, table, survey)
    if not has_positions(table.column_names, survey):
        raise missing_columns(uri, label_columns(survey), table.column_names)
    return np.full((table.num_rows, len(survey.labels.classes)), np.nan, dtype=np.float32)


def _read_table(uri: str, survey: Survey) -> pa.Table:
    data = storage.read_bytes(uri)
    try:
        if uri.lower().endswith(TABLE_ENDINGS):
            table = pq.read_table(pa.BufferReader(data))
        else:
            as_text = pyarrow.csv.ConvertOptions(column_types={survey.input.id_column: pa.string()})
            table = pyarrow.csv.read_csv(pa.BufferReader(data), convert_options=as_text)
    except pa.ArrowInvalid as error:
        raise LabelError(f"{uri}: neither CSV nor Parquet: {error}") from error
    if survey.input.id_column not in table.column_names:
        raise missing_columns(uri, (survey.input.id_column,), table.column_names)
    return table


def missing_columns(uri: str, wanted: Iterable[str], found: Iterable[str]) -> LabelError:
    """The error of a table that lacks columns; it lists those that there are."""
    names = set(found)
    lacking = [name for name in wanted if name not in names]
    return LabelError(
        f"{uri}: no column {', '.join(lacking)}; found: {', '.join(sorted(names))}. Rename the "
        "columns, or set their names in the survey file",
        missing=lacking,
    )


def _parse_names(uri: str, table: pa.Table, survey: Survey) -> list[CutoutName]:
    texts = table.column(survey.input.id_column).cast(pa.string()).to_pylist()
    parsed = [parse_name(text or "", survey.input.id_pattern) for text in texts]
    wrong = [text for text, name in zip(texts, parsed, strict=True) if name is None]
    if wrong:
        raise LabelError(
            f"{uri}: {len(wrong)} names in {survey.input.id_column} do not fit the id_pattern "
            f"{survey.input.id_pattern!r}: {first_few(wrong)}",
            count=len(wrong),
        )
    return [name for name in parsed if name is not None]


def _band_indices(
    uri: str, names: list[CutoutName], labelled: BoolArray, survey: Survey
) -> npt.NDArray[np.int64]:
    """Index of each row's band; past the last one where a row is about a whole object."""
    if survey.rows_per_object == 1:
        return np.zeros(len(names), dtype=np.int64)
    where = {band: index for index, band in enumerate(survey.band_names)}
    whole = len(where)
    wrong = [
        n.source_id if n.band is None else f"{n.source_id} ({n.band})"
        for n, has_label in zip(names, labelled.tolist(), strict=True)
        if n.band not in where and (has_label or n.band is not None)
    ]
    if wrong:
        raise LabelError(
            f"{uri}: {len(wrong)} labels name no band of {survey.name}: {first_few(wrong)}; the "
            f"labels of this survey are per band: {', '.join(survey.band_names)}",
            count=len(wrong),
        )
    return np.array([where.get(str(name.band), whole) for name in names], dtype=np.int64)


def _refuse_twice(uri: str, names: list[CutoutName], keys: npt.NDArray[np.int64]) -> None:
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    twice = [" ".join(filter(None, names[row])) for row in np.sort(first[counts > 1])]
    if twice:
        raise LabelError(
            f"{uri}: {len(twice)} names occur more than once: {first_few(twice)}; "
            "keep one row each",
            count=len(twice),
        )


def has_labels(uri: str, columns: Iterable[str], survey: Survey) -> bool:
    """Whether a table has the survey's label columns: all of them, or none.

    Raises
    ------
    LabelError
        If it has some but not all.
    """
    wanted = label_columns(survey)
    found = set(columns)
    present = [name in found for name in wanted]
    if any(present) and not all(present):
        raise missing_columns(uri, wanted, found)
    return all(present)


def label_columns(survey: Survey) -> tuple[str, ...]:
    """Columns that hold a survey's labels."""
    labels = survey.labels
    return labels.columns if labels.kind == "votes" else (str(labels.column),)


def row_votes(where: str, table: pa.Table, survey: Survey) -> FloatArray:
    """Labels of table rows as vote fractions.

    Returns
    -------
    ndarray, shape (N, K), float32
        Fractions that sum to 1 (one-hot for classes); NaN where all fractions are null, or where
        the class is none of the survey's `values`.

    Raises
    ------
    LabelError
        If fractions are outside [0, 1], do not sum to 1, or are no numbers.
    """
    if survey.labels.kind == "class":
        return _one_hot(table.column(str(survey.labels.column)), survey)
    votes = np.stack([_numbers(where, table, name) for name in survey.labels.columns], axis=1)
    labelled = np.any(~np.isnan(votes), axis=1)
    with np.errstate(invalid="ignore"):
        outside = np.any(~((votes >= 0) & (votes <= 1)), axis=1)
        uneven = ~(np.abs(votes.sum(axis=1) - 1) <= SUM_TOLERANCE)
    _refuse(where, table, survey, labelled & outside, "have vote fractions outside [0, 1]")
    _refuse(where, table, survey, labelled & uneven, "have vote fractions that do not sum to 1")
    with np.errstate(invalid="ignore"):
        fractions: FloatArray = (votes / votes.sum(axis=1, keepdims=True)).astype(np.float32)
    return fractions


def _one_hot(column: pa.ChunkedArray, survey: Survey) -> FloatArray:
    classes = survey.labels.classes
    rows = {
        value: np.eye(len(classes))[classes.index(c)] for value, c in survey.labels.values.items()
    }
    nothing = np.full(len(classes), np.nan)
    values = column.cast(pa.string()).to_pylist()
    votes = [rows.get(value, nothing) for value in values]
    return np.array(votes, dtype=np.float32).reshape(len(values), len(classes))


def _numbers(where: str, table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    try:
        column = table.column(name).cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise LabelError(f"{where}: column {name}: expected numbers: {error}") from error
    numbers: npt.NDArray[np.float64] = column.to_numpy()
    return numbers


def _refuse(where: str, table: pa.Table, survey: Survey, wrong: BoolArray, what: str) -> None:
    if not wrong.any():
        return
    names = table.column(survey.input.id_column).filter(pa.array(wrong)).to_pylist()
    raise LabelError(f"{where}: {len(names)} rows {what}: {first_few(names)}", count=len(names))


def has_positions(columns: Iterable[str], survey: Survey) -> bool:
    """Whether a table has the survey's columns of right ascension and declination."""
    return {survey.input.ra_column, survey.input.dec_column} <= set(columns)


def row_positions(where: str, table: pa.Table, survey: Survey) -> tuple[Positions, Positions]:
    """Right ascension and declination of table rows, degrees; NaN where unknown or impossible.

    Raises
    ------
    LabelError
        If the columns hold no numbers.
    """
    if not has_positions(table.column_names, survey):
        nowhere = np.full(table.num_rows, np.nan)
        return nowhere, nowhere
    ra = _numbers(where, table, survey.input.ra_column)
    dec = _numbers(where, table, survey.input.dec_column)
    on_sky = (np.abs(dec) <= 90) & (ra >= -180) & (ra <= 360)
    return np.where(on_sky, ra % 360, np.nan), np.where(on_sky, dec, np.nan)


def row_splits(table: pa.Table, survey: Survey) -> list[str]:
    """Split of table rows: ``train``, ``test``, or empty for anything else."""
    name = survey.input.split_column
    if name is None or name not in table.column_names:
        return [""] * table.num_rows
    values = table.column(name).cast(pa.string()).to_pylist()
    return [value if value in SPLITS else "" for value in values]
