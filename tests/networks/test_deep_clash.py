"""Deep-CLASH against its description."""

import pytest
import torch
from torch import nn

from catalogtool.errors import ConfigError
from catalogtool.networks import build_network
from catalogtool.networks._base import Network


def _build(**sizes: int) -> Network:
    arguments = {"channels": 1, "classes": 5, "size_pix": 80} | sizes
    return build_network("deep_clash", {}, **arguments)


def test_convolutions_and_dense_layers_have_the_parameters_of_the_intended_wiring() -> None:
    layers = [m for m in _build().modules() if isinstance(m, nn.Conv2d | nn.Linear)]

    assert sum(p.numel() for layer in layers for p in layer.parameters()) == 5_120_621


def test_every_block_has_the_shape_of_the_published_table() -> None:
    network = _build().eval()
    shapes = []
    for layer in (*network.stem, *network.inceptions):
        layer.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape[1:])))

    network(torch.zeros(1, 1, 80, 80))

    table = [(64, 37, 37), (128, 16, 16), (240, 16, 16), (480, 8, 8), (512, 8, 8), (544, 4, 4)]
    assert set(table) <= set(shapes)
    assert shapes[-1] == (528, 4, 4)


def test_features_have_1024_numbers() -> None:
    assert _build().eval().features(torch.zeros(2, 1, 80, 80)).shape == (2, 1024)


def test_another_size_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match=r"needs cutouts of 80 pixels, the survey has 64; set"):
        _build(size_pix=64)
