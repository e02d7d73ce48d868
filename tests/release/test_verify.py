"""Each way in which a catalog can be wrong is found by the check that is named after it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from release_samples import make_info, make_totals, sky_positions, write_parts

from catalogtool.errors import DataError, VerificationError
from catalogtool.layout import RunLayout
from catalogtool.release.assemble import assemble
from catalogtool.release.verify import VerificationReport, verify

OBJECTS = 600


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = RunLayout(str(tmp_path_factory.mktemp("verify") / "run"))
    units = write_parts(run, "morphology", sky_positions(OBJECTS))
    target = run.catalog("toy", "morphology")
    return Path(assemble(run, "morphology", units, make_info(), target).uri)


@pytest.fixture
def catalog(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "toy_morphology"))


def failed(folder: Path, rows: int = 2 * OBJECTS) -> set[str]:
    report: VerificationReport = verify(str(folder), make_totals(rows))
    return {check.name for check in report.failures}


def partitions(catalog: Path, table: str = "toy_morphology") -> list[Path]:
    files = (catalog / table / "dataset").rglob("Npix=*.parquet")
    return sorted(files, key=lambda path: (-pq.read_metadata(path).num_rows, path))


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    table = pq.ParquetFile(path).read()
    changed = change(table).replace_schema_metadata(table.schema.metadata)
    pq.write_table(changed.cast(table.schema), path)


def set_first(table: pa.Table, column: str, value: object) -> pa.Table:
    values = table.column(column).to_pylist()
    values[0] = value
    index = table.schema.get_field_index(column)
    field = table.schema.field(column)
    return table.set_column(index, field, pa.array(values, field.type))


def test_a_good_catalog_passes_every_check(catalog: Path) -> None:
    report = verify(str(catalog), make_totals(2 * OBJECTS, unplaced=3))
    assert report.passed, report.failures
    assert len({check.name for check in report.checks}) == len(report.checks) >= 14
    report.raise_for_failures()


def test_a_flipped_byte_is_found(catalog: Path) -> None:
    path = partitions(catalog)[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    assert "hashes" in failed(catalog)


@pytest.mark.parametrize("table", ["toy_morphology", "toy_morphology_margin"])
def test_a_damaged_file_is_found_and_the_others_are_still_read(catalog: Path, table: str) -> None:
    partitions(catalog, table)[0].write_bytes(b"not parquet")
    found = failed(catalog)
    assert "hashes" in found
    assert found & {"files readable", "margin complete and correct"}


def test_two_swapped_files_are_found(catalog: Path) -> None:
    first, second = partitions(catalog)[:2]
    scratch = first.with_name("scratch")
    first.rename(scratch)
    second.rename(first)
    scratch.rename(second)
    assert {"hashes", "rows in their pixel"} <= failed(catalog)


def test_a_false_row_count_is_found(catalog: Path) -> None:
    path = catalog / "toy_morphology" / "hats.properties"
    text = path.read_text().replace(f"hats_nrows={2 * OBJECTS}", "hats_nrows=999999")
    path.write_text(text)
    assert "row counts" in failed(catalog)


def test_a_ledger_that_disagrees_is_found(catalog: Path) -> None:
    assert failed(catalog, rows=2 * OBJECTS + 1) == {"row counts"}


def test_a_doubled_row_is_found(catalog: Path) -> None:
    rewrite(partitions(catalog)[0], lambda t: pa.concat_tables([t.slice(0, 1), t]))
    assert {"keys unique", "row counts"} <= failed(catalog)


def test_an_id_that_is_used_twice_in_different_files_is_found(catalog: Path) -> None:
    first, second = partitions(catalog)[:2]
    other = pq.ParquetFile(second).read().slice(0, 1).to_pylist()[0]

    def steal(table: pa.Table) -> pa.Table:
        return set_first(set_first(table, "object_id", other["object_id"]), "band", other["band"])

    rewrite(first, steal)
    assert "keys unique" in failed(catalog)


def test_an_unsorted_file_is_found(catalog: Path) -> None:
    def reverse(table: pa.Table) -> pa.Table:
        return table.take(pa.array(np.arange(table.num_rows)[::-1]))

    rewrite(partitions(catalog)[0], reverse)
    found = failed(catalog)
    assert "rows sorted" in found
    assert "rows in their pixel" not in found


def test_a_cell_that_is_not_that_of_the_position_is_found(catalog: Path) -> None:
    rewrite(
        partitions(catalog)[0],
        lambda t: t.set_column(0, t.schema.field(0), pc.add(t.column(0), 1)),
    )
    assert "healpix recomputed" in failed(catalog)


@pytest.mark.parametrize("value", [0.9999, None, -0.5])
def test_probabilities_that_do_not_sum_to_one_are_found(catalog: Path, value: float | None) -> None:
    def spoil(table: pa.Table) -> pa.Table:
        good = table.filter(table.column("has_prediction"))
        return pa.concat_tables(
            [set_first(good, "p_disk", value), table.filter(pc.invert(table["has_prediction"]))]
        )

    rewrite(partitions(catalog)[0], spoil)
    assert "probabilities" in failed(catalog)


def test_a_prediction_despite_a_fatal_flag_is_found(catalog: Path) -> None:
    def flag(table: pa.Table) -> pa.Table:
        good = table.filter(table.column("has_prediction"))
        return set_first(good, "flags", 1)

    rewrite(partitions(catalog)[0], flag)
    assert "probabilities" in failed(catalog)


def test_a_missing_margin_row_is_found(catalog: Path) -> None:
    rewrite(partitions(catalog, "toy_morphology_margin")[0], lambda t: t.slice(1))
    assert {"margin complete and correct", "margin row counts"} <= failed(catalog)


def test_a_missing_file_is_found(catalog: Path) -> None:
    partitions(catalog)[0].unlink()
    assert {"hats strict", "hashes", "partitions listed", "row counts"} <= failed(catalog)


def test_an_extra_file_is_found(catalog: Path) -> None:
    (catalog / "toy_morphology" / "notes.txt").write_text("hello")
    assert failed(catalog) == {"hashes"}


def test_another_schema_is_found(catalog: Path) -> None:
    path = partitions(catalog)[0]
    pq.write_table(pq.ParquetFile(path).read().drop_columns(["entropy"]), path)
    assert "schemas equal" in failed(catalog)


def test_a_missing_votable_header_is_found(catalog: Path) -> None:
    path = catalog / "toy_morphology" / "dataset" / "_common_metadata"
    pq.write_metadata(pq.read_schema(path).remove_metadata(), path)
    assert "voparquet metadata" in failed(catalog)


def test_a_missing_property_is_found(catalog: Path) -> None:
    path = catalog / "toy_morphology" / "hats.properties"
    lines = [line for line in path.read_text().splitlines() if "run_id" not in line]
    path.write_text("\n".join(lines))
    assert "properties complete" in failed(catalog)


@pytest.mark.parametrize("name", ["collection.properties", "MANIFEST.sha256"])
def test_a_missing_head_is_a_failure_and_no_error(catalog: Path, name: str) -> None:
    (catalog / name).unlink()
    assert "hashes" in failed(catalog)


def test_failures_raise_with_every_failed_check(catalog: Path) -> None:
    partitions(catalog)[0].unlink()
    with pytest.raises(VerificationError, match="partitions listed") as caught:
        verify(str(catalog)).raise_for_failures()
    assert caught.value.exit_code == 5
    assert "hashes" in caught.value.context["failed"]


def test_a_folder_without_a_catalog_is_no_bad_catalog(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing of a catalog")
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match="holds no catalog"):
            verify(str(folder))
