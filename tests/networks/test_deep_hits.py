"""Deep-HiTS against its description."""

import pytest
import torch

from catalogtool.errors import ConfigError
from catalogtool.networks import build_network
from catalogtool.networks._base import Network
from catalogtool.networks._heads import CosineHead


def _build(options: dict[str, object] | None = None, **sizes: int) -> Network:
    torch.manual_seed(1)
    arguments = {"channels": 4, "classes": 2, "size_pix": 21} | sizes
    return build_network("deep_hits", options or {}, **arguments)


def test_four_channels_and_two_classes_make_the_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in _build().parameters()) == 697_858


def test_feature_maps_have_the_published_shapes() -> None:
    network = _build(channels=3).eval()
    shapes = []
    for layer in network.convolutions:
        layer.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape)))

    features = network.features(torch.rand(5, 3, 21, 21))

    assert shapes[0] == (20, 32, 24, 24)
    assert shapes[-2:] == [(20, 64, 6, 6), (20, 2304)]
    assert features.shape == (5, 64)


def test_turning_a_cutout_turns_the_parts_that_the_dense_layers_see() -> None:
    network = _build().eval()
    seen = []
    network.dense.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0]))
    images = torch.rand(3, 4, 21, 21)

    network.features(images)
    network.features(images.rot90(1, (2, 3)))

    straight, turned = (joined.view(3, 4, -1) for joined in seen)
    torch.testing.assert_close(turned, straight.roll(-1, dims=1))


def test_cutouts_do_not_see_each_other() -> None:
    network = _build().eval()
    images = torch.rand(4, 4, 21, 21)

    alone = torch.cat([network(image[None]) for image in images])

    torch.testing.assert_close(network(images), alone)


def test_a_cosine_head_bounds_the_logits_by_the_temperature() -> None:
    network = _build({"head": "cosine", "temperature": 0.1}).eval()

    assert isinstance(network.head, CosineHead)
    assert network(10 * torch.rand(8, 4, 21, 21)).abs().max() <= 10.0001


def test_dropout_is_for_training_alone() -> None:
    network = _build({"dropout": 0.9})
    images = torch.rand(2, 4, 21, 21)

    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))


@pytest.mark.parametrize("size_pix", [3, 20, 22, 63])
def test_cutouts_of_any_size_fit(size_pix: int) -> None:
    network = _build(size_pix=size_pix).eval()

    assert network(torch.rand(2, 4, size_pix, size_pix)).shape == (2, 2)


def test_cutouts_of_which_nothing_would_be_left_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"needs cutouts of 3 pixels or more, the survey has 2"):
        _build(size_pix=2)
