"""Lensed arcs: their shape, their colour, and that no label knows them."""

import numpy as np
import pytest

from catalogtool.errors import ConfigError
from catalogtool.inputs._base import votes_of
from catalogtool.inputs._simulation.galaxies import Galaxies, Kind, draw_block
from catalogtool.inputs._simulation.render import Camera, draw_parts
from catalogtool.inputs._simulation.spectra import part_fluxes
from catalogtool.inputs.simulated import Format
from catalogtool.surveys import Survey, load_survey

CAMERA = Camera(0.1, (0.2,))
LENS_RADIUS_ARCSEC = 1.0


def _lenses(survey: Survey) -> Galaxies:
    galaxies = draw_block(survey, 0)
    return galaxies.take(np.flatnonzero(galaxies.kind == Kind.LENSED_ARC))


def _arc_light(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance in lens radii, position angle and light of the pixels of a lens's arcs."""
    lens = _lenses(load_survey("deep_mock")).take(slice(0, 1))
    lens.radius_arcsec[:] = LENS_RADIUS_ARCSEC
    light = draw_parts(lens, np.array([[0.0, 0.0, 100.0]]), CAMERA, np.random.default_rng(seed))[0]
    up, across = (np.indices(light.shape) - light.shape[0] // 2) * CAMERA.pixel_scale_arcsec
    return np.hypot(up, across), np.arctan2(up, across), light


@pytest.mark.parametrize("seed", range(5))
def test_arcs_lie_on_a_circle_around_the_lens(seed: int) -> None:
    distance, _, light = _arc_light(seed)

    near = light[(distance > 1.2) & (distance < 2.7)].sum()
    assert near > 0.9 * light.sum()
    assert light[distance < 0.8].sum() < 0.02 * light.sum()


@pytest.mark.parametrize("seed", range(5))
def test_arcs_are_longer_along_the_circle_than_across(seed: int) -> None:
    distance, angle, light = _arc_light(seed)
    middle = np.angle((light * np.exp(1j * angle)).sum())
    offset = np.angle(np.exp(1j * (angle - middle)))
    main = np.where(np.abs(offset) < np.pi / 2, light, 0)
    radius = np.average(distance, weights=main)

    along = np.sqrt(np.average((radius * offset) ** 2, weights=main))
    across = np.sqrt(np.average((distance - radius) ** 2, weights=main))

    assert along > 2 * across


def test_arcs_are_bluer_than_their_lens() -> None:
    survey = load_survey("deep_mock")  # red to blue
    bulge, _, arc = np.moveaxis(part_fluxes(_lenses(survey), survey), -1, 0)

    assert np.all(arc[:, -1] / arc[:, 0] > 1.5 * bulge[:, -1] / bulge[:, 0])


def test_the_survey_has_as_many_as_it_says() -> None:
    survey = load_survey("deep_mock")
    kinds = np.concatenate([draw_block(survey, block).kind for block in range(8)])

    assert (kinds == Kind.LENSED_ARC).mean() == pytest.approx(0.1 / 1.1, abs=0.015)


def test_no_survey_has_any_unless_it_asks_for_them() -> None:
    for name in ("candels", "clash", "sdss", "shallow_mock"):
        assert not len(_lenses(load_survey(name)).kind)


def test_arcs_are_listed_without_a_label() -> None:
    survey = load_survey("deep_mock")
    votes = votes_of(next(Format(survey, None).list_objects()), survey)[:, 0]
    is_arc = draw_block(survey, 0).kind == Kind.LENSED_ARC

    assert np.isnan(votes[is_arc]).all()
    np.testing.assert_array_equal(votes[~is_arc].sum(axis=1), 1)


def test_who_makes_arcs_a_class_sees_the_same_objects_with_their_label() -> None:
    survey = load_survey("deep_mock")
    classes = (*survey.labels.classes, "lensed_arc")
    values = survey.labels.values | {"3": "lensed_arc"}
    labels = survey.labels.model_copy(update={"classes": classes, "values": values})
    aware = survey.model_copy(update={"labels": labels})

    plain, known = (Format(s, None) for s in (survey, aware))
    rows = next(plain.list_objects()).slice(0, 3)
    votes = votes_of(next(known.list_objects()), aware)[:, 0]

    np.testing.assert_array_equal(plain.read(rows).images, known.read(rows).images)
    np.testing.assert_array_equal(votes[:, 3] == 1, draw_block(survey, 0).kind == Kind.LENSED_ARC)


def test_other_kinds_must_be_classes_as_before() -> None:
    survey = load_survey("deep_mock")
    assert survey.simulation is not None
    shares = survey.simulation.shares | {"point_source": 0.1}
    simulation = survey.simulation.model_copy(update={"shares": shares})

    with pytest.raises(ConfigError, match="cannot simulate the classes spheroid, disk, irregular"):
        Format(survey.model_copy(update={"simulation": simulation}), None)


def test_no_galaxy_is_in_both_mocks() -> None:
    shallow, deep = (draw_block(load_survey(name), 0) for name in ("shallow_mock", "deep_mock"))

    assert not set(shallow.redshift) & set(deep.redshift)


def test_both_mocks_differ_in_depth_and_arcs_alone() -> None:
    shallow, deep = (load_survey(name) for name in ("shallow_mock", "deep_mock"))
    assert shallow.simulation is not None
    assert deep.simulation is not None

    for field in ("magnitude_limit", "median_redshift", "radius_at_limit"):
        assert getattr(shallow.simulation, field) == getattr(deep.simulation, field)
    assert deep.simulation.shares == {**shallow.simulation.shares, "lensed_arc": 0.1}
    for before, after in zip(shallow.bands, deep.bands, strict=True):
        same = {"depth": before.depth}
        assert after.model_copy(update=same) == before
        assert (after.depth - before.depth).value == pytest.approx(1.2)
