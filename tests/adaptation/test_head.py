"""Class weights of networks."""

import pytest
from torch import nn

from catalogtool.adaptation._head import class_weights
from catalogtool.errors import ConfigError
from catalogtool.networks import build_network


@pytest.mark.parametrize("head", ["cosine", "linear"])
def test_class_weights_are_as_long_as_the_features(head: str) -> None:
    options = {"widths": [3, 4, 6], "head": head}
    network = build_network("lenet", options, channels=1, classes=5, size_pix=16)

    assert class_weights(network).shape == (5, 6)


def test_a_network_that_ends_in_another_way_is_refused() -> None:
    network = build_network("lenet", {}, channels=1, classes=5, size_pix=16)
    network.head = nn.Sequential(network.head)

    with pytest.raises(ConfigError, match=r"network lenet: has no weights per class, .* resnet"):
        class_weights(network)


def test_a_mixture_has_no_weights_and_another_head_is_the_remedy() -> None:
    network = build_network("lenet", {"head": "mixture"}, channels=1, classes=5, size_pix=16)

    with pytest.raises(ConfigError, match=r'network lenet: has no weights .* head = "cosine"'):
        class_weights(network)
