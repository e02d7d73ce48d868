"""Real FITS cutouts, as archives and groups hand them out, to verified catalogs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from astropy.wcs import WCS
from small_survey import write_survey

from catalogtool.flags import FATAL, Flag
from catalogtool.release.verify import verify

pytestmark = [
    pytest.mark.data,
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(300),
]


def write_surveys(folder: Path) -> None:
    """Three surveys of equal classes: one simulated, and two that learn from it."""
    columns = {"ra_column": "ra_deg", "dec_column": "dec_deg", "id_column": "ID"}
    shape = {"size_pix": 80, "objects": 120, "kinds": ["morphology"], **columns}
    simulated = write_survey(folder, "simulated", "simulated", ("f160w",), **shape)
    write_survey(folder, "candels", str(simulated), ("f160w",), **shape)
    hst = shape | {"pixel_scale": "0.05 arcsec", "id_column": "file"}
    write_survey(folder, "cl1216", str(simulated), ("f814w",), **hst)


def produce(*words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "catalogtool", "produce", "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


def rows_of(outcome: dict[str, Any], survey: str) -> list[dict[str, Any]]:
    catalog = dict(outcome["places"])["catalog morphology"]
    assert verify(catalog).passed
    files = sorted(Path(catalog, f"{survey}_morphology/dataset").rglob("N*.parquet"))
    rows: list[dict[str, Any]] = pq.ParquetDataset(files).read().to_pylist()
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Survey files and one output folder: the second catalog reuses the model of the first."""
    folder = tmp_path_factory.mktemp("real_fits")
    write_surveys(folder)
    return folder


def write_positions(labels: Path, positions: Path) -> None:
    """Right ascension and declination of the mosaic positions, as a tangent plane."""
    table = pyarrow.csv.read_csv(labels)
    plane = WCS(naxis=2)
    plane.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    plane.wcs.crval = [184.188, -12.021]
    plane.wcs.crpix = [5000, 5000]
    plane.wcs.cdelt = [-0.05 / 3600, 0.05 / 3600]
    ra, dec = plane.all_pix2world(table["x_center"], table["y_center"], 1)
    places = pa.table({"file": table["file"], "ra_deg": ra, "dec_deg": dec})
    pyarrow.csv.write_csv(places, positions)


def test_candels_cutouts_with_wcs_and_votes_become_a_verified_catalog(
    folder: Path, data_folder: Path
) -> None:
    data = data_folder / "galaxy-candels-clash"
    outcome = produce(
        *("--survey", f"{folder}/candels.toml", "--output", f"{folder}/out"),
        *("--input", f"{data}/candels_fits", "--labels", f"{data}/candels_fits_index.csv"),
    )
    assert outcome["counts"] == [["morphology", 18, 0, 0]]
    assert outcome["remarks"][0].startswith("Mean per-sample RMSE on 18 labels that no training")
    rows = rows_of(outcome, "candels")
    index = pyarrow.csv.read_csv(data / "candels_fits_index.csv").to_pylist()
    expected = {row["ID"]: (row["ra_deg"], row["dec_deg"]) for row in index}
    assert {row["source_id"] for row in rows} == set(expected)
    for row in rows:
        assert (row["ra"], row["dec"]) == pytest.approx(expected[row["source_id"]], abs=3e-5)
        assert row["flags"] & FATAL == 0
        assert row["flags"] & Flag.RESAMPLED  # 84 pixels to 80


def test_hst_cutouts_with_positions_from_a_table_become_a_verified_catalog(
    folder: Path, data_folder: Path
) -> None:
    data = data_folder / "galaxy-hst-hubble-types"
    write_positions(data / "labels.csv", folder / "positions.csv")
    outcome = produce(
        *("--survey", f"{folder}/cl1216.toml", "--output", f"{folder}/out"),
        *("--input", f"{data}/fits", "--labels", f"{folder}/positions.csv"),
    )
    assert outcome["counts"] == [["morphology", 38, 0, 0]]
    rows = rows_of(outcome, "cl1216")
    assert len({row["source_id"] for row in rows}) == 38
    for row in rows:
        assert (row["ra"], row["dec"]) == pytest.approx((184.188, -12.021), abs=0.2)
        assert row["flags"] & FATAL == 0
        assert row["has_prediction"]
