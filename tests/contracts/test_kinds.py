"""Every catalog kind keeps its promises, whichever files are in the folder."""

import re

import numpy as np
import pyarrow as pa
import pytest
from astropy import units as u
from astropy.io.votable.ucd import check_ucd
from hypothesis import given, settings
from hypothesis import strategies as st

from catalogtool.catalogs import kind_names, load_kind
from catalogtool.catalogs._base import CatalogContext, Predictions
from catalogtool.flags import FATAL, Flag
from catalogtool.inputs._base import MANIFEST_SCHEMA

CLASSES = ("spheroid", "disk", "irregular")
BANDS = ("f606w", "f814w")
CONTEXTS = [
    CatalogContext(CLASSES, BANDS, per_band, "model-1", embedding_size=4)
    for per_band in (True, False)
]

# Fractions, counts, codes and texts have no unit; everything else must name one.
UNITLESS = (
    "meta.",
    "stat.",
    "src.morph",
    "src.class",
    "src.redshift",
    "instr.bandpass",
    "phys.entropy",
)

pytestmark = [
    pytest.mark.parametrize("name", kind_names()),
    pytest.mark.parametrize("context", CONTEXTS, ids=["per_band", "all_bands"]),
]


def manifest_rows(count: int, flags: int = 0) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "object_id": index * 7,
                "source_id": f"object {index}",
                "ra": None if index % 5 == 4 else index * 1.5,
                "dec": None if index % 5 == 4 else -index * 0.5,
                "flags": flags,
                "uris": [],
                "row": index,
                "identity": "x",
                "votes": None,
                "split": "",
            }
            for index in range(count)
        ],
        schema=MANIFEST_SCHEMA,
    )


def predictions_for(
    name: str, context: CatalogContext, count: int, flags: int = 0, seed: int = 1
) -> Predictions:
    rng = np.random.default_rng(seed)
    shape = (count, len(BANDS) if context.per_band else 1)
    p = rng.dirichlet(np.full(len(CLASSES), 0.2), shape).astype(np.float32)
    features = rng.normal(size=(count, context.embedding_size)).astype(np.float32)
    known = not flags & FATAL
    if not known:
        p[:], features[:] = np.nan, np.nan
    schema = load_kind(name).findings
    findings = None if schema is None else findings_of(schema, count, rng, known=known)
    return Predictions(
        p, np.full(shape, flags, dtype=np.int32), features=features, findings=findings
    )


def findings_of(
    schema: pa.Schema, count: int, rng: np.random.Generator, *, known: bool
) -> pa.Table:
    """Any values of a schema, or nulls."""

    def any_value(kind: pa.DataType) -> object:
        if pa.types.is_list(kind):
            return [any_value(kind.value_type) for _ in CLASSES]
        if pa.types.is_string(kind):
            return str(rng.choice(CLASSES))
        if pa.types.is_boolean(kind):
            return bool(rng.integers(2))
        return int(rng.integers(100)) if pa.types.is_integer(kind) else float(rng.random())

    rows = [{f.name: any_value(f.type) if known else None for f in schema} for _ in range(count)]
    return pa.Table.from_pylist(rows, schema=schema)


def part_of(predictions: Predictions, start: int, count: int) -> Predictions:
    features, findings = predictions.features, predictions.findings
    end = start + count
    return Predictions(
        predictions.probabilities[start:end],
        predictions.flags[start:end],
        features=None if features is None else features[start:end],
        findings=None if findings is None else findings.slice(start, count),
    )


@pytest.mark.parametrize("count", [0, 1, 7])
def test_finalize_gives_exactly_the_declared_schema(
    name: str, context: CatalogContext, count: int
) -> None:
    kind = load_kind(name)
    table = kind.finalize(context, manifest_rows(count), predictions_for(name, context, count))
    table.validate(full=True)
    assert table.schema.equals(kind.schema(context))
    assert count == 0 or table.num_rows % count == 0
    assert not any(table.column(f.name).null_count for f in kind.schema(context) if not f.nullable)


def test_an_all_flagged_batch_has_no_prediction_and_keeps_every_row(
    name: str, context: CatalogContext
) -> None:
    kind = load_kind(name)
    flags = int(Flag.UNREADABLE)
    table = kind.finalize(context, manifest_rows(7), predictions_for(name, context, 7, flags))
    healthy = kind.finalize(context, manifest_rows(7), predictions_for(name, context, 7))
    assert table.schema.equals(kind.schema(context))
    assert table.num_rows == healthy.num_rows
    assert set(table.column("flags").to_pylist()) == {flags}
    floats = [f.name for f in table.schema if pa.types.is_float32(f.type)]
    assert all(table.column(column).null_count == table.num_rows for column in floats)


def test_a_fatal_flag_of_the_listing_removes_the_prediction(
    name: str, context: CatalogContext
) -> None:
    kind = load_kind(name)
    rows = manifest_rows(3, int(Flag.MISSING_FILE))
    table = kind.finalize(context, rows, predictions_for(name, context, 3))
    assert table.column("has_prediction").to_pylist() == [False] * table.num_rows


def test_rows_are_in_manifest_order_and_the_key_is_unique(
    name: str, context: CatalogContext
) -> None:
    kind = load_kind(name)
    table = kind.finalize(context, manifest_rows(7), predictions_for(name, context, 7))
    ids = table.column("object_id").to_numpy()
    assert (np.diff(ids) >= 0).all()
    keys = [tuple(row.values()) for row in table.select(kind.key).to_pylist()]
    assert len(set(keys)) == table.num_rows


def test_finalize_does_not_depend_on_the_company(name: str, context: CatalogContext) -> None:
    kind = load_kind(name)
    rows, predictions = manifest_rows(7), predictions_for(name, context, 7)
    whole = kind.finalize(context, rows, predictions)
    pieces = [
        kind.finalize(
            context,
            rows.slice(start, 3),
            part_of(predictions, start, 3),
        )
        for start in (0, 3, 6)
    ]
    assert pa.concat_tables(pieces).equals(whole)


def test_every_column_is_described_in_the_words_of_the_virtual_observatory(
    name: str, context: CatalogContext
) -> None:
    for column in load_kind(name).columns(context):
        assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name), column.name
        assert column.description, column.name
        assert check_ucd(column.ucd, check_controlled_vocabulary=True), (column.name, column.ucd)
        if column.unit:
            u.Unit(column.unit, format="vounit")
        else:
            assert column.ucd.startswith(UNITLESS), column.name


def test_column_names_differ(name: str, context: CatalogContext) -> None:
    names = [column.name for column in load_kind(name).columns(context)]
    assert len(set(names)) == len(names)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_probabilities_of_a_prediction_sum_to_one(
    name: str, context: CatalogContext, seed: int
) -> None:
    kind = load_kind(name)
    table = kind.finalize(context, manifest_rows(4), predictions_for(name, context, 4, seed=seed))
    columns = [f.name for f in table.schema if f.name.startswith("p_")]
    if not columns:
        return
    values = np.stack([table.column(column).to_numpy() for column in columns], axis=1)
    sums = values.reshape(4, -1, 3).sum(axis=2)
    np.testing.assert_allclose(sums, 1, atol=1e-5)
