import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_run import make_small_run

from catalogtool.catalogs._common import entropy_nat
from catalogtool.flags import FATAL, Flag
from catalogtool.inference.predictor import Predictor, pixel_flags
from catalogtool.inputs._base import Cutouts
from catalogtool.training.calibration import Calibration
from catalogtool.training.model import load_model

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


def _with_threshold(predictor: Predictor, threshold: float | None) -> np.ndarray:
    """Bits for unknown classes among 20 objects, one of which has no signal."""
    images, mask, flags = cutouts(20)
    images[5] = 2.0
    predictor.unknown_threshold = threshold
    found = predictor.predict(Cutouts(images, mask, flags))
    predictor.unknown_threshold = None
    entropy = entropy_nat(found.probabilities[:, 0])
    is_unknown = found.flags[:, 0] & Flag.UNKNOWN_CLASS != 0
    np.testing.assert_array_equal(
        is_unknown, entropy > (np.inf if threshold is None else threshold)
    )
    return is_unknown


def test_objects_above_the_threshold_of_the_model_are_flagged_as_unknown(
    predictor: Predictor,
) -> None:
    assert predictor.unknown_threshold is None
    assert not _with_threshold(predictor, None).any()
    assert np.flatnonzero(~_with_threshold(predictor, 0.0)).tolist() == [5]
    assert not _with_threshold(predictor, math.log(2) + 1e-6).any()


def test_the_threshold_is_in_the_record_of_the_model(tmp_path: Path) -> None:
    model = load_model(make_small_run(tmp_path).model_uri)
    universal = replace(model, metrics=model.metrics | {"unknown_threshold": 0.3})

    predictor = Predictor(universal, "channels_last", threads=1, minibatch=16)

    assert predictor.unknown_threshold == 0.3


def test_the_threshold_is_compared_before_calibration(tmp_path: Path) -> None:
    model = load_model(make_small_run(tmp_path).model_uri)
    images, mask, flags = cutouts(20)
    raw = Predictor(model, "channels_last", threads=1, minibatch=16).predict(
        Cutouts(images, mask, flags)
    )
    entropy = entropy_nat(raw.probabilities[:, 0])
    threshold = float(np.median(entropy))
    sharp = Calibration(3 * torch.eye(2), torch.zeros(2))
    changes = {"metrics": model.metrics | {"unknown_threshold": threshold}, "calibration": sharp}
    predictor = Predictor(replace(model, **changes), "channels_last", threads=1, minibatch=16)

    found = predictor.predict(Cutouts(images, mask, flags))

    is_unknown = found.flags[:, 0] & Flag.UNKNOWN_CLASS != 0
    np.testing.assert_array_equal(is_unknown, entropy > threshold)
    expected = sharp.apply_to_array(raw.probabilities[:, 0])
    np.testing.assert_allclose(found.probabilities[:, 0], expected, atol=1e-6)


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
