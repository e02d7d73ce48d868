"""Cutouts from large images."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from catalogtool.errors import LabelError
from catalogtool.flags import FATAL, Flag
from catalogtool.hosts.sky import Orientation
from catalogtool.inputs.mosaics import Format
from catalogtool.surveys import load_survey
from catalogtool.surveys._definition import Survey

SIZE = 40


def survey() -> Survey:
    mock = load_survey("mock_hosts")
    source = mock.input.model_copy(
        update={"format": "mosaics", "id_pattern": r"(?P<object_id>.+?)", "id_column": "name"}
    )
    return mock.model_copy(update={"cutout_size_pix": SIZE, "input": source, "host_field": None})


def wcs_of(ra: float, dec: float, side: int, angle: float = 0.0) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [side / 2, side / 2]
    scale = 0.25 / 3600
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    wcs.wcs.cd = scale * np.array([[-cosine, sine], [sine, cosine]])
    return wcs


def write_mosaic(path: Path, wcs: WCS, side: int, *, compressed: bool = False) -> np.ndarray:
    pixels = np.random.default_rng(len(path.name)).normal(size=(side, side)).astype(np.float32)
    header = wcs.to_header()
    if compressed:
        hdu = fits.CompImageHDU(pixels, header, compression_type="GZIP_2", quantize_level=0)
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    else:
        fits.PrimaryHDU(pixels, header).writeto(path)
    return pixels


def write_positions(path: Path, rows: list[dict[str, object]]) -> str:
    pyarrow.csv.write_csv(pa.Table.from_pylist(rows), path)
    return str(path)


def positions(wcs: WCS, pixels: list[tuple[float, float]]) -> list[dict[str, object]]:
    found = [wcs.all_pix2world(x, y, 0) for x, y in pixels]
    return [
        {"name": f"t{index}", "ra": float(ra), "dec": float(dec)}
        for index, (ra, dec) in enumerate(found)
    ]


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
def test_cutouts_are_the_pixels_around_each_position(tmp_path: Path, compressed: bool) -> None:  # noqa: FBT001
    wcs = wcs_of(150, 2, 300)
    (tmp_path / "sky").mkdir()
    image = write_mosaic(tmp_path / "sky/a.fits", wcs, 300, compressed=compressed)
    table = write_positions(
        tmp_path / "t.csv", positions(wcs, [(100, 150), (33.3, 70.6), (5, 150)])
    )
    source = Format(survey(), str(tmp_path / "sky"), table)
    rows = pa.concat_tables(source.list_objects())
    assert rows.column("source_id").to_pylist() == ["t0", "t1", "t2"]
    cutouts = source.read(rows)
    np.testing.assert_array_equal(cutouts.images[0, 0], image[130:170, 80:120])
    np.testing.assert_array_equal(cutouts.images[1, 0], image[51:91, 13:53])
    assert not cutouts.flags[:2].any()
    assert cutouts.flags[2, 0] == Flag.PADDED | Flag.PARTLY_MASKED
    assert cutouts.mask[2, 0, :, :15].all()
    np.testing.assert_array_equal(cutouts.images[2, 0, :, 15:], image[130:170, 0:25])


def test_facts_say_how_a_turned_mosaic_lies_on_the_sky(tmp_path: Path) -> None:
    wcs = wcs_of(150, 2, 200, angle=30)
    (tmp_path / "sky").mkdir()
    write_mosaic(tmp_path / "sky/a.fits", wcs, 200)
    table = write_positions(tmp_path / "t.csv", positions(wcs, [(100, 100)]))
    source = Format(survey(), str(tmp_path / "sky"), table)
    rows = next(iter(source.list_objects()))
    orientation = Orientation.of(source.read(rows).facts, 1, 0.25)
    from astropy.coordinates import SkyCoord

    here, there = (
        SkyCoord(*wcs.all_pix2world(x, y, 0), unit="deg") for x, y in ((100, 100), (112, 95))
    )
    east, north = here.spherical_offsets_to(there)
    found = orientation.offsets_arcsec(np.array([[12.0, -5.0]]))[0]
    np.testing.assert_allclose(found, (east.arcsec, north.arcsec), atol=1e-3)


def test_an_object_in_two_mosaics_gets_the_one_in_which_it_is_deeper(tmp_path: Path) -> None:
    (tmp_path / "sky").mkdir()
    left, right = wcs_of(150, 0, 200), wcs_of(150 - 30 / 3600, 0, 200)
    write_mosaic(tmp_path / "sky/left.fits", left, 200)
    write_mosaic(tmp_path / "sky/right.fits", right, 200)
    table = write_positions(tmp_path / "t.csv", positions(left, [(100, 100), (190, 100)]))
    rows = next(iter(Format(survey(), str(tmp_path / "sky"), table).list_objects()))
    names = [uris[0].rsplit("/", 1)[-1] for uris in rows.column("uris").to_pylist()]
    assert names == ["left.fits", "right.fits"]


def test_hosts_of_the_table_reach_the_facts(tmp_path: Path) -> None:
    wcs = wcs_of(150, 2, 200)
    (tmp_path / "sky").mkdir()
    write_mosaic(tmp_path / "sky/a.fits", wcs, 200)
    known, hostless = positions(wcs, [(100, 100), (90, 90)])
    known |= {"host_ra": 150.001, "host_dec": 2.0, "is_hostless": False}
    hostless |= {"host_ra": None, "host_dec": None, "is_hostless": True}
    table = write_positions(tmp_path / "t.csv", [known, hostless])
    source = Format(survey(), str(tmp_path / "sky"), table)
    facts = source.read(next(iter(source.list_objects()))).facts
    assert facts is not None
    assert facts.column("host_ra").to_pylist() == [150.001, None]
    assert facts.column("is_hostless").to_pylist() == [False, True]


def test_mosaics_without_positions_say_what_to_give(tmp_path: Path) -> None:
    write_mosaic(tmp_path / "a.fits", wcs_of(150, 2, 60), 60)
    with pytest.raises(LabelError, match=r"--labels .* name, ra and dec"):
        list(Format(survey(), str(tmp_path)).list_objects())


def test_a_hundred_damaged_inputs_are_flagged_rows_and_none_is_lost(tmp_path: Path) -> None:
    wcs = wcs_of(150, 2, 400)
    sky = tmp_path / "sky"
    sky.mkdir()
    image = np.random.default_rng(0).normal(size=(400, 400)).astype(np.float32)
    image[:200] = np.nan  # half of it
    image[300:, 200:] = 0
    fits.PrimaryHDU(image, wcs.to_header()).writeto(sky / "a.fits")
    far = wcs_of(10, -40, 400)
    whole = tmp_path / "whole.fits"
    fits.PrimaryHDU(np.ones((400, 400), np.float32), far.to_header()).writeto(whole)
    (sky / "cut.fits").write_bytes(whole.read_bytes()[:100_000])
    (sky / "broken.fits").write_bytes(b"SIMPLE  = nothing of the kind" * 200)
    rng = np.random.default_rng(1)
    rows: list[dict[str, object]] = []
    for ra, dec in rng.uniform((20, -20), (90, 60), (30, 2)):
        rows.append({"ra": ra, "dec": dec})  # off every mosaic
    rows += positions(wcs, rng.uniform((30, 30), (370, 100), (20, 2)).tolist())  # all NaN
    rows += positions(wcs, rng.uniform((30, 190), (170, 210), (20, 2)).tolist())  # half NaN
    rows += positions(wcs, rng.uniform((230, 330), (370, 370), (20, 2)).tolist())  # all zero
    rows += positions(far, rng.uniform((50, 250), (350, 390), (10, 2)).tolist())  # cut off
    rows = [row | {"name": f"t{index:03d}"} for index, row in enumerate(rows)]
    source = Format(survey(), str(sky), write_positions(tmp_path / "t.csv", rows))
    listed = pa.concat_tables(source.list_objects())
    assert listed.num_rows == 100
    flags = source.read(listed).flags[:, 0]
    assert (flags[:30] == Flag.MISSING_BAND).all()
    assert (flags[30:50] == Flag.NO_VALID_PIXELS).all()
    assert (flags[50:70] & Flag.PARTLY_MASKED != 0).all()
    assert ((flags[50:70] & FATAL) == 0).all()
    assert (flags[70:90] == Flag.NO_SIGNAL).all()
    assert (flags[90:] & FATAL != 0).all()
