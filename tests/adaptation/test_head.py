"""Class weights of networks."""

import pytest
from torch import nn

from catalogtool.adaptation._head import class_weights
from catalogtool.errors import ConfigError
from catalogtool.networks import build_network


@pytest.mark.parametrize("cosine_head", [True, False])
def test_class_weights_are_as_long_as_the_features(cosine_head: bool) -> None:  # noqa: FBT001
    options = {"widths": [3, 4, 6], "cosine_head": cosine_head}
    network = build_network("lenet", options, channels=1, classes=5, size_pix=16)

    assert class_weights(network).shape == (5, 6)


def test_a_network_that_ends_in_another_way_is_refused() -> None:
    network = build_network("lenet", {}, channels=1, classes=5, size_pix=16)
    network.head = nn.Sequential(network.head)

    with pytest.raises(ConfigError, match=r"network lenet: has no weights per class, .* resnet"):
        class_weights(network)
