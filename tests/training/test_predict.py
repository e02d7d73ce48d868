"""Probabilities of examples."""

import numpy as np
import pytest
import torch

from catalogtool.config.training import TrainingSpec
from catalogtool.networks._domain_norm import Branch, DomainBatchNorm2d
from catalogtool.training.examples import Examples
from catalogtool.training.model import build_fresh_network
from catalogtool.training.predict import predict_examples


def _examples() -> Examples:
    rng = np.random.default_rng(0)
    return Examples(
        images=rng.random((5, 1, 16, 16), dtype=np.float32),
        votes=np.full((5, 3), np.nan, dtype=np.float32),
        object_id=np.arange(5),
        band=np.zeros(5, dtype=np.int64),
        flagged=0,
    )


@pytest.mark.parametrize("branch", ["source", "target"])
def test_each_survey_is_predicted_by_its_own_normalisation(
    spec: TrainingSpec, branch: Branch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalogtool.training.precision.has_bfloat16", lambda _: False)
    plain = build_fresh_network(spec)
    training = spec.training.model_copy(update={"domain_norm": True})
    network = build_fresh_network(spec.model_copy(update={"training": training}))
    split = [layer for layer in network.modules() if isinstance(layer, DomainBatchNorm2d)]
    state = {name: value for name, value in plain.state_dict().items() if "running" not in name}
    network.load_state_dict(
        {
            name: state.get(name.replace(".source.", ".").replace(".target.", "."), value)
            for name, value in network.state_dict().items()
        }
    )
    for number, layer in enumerate(split):
        layer.source.running_mean.fill_(0.1 * number)
        layer.target.running_mean.fill_(-0.2 * number)
    norms = [layer for layer in plain.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    for number, norm in enumerate(norms):
        norm.running_mean.fill_((0.1 if branch == "source" else -0.2) * number)

    found = predict_examples(network, _examples(), torch.device("cpu"), branch)

    expected = predict_examples(plain, _examples(), torch.device("cpu"))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert {layer.domain for layer in split} == {"target"}  # that of catalogs
