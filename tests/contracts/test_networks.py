"""What every network must do."""

import pytest
import torch

from catalogtool.errors import ConfigError
from catalogtool.networks import build_network, network_names
from catalogtool.networks._base import Network

SIZE_PIX = 80
CLASSES = 5


def _build(name: str, channels: int = 1) -> Network:
    torch.manual_seed(1)
    return build_network(name, {}, channels=channels, classes=CLASSES, size_pix=SIZE_PIX)


@pytest.mark.parametrize("name", network_names())
@pytest.mark.parametrize("channels", [1, 3])
def test_logits_have_one_column_per_class_and_are_finite(name: str, channels: int) -> None:
    network = _build(name, channels).eval()
    images = torch.rand(3, channels, SIZE_PIX, SIZE_PIX)

    logits = network(images)

    assert logits.shape == (3, CLASSES)
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(network.classify(network.features(images)), logits)


@pytest.mark.parametrize("name", network_names())
def test_one_cutout_or_none_is_a_batch_too(name: str) -> None:
    network = _build(name).eval()

    assert network(torch.rand(1, 1, SIZE_PIX, SIZE_PIX)).shape == (1, CLASSES)
    assert network(torch.rand(0, 1, SIZE_PIX, SIZE_PIX)).shape == (0, CLASSES)


@pytest.mark.parametrize("name", network_names())
def test_the_head_alone_makes_logits_of_features(name: str) -> None:
    network = _build(name)
    features = network.features(torch.rand(2, 1, SIZE_PIX, SIZE_PIX)).detach()

    network.classify(features).sum().backward()

    head = {id(parameter) for parameter in network.head.parameters()}
    assert {id(p) for p in network.parameters() if p.grad is not None} == head


@pytest.mark.parametrize("name", network_names())
def test_the_same_seed_gives_the_same_weights(name: str) -> None:
    first, second = _build(name).state_dict(), _build(name).state_dict()

    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("name", network_names())
def test_an_unknown_option_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"network {name}: depht: is not a known key"):
        build_network(name, {"depht": 3}, channels=1, classes=2, size_pix=SIZE_PIX)
