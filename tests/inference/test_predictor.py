from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_run import make_small_run
from torch.nn import functional

from catalogtool.flags import FATAL, Flag
from catalogtool.inference.predictor import Predictor, pixel_flags
from catalogtool.inputs._base import Cutouts
from catalogtool.preprocess.stretch import prepare
from catalogtool.training.model import load_model
from catalogtool.training.neighbours import Neighbours

SIZE = 24


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    task = make_small_run(tmp_path_factory.mktemp("predictor"))
    return Predictor(load_model(task.model_uri), "channels_last", threads=1, minibatch=16)


def cutouts(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    images = np.random.default_rng(0).normal(size=(count, 3, SIZE, SIZE)).astype(np.float32)
    return images, np.zeros(images.shape, dtype=bool), np.zeros((count, 3), dtype=np.int32)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 39), min_size=1, max_size=60))
def test_result_depends_on_the_cutout_alone(predictor: Predictor, chosen: list[int]) -> None:
    images, mask, flags = cutouts(40)
    flags[7, 1] = Flag.UNREADABLE
    mask[9] = True
    everything = predictor.predict(Cutouts(images, mask, flags))
    some = predictor.predict(Cutouts(images[chosen], mask[chosen], flags[chosen]))
    assert np.array_equal(some.probabilities, everything.probabilities[chosen], equal_nan=True)
    assert np.array_equal(some.flags, everything.flags[chosen])


def test_probabilities_sum_to_one_and_are_nan_exactly_where_flags_are_fatal(
    predictor: Predictor,
) -> None:
    images, mask, flags = cutouts(20)
    flags[3, 0] = Flag.MISSING_BAND
    images[5] = 2.0
    found = predictor.predict(Cutouts(images, mask, flags))
    fatal = (found.flags & FATAL) != 0
    assert np.flatnonzero(fatal).tolist() == [3, 5]
    assert np.isnan(found.probabilities[fatal]).all()
    np.testing.assert_allclose(found.probabilities[~fatal].sum(axis=-1), 1, atol=1e-6)


def universal(folder: Path, threshold: float) -> Predictor:
    """A predictor that knows the first ten of the cutouts."""
    model = load_model(make_small_run(folder).model_uri)
    images, mask, _ = cutouts(10)
    prepared = torch.from_numpy(prepare(images, mask, model.spec.stretch))
    with torch.no_grad():
        directions = functional.normalize(model.network.features(prepared))
    known = Neighbours(directions, torch.tensor(threshold))
    return Predictor(replace(model, neighbours=known), "channels_last", threads=1, minibatch=16)


def test_objects_unlike_all_that_the_model_remembers_are_flagged(
    predictor: Predictor, tmp_path: Path
) -> None:
    images, mask, flags = cutouts(20)
    images[5] = 2.0  # no signal, so no prediction to doubt
    plain = predictor.predict(Cutouts(images, mask, flags))
    assert not (plain.flags & Flag.UNKNOWN_CLASS).any()

    for threshold, expected in ((-1.0, 19), (2.1, 0)):
        found = universal(tmp_path / str(expected), threshold).predict(Cutouts(images, mask, flags))
        is_unknown = found.flags[:, 0] & Flag.UNKNOWN_CLASS != 0
        assert is_unknown.sum() == expected
        assert not is_unknown[5]
        np.testing.assert_allclose(found.probabilities, plain.probabilities, atol=1e-6)


def test_an_object_is_judged_by_its_five_nearest(tmp_path: Path) -> None:
    images, mask, flags = cutouts(20)
    judge = universal(tmp_path, 0.0)
    assert judge.neighbours is not None
    prepared = torch.from_numpy(prepare(images, mask, judge.spec.stretch))
    with torch.no_grad():
        features = load_model(make_small_run(tmp_path / "b").model_uri).network.features(prepared)
    scores = judge.neighbours.score(features)
    middle = float(scores.median()) + 1e-5
    judge.neighbours = replace(judge.neighbours, threshold=torch.tensor(middle))

    found = judge.predict(Cutouts(images, mask, flags))

    is_unknown = found.flags[:, 0] & Flag.UNKNOWN_CLASS != 0
    np.testing.assert_array_equal(is_unknown, scores.numpy() > middle)


def test_no_object_at_all_and_only_flagged_objects_are_fine(predictor: Predictor) -> None:
    images, mask, flags = cutouts(2)
    assert predictor.predict(Cutouts(images[:0], mask[:0], flags[:0])).probabilities.shape == (
        0,
        1,
        2,
    )
    found = predictor.predict(Cutouts(images, np.ones_like(mask), flags))
    assert found.flags.tolist() == [[Flag.NO_VALID_PIXELS]] * 2


def test_pixels_are_judged_by_the_valid_ones() -> None:
    images = np.arange(6 * 4, dtype=np.float32).reshape(6, 1, 2, 2)
    mask = np.zeros(images.shape, dtype=bool)
    mask[1] = True
    images[2] = np.nan
    images[3] = 1.0
    images[4, 0, 0, 0] = np.inf
    images[5] = 1.0
    images[5, 0, 1, 1] = 7.0
    mask[5, 0, 1, 1] = True
    partly = Flag.PARTLY_MASKED
    expected = [0, Flag.NO_VALID_PIXELS, Flag.NO_VALID_PIXELS, Flag.NO_SIGNAL, partly]
    assert pixel_flags(images, mask).tolist() == [*expected, Flag.NO_SIGNAL | partly]


def test_flagged_cutouts_get_no_second_reason(predictor: Predictor) -> None:
    images, mask, flags = cutouts(1)
    flags[:] = Flag.MISSING_FILE
    mask[:] = True
    assert predictor.predict(Cutouts(images, mask, flags)).flags.tolist() == [[Flag.MISSING_FILE]]
