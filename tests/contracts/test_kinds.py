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
CONTEXTS = [CatalogContext(CLASSES, BANDS, per_band, "model-1") for per_band in (True, False)]

# Fractions, counts, codes and texts have no unit; everything else must name one.
UNITLESS = ("meta.", "stat.", "src.morph", "src.class", "instr.bandpass", "phys.entropy")

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


def predictions_for(context: CatalogContext, count: int, flags: int = 0) -> Predictions:
    shape = (count, len(BANDS) if context.per_band else 1)
    p = np.random.default_rng(1).dirichlet(np.ones(len(CLASSES)), shape).astype(np.float32)
    if flags & FATAL:
        p[:] = np.nan
    return Predictions(p, np.full(shape, flags, dtype=np.int32))


@pytest.mark.parametrize("count", [0, 1, 7])
def test_finalize_gives_exactly_the_declared_schema(
    name: str, context: CatalogContext, count: int
) -> None:
    kind = load_kind(name)
    table = kind.finalize(context, manifest_rows(count), predictions_for(context, count))
    table.validate(full=True)
    assert table.schema.equals(kind.schema(context))
    assert count == 0 or table.num_rows % count == 0
    assert not any(table.column(f.name).null_count for f in kind.schema(context) if not f.nullable)


def test_an_all_flagged_batch_has_no_prediction_and_keeps_every_row(
    name: str, context: CatalogContext
) -> None:
    kind = load_kind(name)
    flags = int(Flag.UNREADABLE)
    table = kind.finalize(context, manifest_rows(7), predictions_for(context, 7, flags))
    healthy = kind.finalize(context, manifest_rows(7), predictions_for(context, 7))
    assert table.schema.equals(kind.schema(context))
    assert table.num_rows == healthy.num_rows
    assert set(table.column("flags").to_pylist()) == {flags}
    floats = [f.name for f in table.schema if pa.types.is_float32(f.type)]
    assert floats
    assert all(table.column(column).null_count == table.num_rows for column in floats)


def test_a_fatal_flag_of_the_listing_removes_the_prediction(
    name: str, context: CatalogContext
) -> None:
    kind = load_kind(name)
    rows = manifest_rows(3, int(Flag.MISSING_FILE))
    table = kind.finalize(context, rows, predictions_for(context, 3))
    assert table.column("has_prediction").to_pylist() == [False] * table.num_rows


def test_rows_are_in_manifest_order_and_the_key_is_unique(
    name: str, context: CatalogContext
) -> None:
    kind = load_kind(name)
    table = kind.finalize(context, manifest_rows(7), predictions_for(context, 7))
    ids = table.column("object_id").to_numpy()
    assert (np.diff(ids) >= 0).all()
    keys = [tuple(row.values()) for row in table.select(kind.key).to_pylist()]
    assert len(set(keys)) == table.num_rows


def test_finalize_does_not_depend_on_the_company(name: str, context: CatalogContext) -> None:
    kind = load_kind(name)
    rows, predictions = manifest_rows(7), predictions_for(context, 7)
    whole = kind.finalize(context, rows, predictions)
    pieces = [
        kind.finalize(
            context,
            rows.slice(start, 3),
            Predictions(
                predictions.probabilities[start : start + 3], predictions.flags[start : start + 3]
            ),
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
    shape = (4, len(BANDS) if context.per_band else 1)
    p = np.random.default_rng(seed).dirichlet(np.full(3, 0.05), shape).astype(np.float32)
    table = kind.finalize(
        context, manifest_rows(4), Predictions(p, np.zeros(shape, dtype=np.int32))
    )
    columns = [f.name for f in table.schema if f.name.startswith("p_")]
    values = np.stack([table.column(column).to_numpy() for column in columns], axis=1)
    sums = values.reshape(4, -1, 3).sum(axis=2)
    np.testing.assert_allclose(sums, 1, atol=1e-5)
