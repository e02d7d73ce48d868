"""LeNet against its published size."""

import pytest
import torch

from catalogtool.errors import ConfigError
from catalogtool.networks import build_network


def test_it_has_the_parameters_of_the_digit_network() -> None:
    network = build_network("lenet", {}, channels=1, classes=10, size_pix=28)

    assert sum(p.numel() for p in network.parameters()) == 431_080  # Caffe's LeNet


@pytest.mark.parametrize("size_pix", [16, 17, 28, 33])
def test_any_size_from_16_pixels_fits(size_pix: int) -> None:
    network = build_network("lenet", {}, channels=3, classes=2, size_pix=size_pix)

    assert network(torch.zeros(2, 3, size_pix, size_pix)).shape == (2, 2)


def test_smaller_cutouts_are_refused() -> None:
    with pytest.raises(ConfigError, match="needs cutouts of 16 pixels or more, the survey has 15"):
        build_network("lenet", {}, channels=1, classes=2, size_pix=15)


def test_the_cosine_head_has_the_temperature_of_the_options() -> None:
    options = {"widths": [2, 3, 5], "head": "cosine", "temperature": 0.1}
    network = build_network("lenet", options, channels=1, classes=4, size_pix=16)
    features = torch.randn(6, 5)

    logits = network.classify(features)

    torch.testing.assert_close(network.classify(7 * features), logits)
    cosines = torch.nn.functional.cosine_similarity(
        features[:, None], network.head.weight[None], dim=2
    )
    torch.testing.assert_close(logits, 10 * cosines)


def test_dropout_is_part_of_training_alone() -> None:
    network = build_network("lenet", {}, channels=1, classes=2, size_pix=16)
    images = torch.rand(4, 1, 16, 16)

    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))
