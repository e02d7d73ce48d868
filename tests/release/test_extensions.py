"""Kinds with one row per object join the first kind of their run, in one collection."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dask
import lsdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.table import Table
from release_samples import make_info, manifest_rows, sky_positions

from catalogtool.catalogs import load_kind
from catalogtool.catalogs._base import Predictions
from catalogtool.flags import Flag
from catalogtool.layout import RunLayout
from catalogtool.release.assemble import AssembledCatalog, assemble
from catalogtool.release.verify import verify

OBJECTS = 300
SIZE = 6


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> AssembledCatalog:
    """Two rows per object, and an embedding of each object; every tenth has none."""
    run = RunLayout(str(tmp_path_factory.mktemp("linked") / "run"))
    info = make_info(rows_per_partition=150)
    context = replace(info.context, embedding_size=SIZE)
    rng = np.random.default_rng(0)
    rows = manifest_rows(sky_positions(OBJECTS), 0)
    flags = np.where(np.arange(OBJECTS) % 10 == 0, int(Flag.UNREADABLE), 0).astype(np.int32)
    p = rng.dirichlet(np.ones(3), (OBJECTS, 2)).astype(np.float32)
    features = rng.normal(size=(OBJECTS, SIZE)).astype(np.float32)
    p[flags != 0], features[flags != 0] = np.nan, np.nan
    said = Predictions(p, np.repeat(flags[:, None], 2, axis=1), features=features)
    for kind in ("morphology", "embedding"):
        path = Path(run.part(kind, 0))
        path.parent.mkdir(parents=True)
        pq.write_table(load_kind(kind).finalize(context, rows, said), path)
    extension = ("embedding", replace(info, context=context))
    return assemble(run, "morphology", 1, info, run.catalog("toy", "morphology"), [extension])


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with dask.config.set(scheduler="sync"):
        yield


def inner(catalog: AssembledCatalog) -> str:
    return f"{catalog.uri}/toy_embedding"


def test_both_collections_pass_every_check(catalog: AssembledCatalog) -> None:
    for uri in (catalog.uri, inner(catalog)):
        report = verify(uri)
        assert report.passed, report.failures
    linked = next(c for c in verify(catalog.uri).checks if c.name == "extensions linked")
    assert linked.found == f"embedding: one row for each of {OBJECTS} objects"


def test_the_extension_joins_every_row_without_a_null(catalog: AssembledCatalog) -> None:
    opened = lsdb.open_catalog(catalog.uri)
    joined = opened.load_extension("embedding").compute()
    assert len(joined) == 2 * OBJECTS
    vectors = joined["embedding"].tolist()
    assert {len(vector) for vector in vectors} == {SIZE}
    known = np.isfinite(np.array(vectors)).all(axis=1)
    np.testing.assert_array_equal(known, joined["has_prediction"].to_numpy())


def test_astropy_reads_embeddings_with_their_shape(catalog: AssembledCatalog) -> None:
    path = next(Path(inner(catalog)).rglob("Npix=*.parquet"))
    table = Table.read(path, format="parquet.votable")
    assert np.stack(table["embedding"]).shape[1] == SIZE


def test_a_flipped_byte_of_an_extension_is_named(catalog: AssembledCatalog, tmp_path: Path) -> None:
    copy = copied(catalog, tmp_path)
    path = next((copy / "toy_embedding").rglob("Npix=*.parquet"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    (failure,) = [c for c in verify(str(copy)).checks if c.name == "hashes"]
    assert path.name in failure.found


def test_an_extension_that_lacks_objects_is_found(
    catalog: AssembledCatalog, tmp_path: Path
) -> None:
    copy = copied(catalog, tmp_path)
    next((copy / "toy_embedding/toy_embedding").rglob("Npix=*.parquet")).unlink()
    failed = {check.name: check.found for check in verify(str(copy)).failures}
    assert "not one for each object" in failed["extensions linked"]


def copied(catalog: AssembledCatalog, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(catalog.uri, tmp_path / "toy_morphology"))
