"""Simulated difference images against closed forms, and against what makes them bogus."""

import numpy as np
import pytest

from catalogtool.inputs._simulation import differences
from catalogtool.inputs._simulation.artefacts import Shape, bleed, draw_artefact
from catalogtool.inputs._simulation.camera import DIFFERENCE, SCIENCE, TEMPLATE, Camera
from catalogtool.inputs._simulation.candidates import (
    BLOCK,
    BOGUS_KINDS,
    REAL_KINDS,
    draw_candidates,
    is_real,
)
from catalogtool.inputs._simulation.differences import Difference, draw_difference
from catalogtool.inputs._simulation.light import (
    Psf,
    draw_place,
    galaxy,
    gaussian_kernel,
    join,
    points,
    render,
    segment,
    smooth,
    star,
)
from catalogtool.inputs._simulation.noise import MOFFAT_BETA
from catalogtool.inputs._simulation.scenes import Conditions, Scene
from catalogtool.surveys import load_survey
from catalogtool.surveys._simulated import CandidateKind

SURVEYS = ("mock_hits", "mock_des", "mock_atlas", "mock_ztf")
SIDE = 41
PSF = Psf(4.0)


def camera_of(name: str, **settings: float) -> Camera:
    survey = load_survey(name)
    assert survey.difference_imaging is not None
    changed = survey.difference_imaging.model_copy(update=settings)
    return Camera.of(survey.model_copy(update={"difference_imaging": changed}))


def perfect(camera: Camera) -> Conditions:
    science, template = camera.fwhm_pix
    return Conditions((Psf(science), Psf(template)), (0.0, 0.0), 1.0, 1.0)


def pair_of(
    camera: Camera, scene: Scene, monkeypatch: pytest.MonkeyPatch, seed: int = 1
) -> differences._Pair:
    """Two exposures of a scene of one's own, and their difference."""
    monkeypatch.setattr(differences, "draw_scene", lambda *_: scene)
    monkeypatch.setattr(differences, "_EDGE_SHARE", 0.0)
    rng = np.random.default_rng(seed)
    return differences._draw_pair(camera, "hostless", 10.0, SIDE, rng)


def drawn(name: str, kind: CandidateKind, count: int, snr: float = 30.0) -> list[Difference]:
    camera = Camera.of(load_survey(name))
    return [draw_difference(camera, kind, snr, 21, np.random.default_rng(i)) for i in range(count)]


def test_a_star_has_the_enclosed_light_of_a_moffat_profile() -> None:
    image = render(star(1.0), Psf(12.0), 201)
    along = np.arange(201) - 100
    distance = np.hypot(along[:, None], along)
    scale = 12.0 / (2 * np.sqrt(2 ** (1 / MOFFAT_BETA) - 1))
    for radius in (3.0, 6.0, 12.0, 24.0):
        expected = 1 - (1 + (radius / scale) ** 2) ** (1 - MOFFAT_BETA)
        assert image[distance < radius].sum() == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize(
    ("bulge_share", "enclosed"),
    [  # within 0.5, 1 and 2 half-light radii; de Vaucouleurs' profile ends at eight
        (0.0, (0.205, 0.5, 0.848)),
        (1.0, (0.339, 0.530, 0.732)),
    ],
)
def test_galaxies_have_the_enclosed_light_of_their_profiles(
    bulge_share: float, enclosed: tuple[float, ...]
) -> None:
    radius = 20.0
    light = galaxy(1.0, radius, bulge_share, 1.0, 0.0)
    assert light.flux.sum() == pytest.approx(1)
    image = render(light, Psf(1.0), 401)
    along = np.arange(401) - 200
    distance = np.hypot(along[:, None], along)
    for factor, expected in zip((0.5, 1.0, 2.0), enclosed, strict=True):
        assert image[distance < factor * radius].sum() == pytest.approx(expected, abs=0.02)


def test_an_elongated_galaxy_points_where_it_should() -> None:
    image = render(galaxy(1.0, 6.0, 0.0, 0.3, np.pi / 4), PSF, 61)
    along = np.arange(61) - 30
    xy = (image * along[:, None] * along).sum()
    flipped = render(galaxy(1.0, 6.0, 0.0, 0.3, -np.pi / 4), PSF, 61)
    assert xy > 1
    np.testing.assert_allclose(flipped, image[:, ::-1], atol=1e-7)


def test_light_is_shifted_by_parts_of_a_pixel() -> None:
    image = render(star(100.0, 0.3, -0.6), PSF, SIDE)
    along = np.arange(SIDE) - SIDE // 2
    assert (image.sum(axis=0) * along).sum() / image.sum() == pytest.approx(0.3, abs=0.01)
    assert (image.sum(axis=1) * along).sum() / image.sum() == pytest.approx(-0.6, abs=0.01)
    assert render(star(100.0).moved(0.3, -0.6), PSF, SIDE) == pytest.approx(image)


def test_darkness_and_sums_of_light_can_be_drawn() -> None:
    assert not render(join(), PSF, 5).any()
    two = points(np.array([1.0, 2.0]), np.array([0.0, 1.0]), np.zeros(2))
    together = render(join(star(1.0), star(2.0, 1.0)), PSF, 9)
    np.testing.assert_allclose(render(two, PSF, 9), together, rtol=1e-6)
    np.testing.assert_allclose(render(two.scaled(3.0), PSF, 9), 3 * together, rtol=1e-6)


def test_a_trail_is_even_and_as_long_as_asked() -> None:
    trail = segment(100.0, 20.0, 0.0, 0.5)
    assert trail.flux.sum() == pytest.approx(100)
    assert trail.x.max() - trail.x.min() == pytest.approx(20)
    row = render(trail, Psf(2.0), SIDE)[SIDE // 2]
    assert row[SIDE // 2 - 6 : SIDE // 2 + 7].std() < 0.02 * row.max()


def test_places_follow_the_light_of_the_host() -> None:
    rng = np.random.default_rng(2)
    host = galaxy(1.0, 10.0, 0.0, 0.5, 0.0)
    places = np.array([draw_place(host, rng) for _ in range(2000)])
    radius = np.hypot(places[:, 0], places[:, 1] / 0.5)
    assert (radius < 10).mean() == pytest.approx(0.5, abs=0.04)


def test_smoothing_keeps_flux_and_adds_variances() -> None:
    image = render(star(100.0), Psf(3.0), 61)
    smoothed = smooth(image, gaussian_kernel(2.0, 61))
    assert smoothed.sum() == pytest.approx(image.sum(), rel=1e-3)
    np.testing.assert_array_equal(gaussian_kernel(0.0, 5), np.eye(5, dtype=np.float32))


@pytest.mark.parametrize("name", SURVEYS)
def test_noise_has_the_depth_of_the_survey(name: str) -> None:
    """Faint stars at five sigma: the scatter of the fitted fluxes is a fifth of them."""
    camera = Camera.of(load_survey(name))
    assert camera.sky_counts > 0
    empty = Scene(join(), join(), perfect(camera))
    with pytest.MonkeyPatch.context() as patch:
        pairs = [pair_of(camera, empty, patch, seed) for seed in range(200)]
    fluxes = [differences._detect(pair, 21, 0).flux_counts for pair in pairs]
    # A Gaussian filter is a little worse than the best one, which the depth is defined by.
    assert np.std(fluxes) == pytest.approx(1.07 * camera.flux_error_counts, rel=0.13)
    errors = [differences._detect(pair, 21, 0).flux_error_counts for pair in pairs[:5]]
    assert np.mean(errors) == pytest.approx(np.std(fluxes), rel=0.2)


@pytest.mark.parametrize("name", SURVEYS)
def test_the_flux_of_a_planted_transient_is_recovered(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = Camera.of(load_survey(name))
    host = galaxy(30 * camera.flux_error_counts, 3.0, 0.3, 0.6, 0.4).moved(2.0, 1.0)
    flux = 40 * camera.flux_error_counts
    scene = Scene(join(host, star(flux)), host, perfect(camera))
    pulls = []
    for seed in range(30):
        found = differences._detect(pair_of(camera, scene, monkeypatch, seed), 21, 0)
        pulls.append((found.flux_counts - flux) / found.flux_error_counts)
        aperture = found.images[DIFFERENCE].sum()
        noise = np.sqrt(21 * 21 * 2) * camera.flux_error_counts
        assert abs(aperture - flux) < 5 * noise
    assert np.mean(pulls) == pytest.approx(0, abs=1.0)
    assert np.std(pulls) < 1.6


def test_a_shifted_template_leaves_a_dipole_that_sums_to_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    camera = Camera.of(load_survey("mock_hits"))
    bright = star(0.5 * camera.unsaturated_flux(Psf(camera.fwhm_pix[0])))
    exact = perfect(camera)
    shifted = Conditions(exact.psf, (1.0, 0.0), 1.0, 1.0)
    image = pair_of(camera, Scene(bright, bright, shifted), monkeypatch).images[DIFFERENCE]
    half = SIDE // 2
    left, right = image[:, :half].sum(), image[:, half + 1 :].sum()
    assert left > 0.1 * bright.flux[0]
    assert right < -0.1 * bright.flux[0]
    noise = np.sqrt(2 * bright.flux[0] / camera.settings.gain_electrons_per_count)
    assert abs(image.sum()) < 6 * noise


def test_a_perfect_match_leaves_noise_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = Camera.of(load_survey("mock_des"))
    light = galaxy(200 * camera.flux_error_counts, 4.0, 0.5, 0.7, 1.0)
    pair = pair_of(camera, Scene(light, light, perfect(camera)), monkeypatch)
    scatter = pair.images[DIFFERENCE] / np.sqrt(pair.variance)
    assert np.abs(scatter.mean()) < 0.15
    assert scatter.std() < 1.1


def test_the_sharper_exposure_is_smeared_whichever_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    camera = Camera.of(load_survey("mock_hits"))
    light = star(300 * camera.flux_error_counts)
    for widths in ((4.0, 6.0), (6.0, 4.0)):
        conditions = Conditions((Psf(widths[0]), Psf(widths[1])), (0.0, 0.0), 1.0, 1.0)
        pair = pair_of(camera, Scene(light, light, conditions), monkeypatch)
        assert pair.matched.fwhm_pix == 6.0
        assert np.abs(pair.images[DIFFERENCE] / np.sqrt(pair.variance)).max() < 5


def test_no_pixel_is_above_saturation_or_below_zero() -> None:
    camera = camera_of("mock_ztf", saturation_counts=3000.0)
    for kind in ("saturated", "bad_pixel"):
        for seed in range(10):
            found = draw_difference(camera, kind, 200.0, 21, np.random.default_rng(seed))
            raw = found.images[[SCIENCE, TEMPLATE]]
            assert raw.min() >= 0
            assert raw.max() <= 3000


def test_charge_bleeds_along_columns_and_half_of_it_stays() -> None:
    image = np.zeros((21, 21), dtype=np.float32)
    image[10, 7] = 1000
    bled = bleed(image, 100.0)
    np.testing.assert_allclose(bled.sum(), 100 + 900 / 2, rtol=1e-5)
    assert bled.max() == 100
    assert not bled[:, [6, 8]].any()
    assert image[10, 7] == 1000


def test_cosmic_rays_are_sharper_than_stars_and_absent_from_the_template() -> None:
    shape = Shape(100.0, PSF, 31)
    for seed in range(20):
        image = draw_artefact("cosmic_ray", shape, np.random.default_rng(seed))
        assert image.sum() > 0
        assert (image > 0.05 * image.max()).sum() < 60
    template = drawn("mock_hits", "cosmic_ray", 1, 200.0)[0].images[TEMPLATE]
    assert (template.max() - np.median(template)) / template.std() < 6


def test_kinds_of_light_add_no_artefact() -> None:
    for kind in REAL_KINDS:
        assert not draw_artefact(kind, Shape(1.0, PSF, 9), np.random.default_rng(0)).any()


@pytest.mark.parametrize("name", SURVEYS)
@pytest.mark.parametrize("kind", [*REAL_KINDS, *BOGUS_KINDS])
def test_every_kind_of_candidate_is_detected_at_its_centre(name: str, kind: CandidateKind) -> None:
    limit = Camera.of(load_survey(name)).settings.snr_limit
    found = drawn(name, kind, 12, 10.0)
    for candidate in found:
        assert candidate.images.shape == candidate.mask.shape == (3, 21, 21)
        assert candidate.images.dtype == np.float32
        assert np.isfinite(candidate.images).all()
        assert not candidate.images[candidate.mask].any()
        assert not candidate.mask[DIFFERENCE, 10, 10]
    assert np.mean([abs(candidate.snr) >= limit for candidate in found]) > 0.9


@pytest.mark.parametrize("kind", ["transient", "hostless", "moving", "nuclear"])
def test_real_candidates_have_the_signal_to_noise_they_are_made_for(kind: CandidateKind) -> None:
    measured = [abs(candidate.snr) for candidate in drawn("mock_des", kind, 40)]
    assert np.median(measured) == pytest.approx(30, rel=0.25)


def test_something_may_fade_as_well() -> None:
    signs = np.sign([candidate.snr for candidate in drawn("mock_ztf", "variable_star", 40)])
    assert 0.2 < (signs < 0).mean() < 0.6
    assert all(candidate.snr > 0 for candidate in drawn("mock_ztf", "hostless", 10))


def test_edges_are_masked_in_the_difference_and_in_one_exposure() -> None:
    for candidate in drawn("mock_ztf", "edge", 10):
        science, template, difference = candidate.mask
        assert difference.any()
        np.testing.assert_array_equal(difference, science)
        assert not template.any()
        assert not difference.all()


def test_fields_of_any_size_can_be_drawn() -> None:
    camera = Camera.of(load_survey("mock_ztf"))
    wide = draw_difference(camera, "satellite", 40.0, 63, np.random.default_rng(4))
    assert wide.images.shape == (3, 63, 63)


def test_half_of_the_labelled_candidates_are_real_and_few_of_the_others() -> None:
    for name in SURVEYS:
        survey = load_survey(name)
        settings = survey.difference_imaging
        assert settings is not None
        candidates = draw_candidates(survey, 3)
        labelled = candidates.is_labelled
        assert labelled.sum() == round(BLOCK * settings.labelled_share)
        assert candidates.is_real[labelled].mean() == pytest.approx(0.5, abs=0.002)
        assert candidates.is_real[~labelled].mean() == pytest.approx(settings.real_share, abs=0.002)
        assert (candidates.snr >= settings.snr_limit).all()


def test_kinds_come_in_the_shares_of_the_survey() -> None:
    survey = load_survey("mock_atlas")
    settings = survey.difference_imaging
    assert settings is not None
    kinds = np.concatenate([draw_candidates(survey, block).kind for block in range(8)])
    real = np.isin(kinds, REAL_KINDS)
    assert is_real("moving")
    assert not is_real("dipole")
    assert (kinds[real] == "moving").mean() == pytest.approx(0.42, abs=0.04)
    assert (kinds[~real] == "dipole").mean() == pytest.approx(0.38, abs=0.04)
