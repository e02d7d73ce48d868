"""Hosts: sources, pyramids, votes, and which source it is."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from catalogtool.errors import DataError
from catalogtool.hosts.association import (
    Association,
    Field,
    describe_field,
    scatter,
    true_source,
)
from catalogtool.hosts.candidates import weigh
from catalogtool.hosts.crossmatch import Galaxies
from catalogtool.hosts.ellipses import best_ellipses
from catalogtool.hosts.sky import ORIENTATION_FACTS, Orientation, offsets_between, shifted
from catalogtool.hosts.sources import (
    Sources,
    directional_radius,
    find_sources,
    separation_pix,
)
from catalogtool.networks._delight import (
    VARIANTS,
    Delight,
    DelightOptions,
    turned,
    turned_back,
    variant,
)
from catalogtool.preprocess.pyramid import (
    BYTES,
    FIELD_PIX,
    LEVELS,
    SIDE,
    block_medians,
    build_pyramid,
    centred,
    normalise,
)
from catalogtool.training.hosts import CENTRE_PIX

NOWHERE = np.zeros((FIELD_PIX, FIELD_PIX), dtype=bool)


def blob_image(*blobs: tuple[float, float, float, float], noise: float = 1.0) -> np.ndarray:
    """Round sources at (x, y) of a width and a peak."""
    y, x = np.mgrid[:FIELD_PIX, :FIELD_PIX]
    image = np.random.default_rng(0).normal(0, noise, (FIELD_PIX, FIELD_PIX))
    for at_x, at_y, width, peak in blobs:
        image += peak * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * width**2))
    return image.astype(np.float32)


def ellipses(*rows: tuple[float, float, float, float, float]) -> Sources:
    """Sources of given x, y, a, b and theta."""
    x, y, a, b, theta = np.array(rows, dtype=np.float64).T
    flux = np.full(len(x), 500.0)
    return Sources(x, y, a, b, theta, flux, flux / 10, 1.0)


def test_sources_are_found_where_they_are_the_brightest_first() -> None:
    sources = find_sources(blob_image((100, 200, 3, 40), (300, 50, 5, 80)), NOWHERE).sources
    assert len(sources) == 2
    np.testing.assert_allclose((sources.x[0], sources.y[0]), (300, 50), atol=0.3)
    np.testing.assert_allclose((sources.x[1], sources.y[1]), (100, 200), atol=0.3)
    assert sources.a[0] == pytest.approx(5, rel=0.2)
    assert sources.noise == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("kind", ["masked", "nan", "constant", "noise", "overflow"])
def test_an_image_in_which_nothing_stands_out_has_no_source(kind: str) -> None:
    image = np.full((FIELD_PIX, FIELD_PIX), 3, dtype=np.float32)
    mask = NOWHERE.copy()
    if kind == "masked":
        mask[:] = True
    if kind == "nan":
        image[:] = np.nan
    if kind == "overflow":
        image = blob_image((240, 240, 5, 1e38))
    if kind == "noise":
        image = np.random.default_rng(1).uniform(0, 1, image.shape).astype(np.float32)
    found = find_sources(image, mask)
    assert len(found.sources) == 0
    assert len(best_ellipses(found)) == 0
    assert not build_pyramid(found).any()


def test_masked_sources_are_not_seen() -> None:
    mask = NOWHERE.copy()
    mask[30:70, 280:320] = True
    sources = find_sources(blob_image((100, 200, 3, 40), (300, 50, 5, 80)), mask).sources
    assert len(sources) == 1


def test_a_pyramid_holds_the_block_medians_of_the_central_windows() -> None:
    image = np.random.default_rng(2).random((FIELD_PIX, FIELD_PIX)).astype(np.float32)
    image[image < 0.4] = 0
    levels = block_medians(image)
    for level in range(LEVELS):
        block = 2**level
        whole = image.reshape(FIELD_PIX // block, block, FIELD_PIX // block, block)
        medians = np.median(whole, axis=(1, 3))
        centre = len(medians) // 2
        window = slice(centre - 15, centre + 15)
        np.testing.assert_allclose(levels[level], medians[window, window], rtol=1e-6)


def test_pixels_of_sources_are_scaled_and_all_others_are_dark() -> None:
    image = np.arange(16, dtype=np.float32).reshape(4, 4)
    inside = image >= 8
    scaled = normalise(image, inside)
    np.testing.assert_allclose(scaled[inside], np.linspace(0, 1, 8))
    assert not scaled[~inside].any()


def test_the_first_axis_of_a_pyramid_is_x_and_every_level_has_its_own_maximum() -> None:
    found = find_sources(blob_image((FIELD_PIX / 2 + 9, FIELD_PIX / 2, 2, 60)), NOWHERE)
    pyramid = build_pyramid(found)
    assert pyramid.shape == (LEVELS, SIDE, SIDE)
    assert pyramid.nbytes == BYTES == 18_000
    np.testing.assert_allclose(pyramid[:3].max(axis=(1, 2)), 1)
    x, y = np.unravel_index(pyramid[0].argmax(), (SIDE, SIDE))
    assert (x, y) == (15 + 9, 15)


def test_cutouts_of_other_sizes_keep_their_central_pixel() -> None:
    for size in (100, 479, 480, 481, 600):
        image = np.zeros((size, size), dtype=np.float32)
        image[size // 2, size // 2] = 7
        found = centred(image, np.nan)
        assert found.shape == (FIELD_PIX, FIELD_PIX)
        assert found[FIELD_PIX // 2, FIELD_PIX // 2] == 7


def test_the_network_has_as_many_parameters_as_the_published_one() -> None:
    network = Delight(DelightOptions())
    assert sum(p.numel() for p in network.parameters()) == 2_297_184


@pytest.mark.parametrize("index", range(VARIANTS))
def test_a_blob_in_any_octant_is_turned_with_its_variant_and_back(index: int) -> None:
    for dx, dy in ((3, 1), (1, 3), (-1, 3), (-3, 1), (-3, -1), (-1, -3), (1, -3), (3, -1)):
        pyramid = torch.zeros(1, 1, 31, 31)
        pyramid[0, 0, 15 + dx, 15 + dy] = 1
        place = np.unravel_index(int(variant(pyramid, index).argmax()), (31, 31))
        offset = torch.tensor([[float(dx), float(dy)]])
        moved = turned(offset, index)
        assert (place[0] - 15, place[1] - 15) == tuple(moved[0].int().tolist())
        assert torch.equal(turned_back(moved, index), offset)


def test_votes_of_a_symmetric_image_are_the_same_vector_turned() -> None:
    y, x = np.mgrid[:SIDE, :SIDE] - 14.5
    level = np.exp(-(x**2 + y**2) / 20).astype(np.float32)
    pyramid = torch.from_numpy(np.stack([level] * LEVELS))[None]
    torch.manual_seed(0)
    network = Delight(DelightOptions()).eval()
    with torch.no_grad():
        votes = network.votes(pyramid)[0]
    lengths = votes.norm(dim=1)
    torch.testing.assert_close(lengths, lengths[:1].expand(VARIANTS), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(votes.mean(dim=0), torch.zeros(2), rtol=0, atol=1e-5)


def test_directional_radius_is_one_on_the_ellipse() -> None:
    theta = 0.4
    sources = ellipses((10, 20, 6, 2, theta))
    for angle in np.linspace(0, 6, 9):
        u, v = 6 * np.cos(angle), 2 * np.sin(angle)
        x = 10 + u * np.cos(theta) - v * np.sin(theta)
        y = 20 + u * np.sin(theta) + v * np.cos(theta)
        assert directional_radius(sources, x, y)[0] == pytest.approx(1)
    assert separation_pix(sources, 13, 24)[0] == pytest.approx(5)


def test_the_true_source_is_the_one_whose_ellipse_holds_the_host() -> None:
    sources = ellipses((100, 100, 30, 10, 0), (120, 103, 1, 1, 0))
    assert true_source(sources, 104, 101) == 0
    assert true_source(sources, 120, 103) == 1
    assert true_source(sources, 300, 300) == -1


def random_fields(count: int, seed: int) -> list[Field]:
    rng = np.random.default_rng(seed)
    return [
        Field(rng.normal(size=(int(rng.integers(2, 6)), 8)), np.array([1.0, *rng.normal(size=3)]))
        for _ in range(count)
    ]


def test_fitted_weights_recover_those_that_made_the_choices() -> None:
    rng = np.random.default_rng(3)
    truth = Association(rng.normal(size=8), np.array([0.3, -1.0, 0.5, 0.8]))
    fields = random_fields(6000, 4)
    hosts = []
    for field in fields:
        p = truth.probabilities(field)
        choice = int(rng.choice(len(p), p=p))
        hosts.append(choice if choice < len(p) - 1 else -1)
    found = Association.fit(fields, hosts)
    np.testing.assert_allclose(found.source_weights, truth.source_weights, rtol=0.1, atol=0.1)
    np.testing.assert_allclose(found.nobody_weights, truth.nobody_weights, rtol=0.1, atol=0.1)


def test_probabilities_sum_to_one_and_name_nobody_last() -> None:
    field = random_fields(1, 0)[0]
    nobody = Association(np.zeros(8), np.array([9.0, 0, 0, 0])).probabilities(field)
    assert nobody.sum() == pytest.approx(1)
    assert nobody[-1] > 0.99


NEAR_VOTES = Association(np.array([-2.0, -1.0, 0, 0, 0, 0, 0, 1.0]), np.array([-8.0, 0, 0, 0]))


def test_two_plausible_hosts_are_two_candidates_and_not_the_point_between() -> None:
    sources = ellipses((200, 240, 5, 5, 0), (280, 240, 5, 5, 0))
    votes = np.array([[200.0, 240.0]] * 4 + [[280.0, 240.0]] * 4)
    found = weigh(sources, votes, NEAR_VOTES, CENTRE_PIX)
    assert found.p_host == pytest.approx(found.p_second, abs=0.05)
    assert found.is_detected
    assert sorted([found.host[0], found.second[0]]) == [-40, 40]
    np.testing.assert_allclose(found.network, (0, 0))
    assert found.scatter == pytest.approx(40)


def test_the_place_of_a_probable_host_is_its_source_and_else_where_votes_point() -> None:
    sources = ellipses((250, 240, 5, 5, 0))
    sure = weigh(sources, np.array([[252.0, 240.0]] * 8), NEAR_VOTES, CENTRE_PIX)
    assert sure.is_detected
    np.testing.assert_allclose(sure.host, (10, 0))
    unsure = Association(NEAR_VOTES.source_weights, np.array([9.0, 0, 0, 0]))
    faint = weigh(sources, np.array([[242.0, 241.0]] * 8), unsure, CENTRE_PIX)
    assert not faint.is_detected
    np.testing.assert_allclose(faint.host, (2, 1))


def test_scatter_is_the_root_mean_square_distance_from_the_mean() -> None:
    votes = np.array([[3.0, 0], [-3, 0], [0, 4], [0, -4]])
    assert scatter(votes) == pytest.approx(np.sqrt((9 + 9 + 16 + 16) / 4))


def test_terms_of_a_field_are_finite() -> None:
    image = blob_image((250, 240, 4, 50), (30, 400, 1, 900))
    field = describe_field(find_sources(image, NOWHERE).sources, np.full((8, 2), 240.0), 240, 240)
    assert np.isfinite(field.terms).all()
    assert np.isfinite(field.nobody).all()


def test_positions_survive_the_way_to_the_sky_and_back() -> None:
    ra, dec = np.array([0.0001, 120, 359.9999]), np.array([0, 60, -88.0])
    offsets = np.array([[3.0, -4.0], [50, 20], [-7, 9]])
    back = offsets_between(ra, dec, *shifted(ra, dec, offsets))
    np.testing.assert_allclose(back, offsets, atol=1e-6)


def test_offsets_agree_with_astropy() -> None:
    from astropy import units as u
    from astropy.coordinates import SkyCoord

    there = SkyCoord(10 * u.deg, 50 * u.deg).directional_offset_by(30 * u.deg, 60 * u.arcsec)
    found = offsets_between(
        np.array([10.0]), np.array([50.0]), np.array([there.ra.deg]), np.array([there.dec.deg])
    )
    np.testing.assert_allclose(found[0], (30, 60 * np.cos(np.pi / 6)), rtol=1e-4)


def test_cutouts_without_orientation_have_north_up_and_east_left() -> None:
    told = {
        "east_x_arcsec": 0.0,
        "east_y_arcsec": 0.5,
        "north_x_arcsec": 0.5,
        "north_y_arcsec": 0.0,
    }
    facts = pa.Table.from_pylist([told, {}], schema=ORIENTATION_FACTS)
    orientation = Orientation.of(facts, 2, 0.25)
    pixels = np.array([[2.0, 0.0], [2.0, 0.0]])
    np.testing.assert_allclose(orientation.offsets_arcsec(pixels), [[0, 1], [-0.5, 0]])
    np.testing.assert_allclose(orientation.offsets_pix(orientation.offsets_arcsec(pixels)), pixels)


def test_a_host_is_matched_with_the_nearest_galaxy_within_reach() -> None:
    galaxies = Galaxies(
        np.array([10.0, 10.001]), np.array([0.0, 0.0]), ["near", "far"], np.array([0.1, np.nan])
    )
    found = galaxies.match(10.0001, 0.0, radius_arcsec=2)
    assert found["matched_id"] == "near"
    assert found["matched_separation_arcsec"] == pytest.approx(0.36)
    assert found["matched_share"] == 1
    assert galaxies.match(10.0005, 0.0, radius_arcsec=2) == {}
    assert galaxies.match(10.0004, 0.0, radius_arcsec=7)["matched_id"] == "near"


def test_of_several_galaxies_within_a_large_host_the_nearest_is_no_match_without_magnitudes() -> (
    None
):
    places = np.array([10.0, 10.001]), np.array([0.0, 0.0]), ["one", "other"], np.full(2, np.nan)
    assert Galaxies(*places).match(10.0004, 0.0, radius_arcsec=40) == {}
    assert Galaxies(*places).match(10.0001, 0.0, radius_arcsec=40)["matched_id"] == "one"
    known = Galaxies(*places, magnitude=np.array([22.0, np.nan]))
    assert known.match(10.0004, 0.0, radius_arcsec=40)["matched_id"] == "one"


def test_a_bright_galaxy_is_a_large_host_and_not_the_faint_one_nearer_to_its_middle() -> None:
    rng = np.random.default_rng(1)
    ra, dec = 10 + rng.uniform(-0.1, 0.1, (2, 500))
    names = [str(index) for index in range(502)]
    bright, faint = 10 + 4 / 3600, 10 + 2 / 3600
    magnitude = np.append(rng.uniform(18, 23, 500), [13, 22])
    sky = np.append(ra, [bright, faint]), np.append(dec, [10.0, 10.0])
    galaxies = Galaxies(*sky, names, np.full(502, np.nan), magnitude)
    large = galaxies.match(10.0, 10.0, radius_arcsec=40)
    assert large["matched_id"] == "500"
    assert 0.98 < large["matched_share"] < 1
    small = galaxies.match(faint, 10.0, radius_arcsec=2)
    assert small["matched_id"] == "501"
    assert small["matched_separation_arcsec"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", ["magnitude", "magnitude_ab"])
def test_magnitudes_of_a_table_are_used_and_unknown_ones_are_faint(
    tmp_path: Path, name: str
) -> None:
    near = 10.0 + np.array([1.0, -2.0, 3.0]) / 3600
    table = pa.table(
        {"id": ["a", "b", "c"], "ra": near, "dec": [0.0] * 3, name: [None, 20.0, 23.0]}
    )
    pq.write_table(table, tmp_path / "galaxies.parquet")
    galaxies = Galaxies.read(str(tmp_path / "galaxies.parquet"))
    assert galaxies.match(10.0, 0.0, radius_arcsec=40)["matched_id"] == "b"


def test_galaxies_without_a_position_are_left_out(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": [1, 2, 3],
            "ra": [10.0, None, 11.0],
            "dec": [0.0, 0.0, float("nan")],
            "redshift": [0.1, 0.2, None],
        }
    )
    pq.write_table(table, tmp_path / "galaxies.parquet")
    galaxies = Galaxies.read(str(tmp_path / "galaxies.parquet"))
    assert galaxies.names == ["1"]
    assert galaxies.match(10.0, 0.0, radius_arcsec=2)["redshift"] == pytest.approx(0.1)


def test_damaged_pages_of_galaxies_are_told(tmp_path: Path) -> None:
    file = tmp_path / "galaxies.parquet"
    positions = np.random.default_rng(0).uniform(0, 90, 5000)
    names = [str(number) for number in range(5000)]
    pq.write_table(pa.table({"id": names, "ra": positions, "dec": positions}), file)
    content = bytearray(file.read_bytes())
    content[4 : len(content) // 2] = bytes(len(content) // 2 - 4)
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"galaxies\.parquet: cannot be read as Parquet"):
        Galaxies.read(str(file))
