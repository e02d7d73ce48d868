"""Simulated votes against the published means, and the panel against its own rules."""

from pathlib import Path

import numpy as np
import pytest

from catalogtool.inputs._base import votes_of
from catalogtool.inputs._simulation.galaxies import draw_block, random_stream
from catalogtool.inputs._simulation.raters import draw_votes, opinions, signal_to_noise
from catalogtool.inputs._simulation.spectra import part_fluxes
from catalogtool.inputs.simulated import Format
from catalogtool.surveys import load_survey

# Mean vote fractions of the published label tables, classes in survey order.
PUBLISHED = {
    "clash": (0.428, 0.200, 0.182, 0.064, 0.127),
    "candels": (0.250, 0.493, 0.147, 0.080, 0.030),
}


def simulated_votes(name: str) -> np.ndarray:
    """Votes of 2,048 objects: shape (N, R, K)."""
    survey = load_survey(name)
    assert survey.simulation is not None
    blocks = []
    for block in range(4):
        galaxies = draw_block(survey, block)
        means = opinions(galaxies, part_fluxes(galaxies, survey), survey)
        rng = random_stream(survey, "votes", block)
        blocks.append(draw_votes(means, survey.simulation.raters, rng))
    return np.concatenate(blocks)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_mean_votes_are_those_of_the_published_labels(name: str) -> None:
    np.testing.assert_allclose(simulated_votes(name).mean(axis=(0, 1)), PUBLISHED[name], atol=0.05)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_fifth_to_a_third_of_the_labels_are_unanimous(name: str) -> None:
    unanimous = (simulated_votes(name).max(axis=-1) > 0.999).mean()
    assert 0.18 < unanimous < 0.35


def test_ultraviolet_bands_are_often_unclassifiable_and_red_bands_hardly_ever() -> None:
    lost = simulated_votes("clash").mean(axis=0)[:, -1]
    np.testing.assert_allclose(lost[:3], (0.604, 0.402, 0.585), atol=0.2)
    assert lost[:3].mean() == pytest.approx(0.53, abs=0.05)
    assert np.all(lost[6:] < 0.06)
    assert np.all(np.diff(lost[2:6]) < 0)


@pytest.mark.parametrize("raters", [1, 5, 7])
def test_votes_sum_to_one_in_steps_of_one_rater(raters: int) -> None:
    means = np.full((50, 3, 5), 0.2)
    votes = draw_votes(means, raters, np.random.default_rng(1)).astype(np.float64)
    np.testing.assert_allclose(votes.sum(axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(votes * raters, np.rint(votes * raters), atol=1e-5)


def test_opinions_are_probabilities_and_their_votes_have_their_mean() -> None:
    survey = load_survey("candels")
    galaxies = draw_block(survey, 0)
    means = opinions(galaxies, part_fluxes(galaxies, survey), survey)
    np.testing.assert_allclose(means.sum(axis=-1), 1, rtol=1e-9)
    repeated = np.broadcast_to(means[:20], (4000, 20, 1, 5))
    votes = draw_votes(repeated, 5, np.random.default_rng(2))
    np.testing.assert_allclose(votes.mean(axis=0), means[:20], atol=0.03)


def test_a_point_source_at_the_depth_has_a_signal_to_noise_of_five() -> None:
    survey = load_survey("candels")
    galaxies = draw_block(survey, 0)
    points = galaxies.take(np.flatnonzero(galaxies.radius_arcsec == 0))
    snr = signal_to_noise(points, part_fluxes(points, survey), survey)[:, 0]
    depth = float(survey.bands[0].depth.value)
    np.testing.assert_allclose(snr, 5 * 10 ** (0.4 * (depth - points.mag_ab)), rtol=1e-6)


def test_exactly_the_wanted_number_of_cutouts_is_labelled() -> None:
    survey = load_survey("clash")
    assert survey.simulation is not None
    tables = list(Format(survey, None).list_objects())
    labelled = sum(int(np.isfinite(votes_of(t, survey)[..., 0]).sum()) for t in tables)
    assert labelled == survey.simulation.labelled_cutouts


@pytest.mark.data
def test_published_means_are_those_of_the_label_tables(data_folder: Path) -> None:
    for name, published in PUBLISHED.items():
        path = data_folder / "galaxy-candels-clash" / f"{name.upper()}_labels.csv"
        if not path.exists():
            pytest.skip(f"no real labels: {path} does not exist")
        table = np.genfromtxt(path, delimiter=",", skip_header=1, usecols=range(1, 6))
        np.testing.assert_allclose(table.mean(axis=0), published, atol=0.001)
