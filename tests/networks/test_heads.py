"""Which networks have a choice of heads."""

import pytest

from catalogtool.errors import ConfigError
from catalogtool.networks import build_network, with_head
from catalogtool.networks._mixture_head import MixtureHead


@pytest.mark.parametrize("name", ["deep_hits", "lenet", "mixture", "resnet", "stamp_classifier"])
def test_a_network_with_the_choice_may_end_in_a_mixture(name: str) -> None:
    options = with_head(name, {"latent": 7}, "mixture")
    network = build_network(name, options, channels=3, classes=4, size_pix=21)

    assert isinstance(network.head, MixtureHead)
    assert network.head.mixture.centres.shape == (4, 7)


def test_a_network_without_the_choice_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r'network deep_clash: has one head, .* "mixture".* resnet'
    ):
        with_head("deep_clash", {}, "mixture")
