"""The manifest tells its counts without its rows, and is written without holding them."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from input_samples import small_survey

from catalogtool import storage
from catalogtool.errors import ManifestError
from catalogtool.flags import Flag
from catalogtool.inputs._base import MANIFEST_SCHEMA, Cutouts
from catalogtool.inputs._base import Format as BaseFormat
from catalogtool.inputs.manifest import Manifest, build_manifest


class ListedFormat(BaseFormat):
    """Objects by number; yields tables of a given size."""

    ids = tuple(range(100))
    rows_per_table = 7

    @staticmethod
    def recognises(uri: str) -> bool:
        return bool(uri)

    def list_objects(self) -> Iterator[pa.Table]:
        for start in range(0, len(self.ids), self.rows_per_table):
            yield pa.Table.from_pylist(
                [row_of(n) for n in self.ids[start : start + self.rows_per_table]],
                schema=MANIFEST_SCHEMA,
            )

    def read(self, rows: pa.Table) -> Cutouts:
        return self.empty_cutouts(rows.num_rows)


def row_of(number: int) -> dict[str, object]:
    placed = number % 10 != 0
    return {
        "object_id": number,
        "source_id": f"n{number}",
        "ra": float(number) if placed else None,
        "dec": 0.0 if placed else None,
        "flags": 0 if placed else int(Flag.NO_POSITION),
        "uris": [f"s3://bucket/{number}.fits"],
        "row": 0,
        "identity": "e",
        "votes": [1.0, float("nan"), 0.0] if 40 <= number < 44 else None,
        "split": "",
    }


def build(folder: Path | str, unit_objects: int = 16, **changes: object) -> Manifest:
    source = ListedFormat(small_survey(), "somewhere")
    for name, value in changes.items():
        setattr(source, name, value)
    return build_manifest(source, str(folder), unit_objects)


def test_units_hold_all_rows_in_order(tmp_path: Path) -> None:
    manifest = build(tmp_path)
    rows = pa.concat_tables(manifest.iter_units())
    assert rows.column("object_id").to_pylist() == list(range(100))
    assert (manifest.objects, manifest.units) == (100, 7)
    assert manifest.read_unit(6).num_rows == 4
    assert manifest.read_unit(3).equals(rows.slice(48, 16).combine_chunks())


def test_the_footer_counts_positions_and_labels(tmp_path: Path) -> None:
    manifest = build(tmp_path)
    assert (manifest.unplaced, manifest.labelled, manifest.labelled_units) == (10, 4, [2])


def test_the_same_rows_make_the_same_file(tmp_path: Path) -> None:
    first, second = build(tmp_path / "a"), build(tmp_path / "b")
    assert first.identity == second.identity
    assert Path(first.uri).read_bytes() == Path(second.uri).read_bytes()
    assert build(tmp_path / "c", unit_objects=8).identity != first.identity
    assert [path.name for path in (tmp_path / "a").iterdir()] == [Path(first.uri).name]


def test_ids_that_occur_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"2 object ids occur more than once \(3, 5\); ids"):
        build(tmp_path, ids=(5, 1, 3, 5, 2, 3, 5))
    with pytest.raises(ManifestError, match="holds no objects"):
        build(tmp_path, ids=())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.s3
def test_a_manifest_in_object_storage_is_the_same(tmp_path: Path, s3_bucket: str) -> None:
    local, remote = build(tmp_path), build(f"{s3_bucket}/manifests")
    assert remote.identity == local.identity
    assert storage.read_bytes(remote.uri) == Path(local.uri).read_bytes()
    assert (remote.unplaced, remote.labelled_units) == (10, [2])
    assert remote.read_unit(3).equals(local.read_unit(3))
    with storage.open_input(remote.uri) as source:
        assert pq.ParquetFile(source).metadata.num_rows == 100
