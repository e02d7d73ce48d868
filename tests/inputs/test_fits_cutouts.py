import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from fault_proxy import FaultProxy
from input_samples import PER_BAND, SIZE_PIX, listed, pixels, small_survey, tan_header, write_fits

from catalogtool.errors import LabelError, ManifestError
from catalogtool.flags import Flag
from catalogtool.inputs import _fits, open_input_format
from catalogtool.inputs._base import Cutouts
from catalogtool.inputs.fits_cutouts import Format
from catalogtool.surveys import load_survey

BAND_PATTERN = r"(?P<field>[a-z]+)_(?P<band>[gr])_(?P<number>\d+)"


def read_all(source: Format) -> Cutouts:
    return source.read(listed(source))


def test_bands_are_found_by_the_names_of_extensions(tmp_path: Path) -> None:
    g, r = pixels(1), pixels(2)
    write_fits(tmp_path / "a.fits", {"R": r, "SEGMAP": np.ones((4, 4), np.int32), "G": g})
    cutouts = read_all(Format(small_survey(), str(tmp_path)))
    np.testing.assert_array_equal(cutouts.images[0], [g, r])
    assert not cutouts.mask.any()
    assert not cutouts.flags.any()
    assert cutouts.images.dtype == np.float32


def test_a_file_per_band_is_found_by_its_name(tmp_path: Path) -> None:
    g, r = pixels(1), pixels(2)
    fits.writeto(tmp_path / "x_g_1.fits", g)
    fits.writeto(tmp_path / "x_r_1.fits", r)
    fits.writeto(tmp_path / "x_r_2.fits", r)
    source = Format(small_survey(id_pattern=BAND_PATTERN), str(tmp_path))
    rows = listed(source)
    assert rows.column("source_id").to_pylist() == ["x_1", "x_2"]
    cutouts = source.read(rows)
    np.testing.assert_array_equal(cutouts.images[0], [g, r])
    assert cutouts.flags.tolist() == [[0, 0], [Flag.MISSING_BAND, 0]]


def test_a_named_extension_may_hold_the_pixels(tmp_path: Path) -> None:
    write_fits(tmp_path / "a.fits", {"OTHER": pixels(1), "SCI": pixels(2)})
    for hdu, seed in (("sci", 2), (None, 1)):
        source = Format(small_survey("g", hdu=hdu), str(tmp_path))
        np.testing.assert_array_equal(read_all(source).images[0, 0], pixels(seed))
    absent = Format(small_survey("g", hdu="WHT"), str(tmp_path))
    assert read_all(absent).flags.tolist() == [[Flag.MISSING_BAND]]


@pytest.mark.parametrize("kind", ["GZIP_1", "GZIP_2", "RICE_1", "gz", "int16"])
def test_every_way_of_storing_pixels_reads_like_astropy(tmp_path: Path, kind: str) -> None:
    image = np.round(100 * pixels(3))
    image[2, 3] = np.nan
    path = tmp_path / ("a.fits.gz" if kind == "gz" else "a.fits.fz")
    if kind == "gz":
        fits.writeto(path, image)
    elif kind == "int16":
        path = tmp_path / "a.fit"
        hdu = fits.PrimaryHDU(np.nan_to_num(image, nan=7).astype(np.int16))
        hdu.header.update(BLANK=7, BSCALE=0.5, BZERO=3.0)
        hdu.writeto(path)
    else:
        hdu = fits.CompImageHDU(image, compression_type=kind, quantize_level=16, name="G")
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    with fits.open(path) as file:
        expected = next(hdu.data for hdu in file if hdu.data is not None)
    cutouts = read_all(Format(small_survey("g"), str(path)))
    valid = ~cutouts.mask[0, 0]
    np.testing.assert_allclose(cutouts.images[0, 0][valid], expected[valid], rtol=1e-6)
    np.testing.assert_array_equal(valid, np.isfinite(expected))
    assert cutouts.flags[0, 0] == Flag.PARTLY_MASKED


@pytest.mark.parametrize("opener", [_fits.open_with_astropy, _fits.open_with_fitsio])
def test_both_libraries_tell_the_same(tmp_path: Path, opener: object) -> None:
    path = tmp_path / "a.fits"
    compressed = fits.CompImageHDU(
        pixels(5)[:12], tan_header(), name="R", compression_type="RICE_1"
    )
    plain = fits.ImageHDU(pixels(4).astype(">f8"), tan_header(), name="G")
    table = fits.BinTableHDU.from_columns([fits.Column("x", "E", array=[1.0])])
    fits.HDUList([fits.PrimaryHDU(), table, plain, compressed]).writeto(path)
    with opener(path.read_bytes()) as images:
        assert images.names == ("g", "r")
        assert [images.shape(image) for image in (0, 1)] == [(16, 16), (12, 16)]
        np.testing.assert_array_equal(images.pixels(0), pixels(4))
        np.testing.assert_allclose(images.pixels(1), pixels(5)[:12], atol=0.2)
        assert _fits.position_of(images.header(0), (16, 16)) == pytest.approx((150, 2))
        assert _fits.position_of(images.header(1), (16, 16)) == pytest.approx((150, 2))
        assert images.primary_header()["SIMPLE"]


def test_without_fitsio_astropy_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_fits(tmp_path / "a.fits", {"G": pixels(1), "R": pixels(2)})
    monkeypatch.setitem(__import__("sys").modules, "fitsio", None)
    _fits._opener.cache_clear()
    assert _fits._opener() is _fits.open_with_astropy
    cutouts = read_all(Format(small_survey(), str(tmp_path)))
    np.testing.assert_array_equal(cutouts.images[0], [pixels(1), pixels(2)])
    _fits._opener.cache_clear()


def test_other_sizes_are_resized_and_said_so(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(32, dtype=np.float32), (24, 1))
    ramp[:, :2] = np.nan
    write_fits(tmp_path / "a.fits", {"G": ramp})
    cutouts = read_all(Format(small_survey("g"), str(tmp_path)))
    assert cutouts.flags[0, 0] == Flag.RESAMPLED | Flag.PARTLY_MASKED
    # Halving a ramp gives the ramp at the centres of pairs of pixels.
    expected = 2 * np.arange(SIZE_PIX) + 0.5
    np.testing.assert_allclose(
        cutouts.images[0, 0, :, 3:-1], np.tile(expected[3:-1], (16, 1)), rtol=1e-5
    )
    np.testing.assert_array_equal(cutouts.mask[0, 0], np.tile(np.arange(16) == 0, (16, 1)))


def test_each_trouble_is_a_flag_of_its_object_alone(tmp_path: Path) -> None:
    troubles = {
        "empty": (b"", Flag.UNREADABLE),
        "noise": (os.urandom(5000), Flag.UNREADABLE),
        "badgz": (b"\x1f\x8b" + os.urandom(500), Flag.UNREADABLE),
    }
    images = {
        "cube": (np.zeros((3, 16, 16), np.float32), Flag.WRONG_SHAPE),
        "line": (np.zeros(16, np.float32), Flag.WRONG_SHAPE),
        "nan": (np.full((16, 16), np.nan, np.float32), Flag.NO_VALID_PIXELS),
        "inf": (np.full((9, 9), np.inf, np.float32), Flag.NO_VALID_PIXELS),
        "flat": (np.ones((16, 16), np.float32), Flag.NO_SIGNAL),
        "good": (pixels(1), Flag(0)),
    }
    for name, (data, _) in troubles.items():
        (tmp_path / f"{name}.fits").write_bytes(data)
    for name, (image, _) in images.items():
        write_fits(tmp_path / f"{name}.fits", {"G": image})
    whole = (tmp_path / "good.fits").read_bytes()
    (tmp_path / "cut.fits").write_bytes(whole[:6000])
    (tmp_path / "cut2.fits.gz").write_bytes(gzip.compress(whole)[:-300])
    write_fits(tmp_path / "gone.fits", {"G": pixels(1)})
    fits.PrimaryHDU().writeto(tmp_path / "nothing.fits")
    expected = {
        **{name: flag for name, (_, flag) in (troubles | images).items()},
        "cut": Flag.UNREADABLE,
        "cut2": Flag.UNREADABLE,
        "gone": Flag.MISSING_FILE,
        "nothing": Flag.MISSING_BAND,
    }
    source = Format(small_survey("g"), str(tmp_path))
    rows = listed(source)
    (tmp_path / "gone.fits").unlink()
    cutouts = source.read(rows)
    found = dict(
        zip(rows.column("source_id").to_pylist(), cutouts.flags[:, 0].tolist(), strict=True)
    )
    assert found == expected
    fatal = cutouts.flags[:, 0] > 0
    assert cutouts.mask[fatal].all()
    assert not cutouts.images[fatal].any()
    alone = source.read(rows.slice(rows.column("source_id").to_pylist().index("good"), 1))
    np.testing.assert_array_equal(alone.images[0, 0], pixels(1))


def test_damaged_compression_does_not_end_the_process(tmp_path: Path) -> None:
    hdu = fits.CompImageHDU(pixels(1), compression_type="RICE_1", name="G")
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "a.fits")
    data = (tmp_path / "a.fits").read_bytes()
    # Read as 0 rows of pixels, over which cfitsio divides.
    whole, damaged = b"ZNAXIS2 =                   16", b"ZNAXIS2 = F                 16"
    assert whole in data
    (tmp_path / "a.fits").write_bytes(data.replace(whole, damaged))
    cutouts = read_all(Format(small_survey("g"), str(tmp_path)))
    assert cutouts.flags[0, 0] != 0


def test_a_header_that_claims_all_memory_is_unreadable(tmp_path: Path) -> None:
    write_fits(tmp_path / "a.fits", {"G": pixels(1)})
    data = (tmp_path / "a.fits").read_bytes()
    for axis in (b"NAXIS1", b"NAXIS2"):
        data = data.replace(axis + b"  =                   16", axis + b"  =          10000000000")
    (tmp_path / "a.fits").write_bytes(data)
    assert read_all(Format(small_survey("g"), str(tmp_path))).flags.tolist() == [[Flag.UNREADABLE]]


def test_positions_come_from_the_wcs_and_else_from_the_table(tmp_path: Path) -> None:
    write_fits(tmp_path / "1.fits", {"G": pixels(1)}, tan_header(10, 20))
    write_fits(tmp_path / "2.fits", {"G": pixels(1)})
    write_fits(tmp_path / "3.fits", {"G": pixels(1)})
    (tmp_path / "4.fits").write_bytes(b"broken")
    table = tmp_path / "where.csv"
    table.write_text("object_id,ra,dec\n1,99,9\n2,30,40\n4,50,60\n")
    rows = listed(Format(small_survey("g"), str(tmp_path), str(table)))
    assert rows.column("ra").to_pylist() == [pytest.approx(10), 30, None, 50]
    assert rows.column("dec").to_pylist() == [pytest.approx(20), 40, None, 60]
    assert rows.column("flags").to_pylist() == [0, 0, Flag.NO_POSITION, 0]


@pytest.mark.parametrize(
    "keys",
    [
        {"CD1_1": -1e-3, "CD1_2": 4e-4, "CD2_1": 3e-4, "CD2_2": 2e-3},
        {"CDELT1": -1e-3, "CDELT2": 1e-3, "PC1_1": 0.8, "PC1_2": -0.6, "PC2_1": 0.6, "PC2_2": 0.8},
        {"CDELT1": -1e-3, "CDELT2": 2e-3, "CROTA2": 30.0},
        {"CDELT1": -1e-3, "CDELT2": 1e-3},
        {"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "CDELT1": -1e-3, "CDELT2": 1e-3},
        {"CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN", "CRVAL1": 5.0, "CDELT1": 1e-3, "CDELT2": 1e-3},
    ],
)
@pytest.mark.parametrize(("ra", "dec"), [(0.01, 0.0), (359.99, 89.5), (123.0, -60.0)])
def test_the_position_is_that_of_astropy(keys: dict[str, float], ra: float, dec: float) -> None:
    from astropy.wcs import WCS

    header = fits.Header()
    header.update(
        {
            "CTYPE1": "RA---TAN",
            "CTYPE2": "DEC--TAN",
            "CRVAL1": ra,
            "CRVAL2": dec,
            "CRPIX1": -300.25,
            "CRPIX2": 517.5,
            **keys,
        }
    )
    shape = (31, 48)
    expected = WCS(header).celestial.all_pix2world([[24.5, 16.0]], 1)[0]
    found = _fits.position_of(header, shape)
    assert found == pytest.approx(tuple(expected), abs=1e-9)


def test_times_come_from_headers_and_else_from_the_table(tmp_path: Path) -> None:
    folder = tmp_path / "cutouts"
    folder.mkdir()
    timed = tan_header()
    timed["MJD-OBS"] = 60000.25
    write_fits(folder / "a.fits", {"G": pixels(1)}, timed)
    primary = fits.PrimaryHDU(header=fits.Header({"EXPSTART": 60001.25}))
    fits.HDUList([primary, fits.ImageHDU(pixels(2), name="G")]).writeto(folder / "b.fits")
    write_fits(folder / "c.fits", {"G": pixels(3)})
    write_fits(folder / "d.fits", {"G": pixels(4)}, tan_header())
    table = tmp_path / "times.csv"
    table.write_text("object_id,ra,dec,when\na,1,2,60009\nb,1,2,\nc,1,2,60002.25\n")
    rows = listed(Format(small_survey(time_column="when"), str(folder), str(table)))
    assert rows.column("observed_mjd").to_pylist() == [60000.25, 60001.25, 60002.25, None]


def test_headers_without_a_sky_have_no_position() -> None:
    assert _fits.position_of({}, (16, 16)) is None
    assert _fits.position_of({"CTYPE1": "RA---TAN"}, (16, 16)) is None


def test_labels_join_per_band(tmp_path: Path) -> None:
    for name in ("x_g_1", "x_r_1", "x_g_2"):
        fits.writeto(tmp_path / f"{name}.fits", pixels(1))
    labels = tmp_path / "labels.csv"
    labels.write_text("object_id,p_round,p_flat,p_odd\nx_r_1,1,0,0\n")
    survey = small_survey(labels=PER_BAND, id_pattern=BAND_PATTERN)
    rows = listed(Format(survey, str(tmp_path), str(labels)))
    first, second = rows.column("votes").to_pylist()
    np.testing.assert_array_equal(first, [np.nan] * 3 + [1, 0, 0])
    assert second is None
    labels.write_text("object_id,p_round,p_flat,p_odd\nx_r_9,1,0,0\n")
    with pytest.raises(LabelError, match="1 of 1 labelled objects are not in the input: x_9"):
        listed(Format(survey, str(tmp_path), str(labels)))


def test_names_that_contradict_the_survey_are_refused(tmp_path: Path) -> None:
    survey = small_survey(id_pattern=r"(?:(?P<band>\w)_)?(?P<number>\d+)")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match="holds no FITS cutouts in the bands g, r"):
        listed(Format(survey, str(tmp_path / "empty")))
    (tmp_path / "z_1.fits").touch()
    with pytest.raises(ManifestError, match="holds no FITS cutouts in the bands g, r"):
        listed(Format(survey, str(tmp_path)))
    (tmp_path / "g_1.fits").touch()
    assert listed(Format(survey, str(tmp_path))).num_rows == 1
    (tmp_path / "g_1.fits.gz").touch()
    with pytest.raises(ManifestError, match=r"1 files repeat a band of an object.*g_1.fits.gz"):
        listed(Format(survey, str(tmp_path)))
    (tmp_path / "weights.fits").touch()
    with pytest.raises(ManifestError, match=r"1 files have names that do not fit.*weights.fits"):
        listed(Format(survey, str(tmp_path)))


def test_identity_follows_the_content(tmp_path: Path) -> None:
    survey = small_survey(id_pattern=BAND_PATTERN)
    for name in ("x_g_1", "x_r_1"):
        fits.writeto(tmp_path / f"{name}.fits", pixels(1))
    before = listed(Format(survey, str(tmp_path))).column("identity")[0].as_py()
    assert listed(Format(survey, str(tmp_path))).column("identity")[0].as_py() == before
    fits.writeto(tmp_path / "x_r_1.fits", pixels(2, 40), overwrite=True)
    assert listed(Format(survey, str(tmp_path))).column("identity")[0].as_py() != before


@pytest.mark.s3
def test_object_storage_reads_like_a_disk(
    tmp_path: Path, s3_bucket: str, s3_faults: FaultProxy
) -> None:
    from catalogtool import storage

    s3_faults.share = 0.2

    for name in ("1", "2"):
        write_fits(
            tmp_path / f"{name}.fits", {"G": pixels(int(name)), "R": pixels(9)}, tan_header()
        )
        storage.write_bytes(
            f"{s3_bucket}/cutouts/{name}.fits", (tmp_path / f"{name}.fits").read_bytes()
        )
    local = open_input_format(small_survey(), str(tmp_path))
    remote = open_input_format(small_survey(), f"{s3_bucket}/cutouts")
    assert isinstance(remote, Format)
    same = ["object_id", "ra", "dec", "flags"]
    assert listed(remote).select(same) == listed(local).select(same)
    rows = listed(remote)
    np.testing.assert_array_equal(remote.read(rows).images, read_all(local).images)
    for _ in range(5):
        again = remote.read(rows)
        assert not again.flags.any()
        np.testing.assert_array_equal(again.images, read_all(local).images)
    assert sum(s3_faults.counts.values()) > s3_faults.counts["ok"]
    storage.delete(f"{s3_bucket}/cutouts/2.fits")
    assert remote.read(rows).flags.tolist() == [[0, 0], [Flag.MISSING_FILE] * 2]


@pytest.mark.data
def test_real_hst_cutouts_are_read(data_folder: Path) -> None:
    survey = load_survey("candels")
    folder = data_folder / "galaxy-candels-clash"
    candels = Format(survey, str(folder / "candels_fits"), str(folder / "candels_fits_index.csv"))
    rows = listed(candels)
    assert rows.num_rows == 18
    assert set(rows.column("flags").to_pylist()) == {0}
    assert set(candels.read(rows).flags.ravel()) == {Flag.RESAMPLED}
    lines = (folder / "candels_fits_index.csv").read_text().splitlines()
    index = {line.split(",")[0]: line.split(",") for line in lines}
    for row in rows.select(["source_id", "ra", "dec"]).to_pylist():
        _, ra, dec, *_ = index[row["source_id"]]
        assert (row["ra"], row["dec"]) == pytest.approx((float(ra), float(dec)), abs=2e-6)


@pytest.mark.data
def test_real_cutouts_without_a_wcs_are_read_and_lack_a_position(data_folder: Path) -> None:
    source = Format(load_survey("candels"), str(data_folder / "galaxy-hst-hubble-types" / "fits"))
    rows = listed(source)
    assert rows.num_rows == 38
    assert set(rows.column("flags").to_pylist()) == {Flag.NO_POSITION}
    assert set(source.read(rows).flags.ravel()) == {Flag.RESAMPLED}


@pytest.mark.data
def test_one_real_clash_cutout_lacks_the_other_bands(data_folder: Path) -> None:
    path = data_folder / "galaxy-candels-clash" / "clash_a611_f475w_860.fits"
    source = Format(load_survey("clash"), str(path))
    rows = listed(source)
    flags = source.read(rows).flags[0]
    band = source.survey.band_names.index("f475w")
    assert flags[band] == Flag.RESAMPLED
    assert set(np.delete(flags, band)) == {Flag.MISSING_BAND}
    assert rows.column("ra")[0].as_py() == pytest.approx(120.237, abs=0.01)
