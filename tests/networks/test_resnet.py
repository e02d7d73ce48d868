"""Residual networks against published sizes."""

import pytest
import torch

from catalogtool.errors import ConfigError
from catalogtool.networks import build_network

RESNET18 = {"widths": [64, 128, 256, 512], "blocks": [2, 2, 2, 2], "stem": "large"}


def test_resnet18_has_the_parameters_of_the_published_network() -> None:
    network = build_network("resnet", RESNET18, channels=3, classes=1000, size_pix=224)

    assert sum(p.numel() for p in network.parameters()) == 11_689_512


def test_the_default_is_a_small_network_for_any_size() -> None:
    network = build_network("resnet", {}, channels=3, classes=2, size_pix=33)

    assert sum(p.numel() for p in network.parameters()) < 310_000
    assert network(torch.zeros(2, 3, 33, 33)).shape == (2, 2)


@pytest.mark.parametrize(("stem", "side"), [("small", 64), ("strided", 32), ("large", 16)])
def test_stems_make_maps_of_different_size(stem: str, side: int) -> None:
    network = build_network("resnet", {"stem": stem}, channels=3, classes=2, size_pix=64)

    assert network.stem(torch.zeros(2, 3, 64, 64)).shape == (2, 16, side, side)


def test_the_cosine_head_ignores_the_length_of_the_features() -> None:
    network = build_network("resnet", {"head": "cosine"}, channels=3, classes=4, size_pix=16)
    features = torch.randn(5, 128)

    logits = network.classify(features)

    torch.testing.assert_close(network.classify(7 * features), logits)
    assert logits.abs().max() <= 1 / 0.05


def test_widths_and_blocks_must_agree() -> None:
    with pytest.raises(ConfigError, match="blocks needs 2 numbers, one per width"):
        build_network("resnet", {"widths": [8, 16]}, channels=1, classes=2, size_pix=16)
