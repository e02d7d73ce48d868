"""Simulated fields around transients: pixels, offsets, and the files that hold them."""

import csv
import gzip
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from scipy.stats import ks_2samp

from catalogtool.errors import ConfigError
from catalogtool.hosts.sky import Orientation, offsets_between
from catalogtool.inputs import load_format
from catalogtool.inputs._simulation.host_files import write_fields, write_mosaic
from catalogtool.inputs._simulation.host_pixels import render
from catalogtool.inputs._simulation.host_scenes import Galaxy, Scene, tiled
from catalogtool.inputs._simulation.noise import MOFFAT_BETA
from catalogtool.inputs.simulated_hosts import Format
from catalogtool.progress import Progress
from catalogtool.surveys import load_survey

SURVEY = load_survey("mock_hosts")
SCALE_ARCSEC = SURVEY.pixel_scale_arcsec
CENTRE = SURVEY.cutout_size_pix // 2
NO_STARS = np.zeros((0, 3))


def fields(count: int) -> Format:
    return Format(SURVEY, f"simulated_hosts:{count}")


@pytest.mark.parametrize(("kind", "accuracy"), [("disk", 0.02), ("spheroid", 0.06)])
def test_a_galaxy_looks_like_the_one_that_galsim_draws(kind: str, accuracy: float) -> None:
    import galsim

    galaxy = Galaxy(250.3, 231.6, 2.6, 0.6, 0.7, 4.0, kind)  # noise does not matter
    scene = Scene(galaxy, (galaxy,), NO_STARS)
    found = render(SURVEY, scene, np.random.default_rng(0))
    flux = 10 ** (-0.4 * (4 - float(SURVEY.bands[0].zeropoint.value)))
    round_radius = galaxy.radius_arcsec * np.sqrt(galaxy.axis_ratio)
    profile = galsim.Sersic(4 if kind == "spheroid" else 1, round_radius, flux=flux)
    angle = galaxy.angle * galsim.radians
    psf = galsim.Moffat(MOFFAT_BETA, fwhm=SURVEY.bands[0].psf_fwhm.to_value("arcsec"))
    seen = galsim.Convolve(profile.shear(q=galaxy.axis_ratio, beta=angle), psf)
    size = SURVEY.cutout_size_pix
    place = np.array([galaxy.x, galaxy.y]) - (size - 1) / 2  # from the middle of the image
    wanted = seen.drawImage(nx=size, ny=size, scale=SCALE_ARCSEC, offset=place).array
    assert found.sum() == pytest.approx(wanted.sum(), rel=accuracy)
    assert np.abs(found - wanted).sum() < 2 * accuracy * flux


def test_noise_is_that_of_the_survey_s_depth() -> None:
    image = render(SURVEY, Scene(None, (), NO_STARS), np.random.default_rng(0))
    area = np.pi * (1.2 / 2.355 / SCALE_ARCSEC) ** 2 * 4  # of a Gaussian as wide
    assert 0.6 < 10 ** (-0.4 * (23.2 - 25)) / (5 * np.sqrt(area) * image.std()) < 1.5


def test_fields_are_the_same_every_time_and_others_under_another_seed() -> None:
    source = fields(6)
    rows = next(source.list_objects())
    images = source.read(rows).images
    again = fields(6).read(rows.slice(3, 1)).images
    np.testing.assert_array_equal(again[0], images[3])
    assert not np.array_equal(source.with_seed(5).read(rows.slice(3, 1)).images[0], images[3])


@pytest.mark.data
def test_hosts_are_as_far_from_their_transients_as_real_ones() -> None:
    folder = os.environ.get("CATALOGTOOL_DATA")
    if folder is None:
        pytest.skip("CATALOGTOOL_DATA is not set")
    table = Path(folder) / "transient-hosts/delight_hosts.csv.gz"
    with gzip.open(table, "rt") as file:
        real = np.array([float(row["offset_arcsec"]) for row in csv.DictReader(file)])
    hosts = [source.host for source in map(fields(1500).scene, range(1500))]
    drawn = [SCALE_ARCSEC * np.hypot(host.x - CENTRE, host.y - CENTRE) for host in hosts if host]
    assert ks_2samp(drawn, real).statistic < 0.06
    # Hosts outside of the cutout are not drawn, so that the last percent differs.
    quantiles = (0.25, 0.5, 0.75, 0.9, 0.95)
    np.testing.assert_allclose(
        np.quantile(drawn, quantiles), np.quantile(real, quantiles), rtol=0.2
    )


def test_hosts_are_of_all_sizes_and_some_transients_have_none() -> None:
    hosts = [scene.host for scene in map(fields(400).scene, range(400))]
    radii = np.array([2 * host.radius_arcsec for host in hosts if host])
    assert 0.12 < 1 - len(radii) / 400 < 0.35
    assert 0.25 < (radii > 10).mean() < 0.6
    assert radii.max() <= 60


def test_tiled_fields_lie_beside_each_other() -> None:
    source = fields(3)
    scenes = [source.scene(index) for index in range(3)]
    whole = tiled(scenes, 2, 480)
    last = scenes[2].galaxies[-1]
    assert len(whole.galaxies) == sum(len(scene.galaxies) for scene in scenes)
    assert (whole.galaxies[-1].x, whole.galaxies[-1].y) == (last.x, last.y + 480)
    assert len(whole.stars) == sum(len(scene.stars) for scene in scenes)


def test_files_of_fields_say_where_everything_is(tmp_path: Path) -> None:
    source = fields(5)
    written = write_fields(source, str(tmp_path), Progress())
    labels = pyarrow.csv.read_csv(tmp_path / "labels.csv").to_pylist()
    galaxies = pq.read_table(tmp_path / "galaxies.parquet").to_pylist()
    by_id = {galaxy["galaxy_id"]: galaxy for galaxy in galaxies}
    assert (written.transients, written.galaxies) == (5, len(by_id))
    for index, label in enumerate(labels):
        with fits.open(tmp_path / "cutouts" / f"{label['object_id']}.fits") as hdus:
            wcs = WCS(hdus[0].header)
        here = wcs.all_world2pix(label["ra"], label["dec"], 0)
        np.testing.assert_allclose(here, (CENTRE, CENTRE), atol=1e-4)
        host = source.scene(index).host
        assert label["is_hostless"] == (host is None)
        if host is not None:
            there = wcs.all_world2pix(label["host_ra"], label["host_dec"], 0)
            np.testing.assert_allclose(there, (host.x, host.y), atol=1e-3)
            found = by_id[label["host_galaxy_id"]]
            assert (found["ra"], found["dec"]) == (label["host_ra"], label["host_dec"])
            assert 0 < found["redshift"] <= 2


def test_a_mosaic_shows_every_field_where_its_table_says(tmp_path: Path) -> None:
    source = fields(3)
    write_mosaic(source, str(tmp_path))
    with fits.open(tmp_path / "mosaic.fits") as hdus:
        image, wcs = hdus[0].data, WCS(hdus[0].header)
    assert image.shape == (960, 960)
    noise = np.median(np.abs(image)) / 0.6745
    for index, label in enumerate(pyarrow.csv.read_csv(tmp_path / "labels.csv").to_pylist()):
        row, column = divmod(index, 2)
        here = wcs.all_world2pix(label["ra"], label["dec"], 0)
        np.testing.assert_allclose(here, (480 * column + 240, 480 * row + 240), atol=1e-3)
        host = source.scene(index).host
        if host is not None and host.magnitude_ab < 21:
            x, y = wcs.all_world2pix(label["host_ra"], label["host_dec"], 0)
            assert image[round(float(y)), round(float(x))] > 3 * noise


def test_a_mosaic_is_read_back_as_the_fields_that_it_shows(tmp_path: Path) -> None:
    source = fields(4)
    write_mosaic(source, str(tmp_path))
    uris = (str(tmp_path / "mosaic.fits"), str(tmp_path / "labels.csv"))
    mosaics = load_format("mosaics")(SURVEY, *uris)
    rows = pa.concat_tables(mosaics.list_objects())
    cutouts = mosaics.read(rows)
    with fits.open(tmp_path / "mosaic.fits") as hdus:
        np.testing.assert_array_equal(cutouts.images[3, 0], hdus[0].data[480:, 480:])
    orientation = Orientation.of(cutouts.facts, 4, SCALE_ARCSEC)
    ends = (rows["ra"], rows["dec"], cutouts.facts["host_ra"], cutouts.facts["host_dec"])
    offsets = offsets_between(*(end.to_numpy(zero_copy_only=False) for end in ends))
    found = orientation.offsets_pix(offsets) + CENTRE
    for index, place in enumerate(found):
        host = source.scene(index).host
        if host is not None:
            np.testing.assert_allclose(place, (host.x, host.y), atol=0.1)


def test_a_mosaic_that_no_memory_would_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at most 1681 fields"):
        write_mosaic(fields(1700), str(tmp_path))
