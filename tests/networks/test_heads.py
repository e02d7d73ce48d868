"""Which networks have a choice of heads."""

import pytest

from catalogtool.errors import ConfigError
from catalogtool.networks import build_network, fitting_head
from catalogtool.networks._mixture_head import MixtureHead


@pytest.mark.parametrize("name", ["deep_hits", "lenet", "mixture", "resnet", "stamp_classifier"])
def test_a_network_with_the_choice_may_end_in_a_mixture(name: str) -> None:
    options = fitting_head(name, {"latent": 7}, ("mixture",))
    network = build_network(name, options, channels=3, classes=4, size_pix=21)

    assert isinstance(network.head, MixtureHead)
    assert network.head.mixture.centres.shape == (4, 7)


def test_a_head_that_fits_is_kept_and_another_is_replaced() -> None:
    heads = ("cosine", "linear")

    assert fitting_head("resnet", {}, heads) == {}  # linear
    assert fitting_head("resnet", {"head": "cosine"}, heads) == {"head": "cosine"}
    assert fitting_head("resnet", {"head": "mixture"}, heads) == {"head": "cosine"}
    assert fitting_head("mixture", {"dense": 8}, heads) == {"dense": 8, "head": "cosine"}
    assert fitting_head("deep_clash", {}, heads) == {}


def test_a_network_without_the_choice_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"deep_clash: ends in a linear head, .*mixture"):
        fitting_head("deep_clash", {}, ("mixture",))
