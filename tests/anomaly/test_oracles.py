"""Oracles of the anomaly methods, and the pitfalls of the published code."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from sklearn.ensemble import IsolationForest
from sklearn.svm import OneClassSVM

from catalogtool.anomaly import (
    autoencoder,
    isolation_forest,
    mahalanobis,
    mcdsvdd,
    nearest_neighbours,
    one_class_svm,
)
from catalogtool.anomaly._conformal import p_values
from catalogtool.anomaly._encoder import Autoencoder, pretrain, run_padded
from catalogtool.anomaly._protocol import Labelled, leave_one_out, precision_at, split
from catalogtool.anomaly._scorer import AnomalyScorer, Scaling
from catalogtool.errors import DataError

QUICK = mcdsvdd.Options(widths=(16, 8), dimensions=3, pretraining_epochs=10, epochs=10)


def clusters(count: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    index = np.arange(count) % 2
    features = rng.normal(size=(count, 4)) * 0.4
    features[:, 0] += 3 * index
    return features.astype(np.float32), index


def test_the_encoder_has_as_many_parameters_as_the_published_one() -> None:
    for dimensions, expected in ((32, 248_448), (64, 252_544)):
        network = Autoencoder(152, mcdsvdd.Options(dimensions=dimensions))
        assert sum(p.numel() for p in network.encoder.parameters()) == expected
        assert network.encoder[-1].bias is None


def test_mahalanobis_distance_equals_the_textbook() -> None:
    features, index = clusters()
    method = mahalanobis.Method.fit(features, index, mahalanobis.Options(shrinkage=1e-9), 0)
    expected = []
    for k in range(2):
        rows = features[index == k].astype(np.float64)
        inverse = np.linalg.inv(np.cov(rows.T))
        centred = features - rows.mean(axis=0)
        expected.append([row @ inverse @ row for row in centred])
    np.testing.assert_allclose(method.distances(features), np.transpose(expected), rtol=1e-4)
    np.testing.assert_allclose(method.score(features), np.min(expected, axis=0), rtol=1e-4)


def test_neighbour_distance_equals_sorting_all_distances() -> None:
    features, index = clusters(60)
    method = nearest_neighbours.Method.fit(features, index, nearest_neighbours.Options(), 0)
    others, _ = clusters(9, seed=1)
    every = np.sort(np.linalg.norm(others[:, None] - features, axis=2), axis=1)
    np.testing.assert_allclose(method.score(others), every[:, 4], rtol=1e-5)


def test_the_forest_scores_like_the_library_that_grew_it() -> None:
    features, index = clusters()
    options = isolation_forest.Options(trees=20)
    method = isolation_forest.Method.fit(features, index, options, seed=4)
    theirs = IsolationForest(n_estimators=20, max_samples=256, random_state=4).fit(features)
    others, _ = clusters(50, seed=2)
    np.testing.assert_allclose(method.score(others), -theirs.score_samples(others), rtol=1e-6)


def test_the_support_vector_machine_scores_like_the_library_that_fitted_it() -> None:
    features, index = clusters()
    method = one_class_svm.Method.fit(features, index, one_class_svm.Options(nu=0.1), 0)
    theirs = OneClassSVM(nu=0.1, gamma="scale").fit(features)
    others, _ = clusters(50, seed=2)
    np.testing.assert_allclose(method.score(others), -theirs.decision_function(others), atol=1e-6)


def test_reconstruction_error_is_the_squared_difference_of_the_network() -> None:
    features, index = clusters()
    options = autoencoder.Options(widths=(16, 8), dimensions=3, pretraining_epochs=5)
    method = autoencoder.Method.fit(features, index, options, 0)
    with torch.no_grad():
        restored = method.network(torch.from_numpy(features)).numpy()
    np.testing.assert_allclose(
        method.score(features), ((restored - features) ** 2).sum(axis=1), rtol=1e-3, atol=1e-5
    )


def test_centres_are_stored_and_are_those_before_the_spheres_were_trained() -> None:
    features, index = clusters()
    method = mcdsvdd.Method.fit(features, index, QUICK, seed=1)
    fresh = pretrain(features, QUICK, seed=1)
    np.testing.assert_allclose(
        method.to_arrays()["centres"], mcdsvdd.mean_embeddings(fresh, features, index), rtol=1e-5
    )


def test_centres_are_means_in_evaluation_mode() -> None:
    features, index = clusters()
    network = pretrain(features, QUICK, seed=1)
    network.train()  # as a caller might leave it: batch statistics would shift the centres
    centres = mcdsvdd.mean_embeddings(network, features, index)
    network.eval()
    with torch.no_grad():
        embedded = network.encoder(torch.from_numpy(features)).numpy()
    np.testing.assert_allclose(centres[1], embedded[index == 1].mean(axis=0), atol=1e-4)


def test_coordinates_of_centres_near_zero_are_pushed_away() -> None:
    network = Autoencoder(4, QUICK)
    torch.nn.init.zeros_(network.encoder[-1].weight)
    features, index = clusters(20)
    centres = mcdsvdd.mean_embeddings(network, features, index)
    np.testing.assert_allclose(np.abs(centres), 0.01)


def test_the_score_is_the_distance_from_the_nearest_centre() -> None:
    features, index = clusters()
    method = mcdsvdd.Method.fit(features, index, QUICK, seed=0)
    embedded = run_padded(method.network.encoder, features)
    slow = [min(float(((e - c) ** 2).sum()) for c in method.centres) for e in embedded]
    np.testing.assert_allclose(method.score(features), slow, rtol=1e-5)


def test_spheres_draw_classes_together_and_do_not_collapse() -> None:
    features, index = clusters()
    method = mcdsvdd.Method.fit(features, index, QUICK, seed=0)
    distances = method.distances(features)
    assert (distances.argmin(axis=1) == index).mean() > 0.95
    between = float(((method.centres[0] - method.centres[1]) ** 2).sum())
    assert between > 2 * float(np.median(method.score(features)))


def test_restoring_inputs_keeps_what_is_far_away_out_of_the_spheres() -> None:
    rng = np.random.default_rng(0)
    index = np.arange(600) % 2
    features = np.zeros((600, 4), dtype=np.float32)
    features[:, 0] = 2 * index + rng.normal(size=600) * 0.2
    features[:, 1:] = rng.normal(size=(600, 3)) * 0.2
    far = features[:200] + np.array([0, 3, 0, 0], dtype=np.float32)
    ratios = []
    for weight in (0.0, 1.0):
        options = QUICK.model_copy(update={"reconstruction": weight, "epochs": 40})
        method = mcdsvdd.Method.fit(features, index, options, seed=0)
        ratios.append(float(np.median(method.score(far)) / np.median(method.score(features))))
    assert ratios[1] > ratios[0]


def test_scaling_is_a_function_of_one_row() -> None:
    features, _ = clusters()
    scaling = Scaling.of(features)
    np.testing.assert_array_equal(scaling.apply(features[:1]), scaling.apply(features)[:1])
    assert np.abs(scaling.apply(features * 1e6)).max() == 6


def test_p_values_count_the_usual_objects_that_score_as_high() -> None:
    held_out = np.array([1, 2, 2, 3], dtype=np.float32)
    found = p_values(np.array([0, 2, 2.5, 9], dtype=np.float32), held_out)
    np.testing.assert_allclose(found, [1, 4 / 5, 2 / 5, 1 / 5])


def test_p_values_of_usual_objects_are_uniform() -> None:
    features, index = clusters(20_000)
    scorer = AnomalyScorer.fit(features, index, ("a", "b"), "mahalanobis", {}, seed=0)
    others, _ = clusters(500, seed=9)
    p = scorer.apply(others).column("p_value").to_numpy()
    assert kstest(p, "uniform").pvalue > 0.01
    assert (p <= 0.05).mean() < 0.08


def test_a_class_that_was_left_out_is_found() -> None:
    features, index = clusters(400)
    labelled = Labelled(features, index, ("a", "b"), split(index, 0.3, seed=0))
    found = leave_one_out(labelled, 1, "mahalanobis", {}, seed=0)
    assert found.auroc > 0.95
    assert found.precision[10] == 1
    assert found.base_rate == pytest.approx(0.5)


def test_a_test_without_anomalies_is_refused() -> None:
    features, index = clusters(400)
    labelled = Labelled(features, index, ("a", "b"), (index == 0) & (np.arange(400) < 100))
    with pytest.raises(DataError, match="0 objects of b"):
        leave_one_out(labelled, 1, "mahalanobis", {}, seed=0)


def test_precision_is_the_share_of_anomalies_among_the_highest() -> None:
    is_anomaly = np.array([True, False, True, False])
    assert precision_at(is_anomaly, np.array([4, 3, 2, 1], dtype=np.float32), 3) == 2 / 3


def test_every_class_gives_its_share_to_the_test() -> None:
    index = np.repeat([0, 1, 2], [100, 10, 3])
    is_test = split(index, 0.3, seed=0)
    assert np.bincount(index[is_test]).tolist() == [30, 3, 1]
