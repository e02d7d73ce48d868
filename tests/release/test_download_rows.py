"""A selection transfers the partitions it touches and gives the rows that are asked for."""

import json
import shutil
from pathlib import Path

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits, votable
from astropy.table import Table
from publish_samples import NAME, Shape, make_committed_run, publish_run

from catalogtool.errors import ConfigError, UnknownNameError, VerificationError
from catalogtool.progress import Progress
from catalogtool.release._selection import Selection, parse_selection
from catalogtool.release._table_files import write_table
from catalogtool.release.download import Downloaded, Release, download_rows, find_release
from catalogtool.release.releases import ReleasesLayout
from catalogtool.release.voparquet import CONTENT_KEY

COLUMNS = "object_id,ra,dec,p_disk,predicted_class,has_prediction"
SMALL_DOCUMENTS = ("README.md", "card.json", "CITATION.cff", "LICENSE.txt", "provenance.json")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    run = make_committed_run(folder / "output", Shape(objects=400, rows_per_partition=60))
    publish_run(run, str(folder / "releases"))
    return folder / "releases"


def find(releases: Path) -> Release:
    return find_release(ReleasesLayout(str(releases)), NAME)


def select(releases: Path, target: Path, **texts: str) -> Downloaded:
    wanted = {"columns": None, "cone": None, "where": None, "form": None, **texts}
    selection = parse_selection(**wanted)
    assert selection is not None
    return download_rows(find(releases), selection, target, Progress())


def all_rows(releases: Path) -> pa.Table:
    release = find(releases)
    paths = [Path(release.uri) / f.path for f in Selection().partitions(release.files.partitions)]
    return pa.concat_tables([pq.read_table(path, partitioning=None) for path in paths])


def within(rows: pa.Table, ra: float, dec: float, radius: u.Quantity) -> np.ndarray:
    places = SkyCoord(rows["ra"].to_numpy(), rows["dec"].to_numpy(), unit="deg")
    mask: np.ndarray = SkyCoord(ra, dec, unit="deg").separation(places) <= radius
    return mask


@pytest.mark.parametrize(
    ("cone", "radius"),
    [
        ((45, 0), 3 * u.arcmin),
        ((45, 0), 20 * u.deg),
        ((0, 90), 30 * u.deg),
        ((359.9, -41.8), 40 * u.deg),
        ((10, 10), 179 * u.deg),
        ((200, 80), 1 * u.arcsec),
    ],
)
def test_a_cone_gives_exactly_the_rows_inside(
    published: Path, tmp_path: Path, cone: tuple[float, float], radius: u.Quantity
) -> None:
    done = select(published, tmp_path, cone=f"{cone[0]},{cone[1]},{radius}")
    rows = all_rows(published)
    expected = rows.filter(pa.array(within(rows, *cone, radius)))
    assert pq.read_table(done.path).equals(expected)
    assert done.rows == expected.num_rows


def test_a_cone_transfers_only_the_partitions_it_touches(published: Path, tmp_path: Path) -> None:
    releases = Path(shutil.copytree(published, tmp_path / "releases"))
    release = find(releases)
    cone = Selection(cone=parse_selection(None, "45,0.02,1 arcmin", None, None).cone)
    touched = cone.partitions(release.files.partitions)
    assert 0 < len(touched) < len(release.files.partitions) / 4
    for file in release.files.files:
        kept = file in touched or file.path in SMALL_DOCUMENTS or "_common_meta" in file.path
        if not kept:
            (Path(release.uri) / file.path).unlink()
    done = select(releases, tmp_path / "got", cone="45,0.02,1 arcmin")
    documents = [f for f in release.files.documents if f.path in SMALL_DOCUMENTS]
    assert done.bytes_received == sum(f.size_bytes for f in (*touched, *documents))


def test_columns_and_condition_choose_from_all_rows(published: Path, tmp_path: Path) -> None:
    where = "p_disk > 0.5 and band == 'f606w'"
    done = select(published, tmp_path, columns="predicted_class, object_id", where=where)
    got = pq.read_table(done.path)
    assert got.column_names == ["predicted_class", "object_id"]
    rows = all_rows(published).to_pylist()
    wanted = [r for r in rows if (r["p_disk"] or 0) > 0.5 and r["band"] == "f606w"]
    assert got["object_id"].to_pylist() == [r["object_id"] for r in wanted]
    content = pq.read_schema(done.path).metadata[CONTENT_KEY]
    assert content.count(b"<FIELD") == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [done.path.name, *(f"{NAME}-2026.1.{name}" for name in SMALL_DOCUMENTS)]
    )


@pytest.mark.parametrize("form", ["parquet", "fits", "votable"])
def test_tables_read_back_in_astropy_with_units_and_the_same_values(
    published: Path, tmp_path: Path, form: str
) -> None:
    done = select(published, tmp_path, columns=COLUMNS, form=form)
    reader = {"parquet": "parquet.votable"}.get(form, form)
    table = Table.read(done.path, format=reader)
    rows = all_rows(published).select(COLUMNS.split(","))
    assert table.colnames == rows.column_names
    assert table["ra"].unit == table["dec"].unit == u.deg
    assert table["p_disk"].dtype.newbyteorder("=") == np.float32
    np.testing.assert_array_equal(table["object_id"], rows["object_id"].to_numpy())
    np.testing.assert_array_equal(table["ra"], rows["ra"].to_numpy())
    p_disk = np.ma.filled(np.ma.asarray(table["p_disk"]), np.nan)
    np.testing.assert_array_equal(p_disk, rows["p_disk"].to_numpy())
    names = np.ma.filled(np.ma.asarray(table["predicted_class"]).astype(str), "")
    assert names.tolist() == rows["predicted_class"].to_pylist()
    good = [bool(value) for value in table["has_prediction"]]
    assert good == rows["has_prediction"].to_pylist()


def test_fits_and_votable_carry_ucds_and_descriptions(published: Path, tmp_path: Path) -> None:
    header = fits.getheader(select(published, tmp_path, form="fits", columns=COLUMNS).path, 1)
    assert header["TUCD2"] == "pos.eq.ra;meta.main"
    assert header["TUNIT2"] == "deg"
    assert header["TCOMM2"] == "Right ascension, ICRS"
    path = select(published, tmp_path, form="votable", columns=COLUMNS).path
    field = votable.parse(str(path), verify="exception").get_first_table().fields[1]
    assert (field.ucd, field.unit) == ("pos.eq.ra;meta.main", u.deg)
    assert field.description == "Right ascension, ICRS"


def test_csv_reads_back_with_the_same_values(published: Path, tmp_path: Path) -> None:
    done = select(published, tmp_path, form="csv", columns=COLUMNS, where="p_disk is not null")
    got = pyarrow.csv.read_csv(done.path)
    rows = all_rows(published).select(COLUMNS.split(","))
    rows = rows.filter(rows["p_disk"].is_valid())
    assert got.column_names == rows.column_names
    assert got.cast(rows.schema).equals(rows)


@pytest.mark.parametrize("form", ["parquet", "fits", "votable", "csv"])
def test_an_empty_selection_is_an_empty_table_with_all_columns(
    published: Path, tmp_path: Path, form: str
) -> None:
    done = select(published, tmp_path, form=form, where="p_disk > 2")
    assert done.rows == 0
    table = pq.read_table(done.path) if form == "parquet" else Table.read(done.path, format=form)
    assert len(table) == 0
    names = table.column_names if form == "parquet" else table.colnames
    assert names == all_rows(published).column_names


@pytest.mark.parametrize("form", ["fits", "votable"])
def test_lists_and_letters_beyond_ascii_survive(tmp_path: Path, form: str) -> None:
    document = (
        b'<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>'
        b'<FIELD name="name" datatype="char" arraysize="9*" ucd="meta.id"/>'
        b'<FIELD name="embedding" datatype="float" arraysize="2" ucd="meta.code"/>'
        b"</TABLE></RESOURCE></VOTABLE>"
    )
    columns = [pa.field("name", pa.string()), pa.field("embedding", pa.list_(pa.float32(), 2))]
    schema = pa.schema(columns).with_metadata({CONTENT_KEY: document})
    values = {"name": ["Čapek", "b"], "embedding": [[1, 2], [3, 4]]}
    rows = pa.Table.from_pydict(values, schema=schema)
    path = tmp_path / "table"
    assert write_table(path, form, schema, iter([rows])) == 2  # type: ignore[arg-type]
    table = Table.read(path, format=form)
    assert table["name"][0] == {"fits": "\\u010capek", "votable": "Čapek"}[form]
    np.testing.assert_array_equal(table["embedding"], [[1, 2], [3, 4]])
    with pytest.raises(ConfigError, match="CSV cannot hold the column embedding"):
        write_table(path, "csv", schema, iter([rows]))


def test_unknown_columns_are_refused_before_anything_is_fetched(
    published: Path, tmp_path: Path
) -> None:
    with pytest.raises(UnknownNameError, match=r"'p_dsk'.*Did you mean 'p_disk'\?"):
        select(published, tmp_path / "got", columns="ra,p_dsk")
    with pytest.raises(UnknownNameError, match=r"'flag'.*Did you mean 'flags'\?"):
        select(published, tmp_path / "got", where="flag == 0")
    assert not (tmp_path / "got").exists()


def test_a_damaged_partition_ends_a_selection_and_the_next_one_goes_on(
    published: Path, tmp_path: Path
) -> None:
    releases = Path(shutil.copytree(published, tmp_path / "releases"))
    release = find(releases)
    victim = Path(release.uri) / release.files.partitions[0].path
    good = victim.read_bytes()
    victim.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(VerificationError, match=victim.name):
        select(releases, tmp_path / "got", form="csv")
    assert not list((tmp_path / "got").glob("*.csv"))
    victim.write_bytes(good)
    done = select(releases, tmp_path / "got", form="csv")
    assert done.bytes_received == len(good)
    assert json.dumps(done.to_json())


def test_asking_for_nothing_in_particular_is_no_selection() -> None:
    assert parse_selection(None, None, None, None) is None
