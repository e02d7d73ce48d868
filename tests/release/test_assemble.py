import subprocess
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import dask
import lsdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.table import Table
from hats.io.validation import is_valid_collection
from hats_import.verification import run_verification
from hats_import.verification.arguments import VerificationArguments
from mocpy import MOC
from release_samples import make_info, sky_positions

from catalogtool.errors import ReleaseError
from catalogtool.layout import RunLayout
from catalogtool.release.assemble import AssembledCatalog, assemble
from catalogtool.release.voparquet import CONTENT_KEY, VERSION_KEY

OBJECTS = 800
MakeRun = Callable[..., tuple[RunLayout, int]]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture
def catalog(make_run: MakeRun) -> AssembledCatalog:
    run, units = make_run(sky_positions(OBJECTS))
    return assemble(run, "morphology", units, make_info(), run.catalog("toy", "morphology"))


def contents(folder: str) -> dict[str, bytes]:
    root = Path(folder)
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_hats_finds_the_collection_strictly_valid(catalog: AssembledCatalog) -> None:
    assert catalog.rows == 2 * OBJECTS
    assert catalog.partitions > 12
    assert is_valid_collection(catalog.uri, strict=True)


def test_hats_import_finds_the_true_number_of_rows(
    catalog: AssembledCatalog, tmp_path: Path
) -> None:
    arguments = VerificationArguments(
        input_catalog_path=catalog.uri,
        output_path=tmp_path / "verification",
        truth_total_rows=2 * OBJECTS,
        verbose=False,
        check_metadata=True,
    )
    verifier = run_verification.run(arguments)
    assert verifier.all_tests_passed, verifier.results_df.to_string()


def test_lsdb_reads_every_row_and_matches_each_object_with_itself(
    catalog: AssembledCatalog,
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        opened = lsdb.open_catalog(catalog.uri)
        assert opened.margin is not None
        assert len(opened.compute()) == 2 * OBJECTS
        bands = opened.query("band == 'f606w'")
        matched = bands.crossmatch(bands, radius_arcsec=1, suffixes=("_a", "_b")).compute()
    assert len(matched) == OBJECTS
    assert (matched["object_id_a"] == matched["object_id_b"]).all()
    assert not [w for w in caught if "margin" in str(w.message).lower()]


def test_lsdb_finds_rows_in_a_cone(catalog: AssembledCatalog) -> None:
    found = lsdb.open_catalog(catalog.uri).cone_search(45, 0, 600).compute()
    ra, dec = sky_positions(OBJECTS).T
    near = (((ra - 45) * np.cos(np.radians(dec))) ** 2 + dec**2) < (600 / 3600) ** 2
    assert len(found) == 2 * near.sum()


def test_astropy_reads_units_and_nulls(catalog: AssembledCatalog) -> None:
    files = sorted(Path(catalog.uri).rglob("Npix=*.parquet"))
    tables = [Table.read(path, format="parquet.votable") for path in files]
    assert tables[0]["ra"].unit == "deg"
    assert tables[0]["p_disk"].description.startswith("Probability")
    unpredicted = [t["p_disk"][~np.asarray(t["has_prediction"], bool)] for t in tables]
    assert sum(len(values) for values in unpredicted) > 0
    assert all(np.isnan(np.ma.filled(values, np.nan)).all() for values in unpredicted)


def test_every_parquet_file_has_the_votable_header(catalog: AssembledCatalog) -> None:
    files = [*Path(catalog.uri).rglob("*.parquet"), *Path(catalog.uri).rglob("_common_metadata")]
    for path in files:
        assert {VERSION_KEY, CONTENT_KEY} <= pq.read_schema(path).metadata.keys(), path


def test_the_manifest_is_what_sha256sum_reads(catalog: AssembledCatalog) -> None:
    subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "MANIFEST.sha256"],
        cwd=catalog.uri,
        check=True,
    )


def test_the_coverage_of_the_partitions_holds_every_row(catalog: AssembledCatalog) -> None:
    table = Path(catalog.uri) / "toy_morphology"
    pairs = np.loadtxt(table / "partition_info.csv", delimiter=",", skiprows=1, dtype=np.int64)
    coverage = MOC.from_healpix_cells(
        pairs[:, 1].astype(np.uint64), pairs[:, 0].astype(np.uint8), max_depth=10
    )
    skymap = lsdb.open_catalog(catalog.uri).hc_collection.main_catalog
    assert coverage.sky_fraction == pytest.approx(
        float(skymap.catalog_info.moc_sky_fraction), rel=1e-6
    )


def test_the_properties_say_what_was_simulated(catalog: AssembledCatalog) -> None:
    info = lsdb.open_catalog(catalog.uri).hc_collection.main_catalog.catalog_info
    assert info.catalogtool_simulated_pixels == "true"
    assert info.catalogtool_simulated_training == "false"
    assert info.catalogtool_calibration == "none"
    assert info.catalogtool_run_id == "run-1"
    assert info.hats_creation_date == "2026-11-20T12:30Z"
    assert info.obs_description.endswith("Random galaxies, β version; C:\\path = here")


def test_the_same_parts_give_the_same_bytes_and_replace_what_was_there(
    make_run: MakeRun,
) -> None:
    run, units = make_run(sky_positions(300))
    target = run.catalog("toy", "morphology")
    first = assemble(run, "morphology", units, make_info(), target)
    before = contents(target)
    (Path(target) / "stray").write_text("left from an older version")
    scratch = Path(target).with_name(".partial-toy_morphology")
    (scratch / "primary").mkdir(parents=True)
    second = assemble(run, "morphology", units, make_info(), target)
    assert contents(target) == before
    assert first == second
    assert not scratch.exists()


def test_only_properties_know_the_date(make_run: MakeRun) -> None:
    run, units = make_run(sky_positions(100))
    later = replace(make_info(), created=datetime(2027, 1, 1, tzinfo=UTC))
    folders = [str(Path(run.uri) / name / "cat") for name in ("a", "b")]
    for folder, info in zip(folders, (make_info(), later), strict=True):
        assemble(run, "morphology", units, info, folder)
    a, b = map(contents, folders)
    different = {name.rsplit("/", 1)[-1] for name in a if a[name] != b[name]}
    assert different == {"hats.properties", "MANIFEST.sha256"}


def test_rows_without_a_position_go_to_quarantine(make_run: MakeRun) -> None:
    positions = sky_positions(100)
    positions[[3, 50]] = np.nan
    run, units = make_run(positions)
    result = assemble(run, "morphology", units, make_info(), run.catalog("toy", "morphology"))
    assert (result.rows, result.quarantined) == (196, 4)
    quarantined = pq.read_table(run.quarantine("morphology"))
    assert quarantined.column("object_id").to_pylist() == [3, 3, 50, 50]


def test_a_catalog_without_any_position_is_refused(make_run: MakeRun) -> None:
    run, units = make_run(np.full((5, 2), np.nan))
    target = run.catalog("toy", "morphology")
    with pytest.raises(ReleaseError, match="no row of morphology has a position"):
        assemble(run, "morphology", units, make_info(), target)
    assert not Path(target).exists()


def test_parts_of_another_model_shape_are_refused(make_run: MakeRun) -> None:
    run, units = make_run(sky_positions(10))
    info = make_info()
    other = replace(info, context=replace(info.context, classes=("a", "b")))
    with pytest.raises(ReleaseError, match="columns are not those of morphology"):
        assemble(run, "morphology", units, other, run.catalog("toy", "morphology"))


def test_one_lonely_object_makes_a_catalog_with_an_empty_margin(make_run: MakeRun) -> None:
    run, units = make_run(np.array([[10.0, -89.99]]))
    result = assemble(run, "morphology", units, make_info(), run.catalog("toy", "morphology"))
    assert is_valid_collection(result.uri, strict=True)
    opened = lsdb.open_catalog(result.uri)
    assert len(opened.compute()) == 2
    assert opened.margin is not None


def test_the_wide_kind_has_one_row_per_object(make_run: MakeRun) -> None:
    run, units = make_run(sky_positions(50), kind="morphology_wide")
    target = run.catalog("toy", "morphology_wide")
    result = assemble(run, "morphology_wide", units, make_info(), target)
    assert result.rows == 50
    assert is_valid_collection(result.uri, strict=True)
