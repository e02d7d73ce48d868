"""Drawn light against closed forms and against GalSim's own drawing."""

import numpy as np
import pytest
from astropy import units as u

from catalogtool.inputs._simulation import render
from catalogtool.inputs._simulation.galaxies import Galaxies, Kind
from catalogtool.inputs._simulation.noise import psf_area_arcsec2, sky_sigma
from catalogtool.inputs._simulation.render import Camera, draw_parts, resize
from catalogtool.inputs._simulation.spectra import part_fluxes
from catalogtool.surveys import load_survey
from catalogtool.surveys._definition import Survey

CAMERA = Camera(0.06, (0.11, 0.18))


def one(kind: Kind, **changes: float) -> Galaxies:
    values: dict[str, float] = {
        "ra": 0.0,
        "dec": 0.0,
        "redshift": 0.5,
        "mag_ab": 22.0,
        "radius_arcsec": 0.0 if kind == Kind.POINT_SOURCE else 0.3,
        "bulge_share": 0.4,
        "clump_share": 0.2,
        "axis_ratio": 0.7,
        "angle_rad": 0.6,
        "dust_mag": 0.0,
    }
    values.update(changes)
    return Galaxies(
        kind=np.array([int(kind)]), **{name: np.array([value]) for name, value in values.items()}
    )


def draw(galaxy: Galaxies, flux: tuple[float, float, float]) -> np.ndarray:
    fluxes = np.array([flux] * len(CAMERA.psf_fwhm_arcsec))
    return draw_parts(galaxy, fluxes, CAMERA, np.random.default_rng(3))


@pytest.fixture(scope="module")
def clash() -> Survey:
    return load_survey("clash")


@pytest.mark.parametrize(
    ("kind", "flux"), [(Kind.DISK, (30.0, 70.0, 0.0)), (Kind.SPHEROID, (100.0, 0.0, 0.0))]
)
def test_bulge_and_disk_agree_with_galsim_drawing_in_real_space(
    kind: Kind, flux: tuple[float, float, float]
) -> None:
    import galsim

    galaxy = one(kind)
    image = draw(galaxy, flux)
    shape = {"q": 0.7, "beta": 0.6 * galsim.radians}
    bulge_shape = {"q": 0.7**0.3, "beta": 0.6 * galsim.radians} if kind == Kind.DISK else shape
    bulge_radius = 0.3 * (0.25 if kind == Kind.DISK else 1.0)
    bulge = galsim.DeVaucouleurs(half_light_radius=bulge_radius).shear(**bulge_shape)
    disk = galsim.Exponential(half_light_radius=0.3).shear(**shape)
    light = flux[0] * bulge + flux[1] * disk
    for band, fwhm in enumerate(CAMERA.psf_fwhm_arcsec):
        seen = galsim.Convolve(light, galsim.Moffat(beta=3.0, fwhm=fwhm))
        expected = seen.drawImage(
            nx=image.shape[-1], ny=image.shape[-1], scale=CAMERA.pixel_scale_arcsec
        ).array
        assert np.abs(image[band] - expected).max() < 0.01 * expected.max()


def test_flux_in_the_reddest_band_is_that_of_the_magnitude(clash: Survey) -> None:
    for kind in Kind:
        total = part_fluxes(one(kind), clash).sum(axis=-1)[0, -1]
        zeropoint = float(clash.bands[-1].zeropoint.value)
        assert total == pytest.approx(10 ** (-0.4 * (22.0 - zeropoint)), rel=1e-9)


@pytest.mark.parametrize("kind", [Kind.POINT_SOURCE, Kind.DISK, Kind.IRREGULAR])
def test_drawn_light_sums_to_the_flux(kind: Kind) -> None:
    image = draw(one(kind, radius_arcsec=0.3 if kind else 0.0), (20.0, 50.0, 30.0))
    expected = 20.0 if kind == Kind.POINT_SOURCE else 100.0
    np.testing.assert_allclose(image.sum(axis=(1, 2)), expected, rtol=0.06)


def test_a_single_knot_is_the_gaussian_that_galsim_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    import galsim

    place = (np.array([0.4]), np.array([-0.7]), np.array([1.0]))
    monkeypatch.setattr(render, "_scatter_knots", lambda _rng: place)
    galaxy = one(Kind.IRREGULAR, angle_rad=0.0, axis_ratio=1.0)
    image = draw(galaxy, (0.0, 0.0, 10.0))
    knot = galsim.Gaussian(flux=10.0, sigma=0.16 * 0.3).shift(0.4 * 0.3, -0.7 * 0.3)
    for band, fwhm in enumerate(CAMERA.psf_fwhm_arcsec):
        seen = galsim.Convolve(knot, galsim.Moffat(beta=3.0, fwhm=fwhm))
        side = image.shape[-1]
        expected = seen.drawImage(nx=side, ny=side, scale=CAMERA.pixel_scale_arcsec).array
        assert np.abs(image[band] - expected).max() < 0.03 * expected.max()


def test_a_point_source_is_as_wide_as_the_point_spread_function() -> None:
    camera = Camera(0.02, (0.11, 0.18))  # pixels small against the width
    image = draw_parts(
        one(Kind.POINT_SOURCE), np.array([[1.0, 0, 0]] * 2), camera, np.random.default_rng(0)
    )
    centre = image.shape[-1] // 2
    for band, fwhm in enumerate(camera.psf_fwhm_arcsec):
        profile = image[band, centre, centre:] / image[band, centre, centre]
        half = np.interp(-0.5, -profile, np.arange(len(profile))) * camera.pixel_scale_arcsec
        assert 2 * half == pytest.approx(fwhm, rel=0.03)


def test_optimal_photometry_of_a_source_at_the_depth_has_five_sigma(clash: Survey) -> None:
    survey = clash.model_copy(update={"bands": clash.bands[-1:], "pixel_scale": 0.02 * u.arcsec})
    fwhm = float(survey.bands[0].psf_fwhm.to_value("arcsec"))
    camera = Camera(survey.pixel_scale_arcsec, (fwhm,))
    faintest = one(
        Kind.POINT_SOURCE,
        mag_ab=float(survey.bands[0].depth.value),
        redshift=0.0,
        bulge_share=1.0,
        clump_share=0.0,
    )
    fluxes = part_fluxes(faintest, survey)[0]
    image = draw_parts(faintest, fluxes, camera, np.random.default_rng(0))
    significance = np.sqrt((image.astype(np.float64) ** 2).sum()) / sky_sigma(survey)[0]
    assert significance == pytest.approx(5.0, rel=0.03)


def test_the_area_of_a_moffat_profile_matches_its_numerical_integral(clash: Survey) -> None:
    fwhm = float(clash.bands[0].psf_fwhm.to_value("arcsec"))
    scale = fwhm / (2 * np.sqrt(2 ** (1 / 3) - 1))
    radius = np.linspace(0, 40 * scale, 400_001)
    profile = (1 + (radius / scale) ** 2) ** -3
    step = radius[1]
    light = (profile * 2 * np.pi * radius).sum() * step
    squared = (profile**2 * 2 * np.pi * radius).sum() * step
    assert psf_area_arcsec2(clash)[0] == pytest.approx(light**2 / squared, rel=1e-4)


def test_blue_light_of_a_galaxy_beyond_the_lyman_limit_is_gone(clash: Survey) -> None:
    near, far = (part_fluxes(one(Kind.DISK, redshift=z), clash).sum(axis=-1)[0] for z in (0.1, 3.5))
    assert far[0] / far[-1] < 1e-3 * near[0] / near[-1]


def test_bulges_lead_in_the_red_and_clumps_in_the_blue(clash: Survey) -> None:
    fluxes = part_fluxes(one(Kind.DISK), clash)[0]
    shares = fluxes / fluxes.sum(axis=-1, keepdims=True)
    assert shares[-1, 0] > 2 * shares[0, 0]
    assert shares[0, 2] > 1.5 * shares[-1, 2]


@pytest.mark.parametrize("size", [40, 41, 80])
def test_resizing_keeps_a_constant_and_a_ramp(size: int) -> None:
    ramp = np.broadcast_to(np.arange(41, dtype=np.float32), (1, 41, 41))
    resized = resize(ramp, size)
    inner = slice(size // 8, -size // 8)
    expected = (np.arange(size) + 0.5) * 41 / size - 0.5
    np.testing.assert_allclose(resized[0, 5, inner], expected[inner], atol=0.02)
    np.testing.assert_allclose(resize(np.ones((2, 41, 41), np.float32), size), 1.0, rtol=1e-6)
