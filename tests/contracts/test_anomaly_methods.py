"""Every anomaly method keeps its promises, whichever files are in the folder."""

import numpy as np
import pytest
import safetensors.numpy

from catalogtool.anomaly import load_method, method_names, read_method_options
from catalogtool.anomaly._base import FloatArray, IntArray, Method
from catalogtool.anomaly._scorer import AnomalyScorer
from catalogtool.errors import ConfigError, DataError

pytestmark = pytest.mark.parametrize("name", method_names())

CLASSES = ("agn", "sn", "vs")
SMALL = {"widths": [16, 8], "dimensions": 4, "pretraining_epochs": 4, "epochs": 4, "batch_size": 32}


def options_of(name: str) -> dict[str, object]:
    """Small networks, where a method has any."""
    fields = read_method_options(name, {}).to_json()
    if "widths" in fields:
        return dict(SMALL)
    return {"options": {"mcdsvdd": SMALL}} if "methods" in fields else {}


def usual(count: int, seed: int = 0) -> tuple[FloatArray, IntArray]:
    """Three clusters in five features."""
    rng = np.random.default_rng(seed)
    index = np.arange(count) % 3
    centres = np.array([[0, 0, 0, 0, 0], [4, 0, 1, 0, 0], [0, 4, 0, 1, 0]], dtype=np.float32)
    return centres[index] + rng.normal(size=(count, 5)).astype(np.float32) * 0.5, index


def fit(name: str, seed: int = 0) -> Method:
    features, index = usual(150)
    settings = read_method_options(name, options_of(name))
    return load_method(name).fit(features, index, settings, seed)


def scorer(name: str) -> AnomalyScorer:
    features, index = usual(240)
    return AnomalyScorer.fit(features, index, CLASSES, name, options_of(name), seed=0)


def test_what_is_far_away_scores_higher_than_most_usual_objects(name: str) -> None:
    method = fit(name)
    far = np.full((1, 5), -6, dtype=np.float32)
    assert method.score(far)[0] > np.median(method.score(usual(60, seed=1)[0]))


def test_scores_do_not_depend_on_company_or_order(name: str) -> None:
    method = fit(name)
    features, _ = usual(300, seed=2)
    whole = method.score(features)
    assert whole.shape == (300,)
    assert whole.dtype == np.float32
    order = np.random.default_rng(3).permutation(300)
    np.testing.assert_array_equal(method.score(features[order]), whole[order])
    np.testing.assert_array_equal(method.score(features[7:8]), whole[7:8])


def test_a_seed_decides_everything(name: str) -> None:
    features, _ = usual(30, seed=2)
    np.testing.assert_array_equal(fit(name).score(features), fit(name).score(features))


def test_arrays_restore_the_method(name: str) -> None:
    method = fit(name)
    stored = safetensors.numpy.save(
        {key: np.ascontiguousarray(value) for key, value in method.to_arrays().items()}
    )
    settings = read_method_options(name, options_of(name))
    again = load_method(name).from_arrays(safetensors.numpy.load(stored), settings)
    features, _ = usual(30, seed=2)
    np.testing.assert_array_equal(again.score(features), method.score(features))


def test_a_stored_scorer_says_the_same(name: str) -> None:
    first = scorer(name)
    features, _ = usual(30, seed=2)
    table = first.apply(features)
    assert AnomalyScorer.from_bytes(first.to_bytes()).apply(features).equals(table)
    assert table.column("distances").to_pylist()[0] != []
    assert {len(row) for row in table.column("distances").to_pylist()} == {3}
    assert set(table.column("nearest_class").to_pylist()) <= set(CLASSES)
    p = table.column("p_value").to_numpy()
    assert ((p > 0) & (p <= 1)).all()
    assert first.apply(features[:0]).num_rows == 0


def test_constant_features_change_nothing(name: str) -> None:
    features, index = usual(150)
    constant = np.concatenate([features, np.full((150, 1), 1e4 / 3, np.float32)], axis=1)
    fitted = AnomalyScorer.fit(constant, index, CLASSES, name, options_of(name), seed=0)
    assert np.isfinite(fitted.apply(constant).column("score").to_numpy()).all()


def test_infinite_features_are_refused_with_their_row(name: str) -> None:
    features, index = usual(150)
    features[31, 2] = np.nan
    with pytest.raises(DataError, match="row 31"):
        AnomalyScorer.fit(features, index, CLASSES, name, options_of(name), seed=0)
    with pytest.raises(DataError, match="row 31"):
        scorer(name).apply(features)


def test_a_class_with_too_few_objects_is_refused(name: str) -> None:
    features, index = usual(150)
    index[:] = np.where(np.arange(150) < 2, 2, index % 2)
    with pytest.raises(DataError, match="vs 2"):
        AnomalyScorer.fit(features, index, CLASSES, name, options_of(name), seed=0)


def test_unknown_options_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="nonsense"):
        read_method_options(name, {"nonsense": 1})
