"""The multi-scale network against its description."""

import math

import pytest
import torch

from catalogtool.errors import ConfigError
from catalogtool.networks import build_network
from catalogtool.networks._base import Network
from catalogtool.networks.multi_scale import BEST
from catalogtool.preprocess.metadata import pack
from catalogtool.preprocess.multi_scale import reduce_cutouts

SCENARIOS = tuple(BEST)
POSITION = ("ra", "dec")


def _build(scenario: str = "multi_scale", **options: object) -> Network:
    torch.manual_seed(1)
    channels = 7 if options.get("metadata") else 6
    size_pix = options.pop("size_pix", 63)
    return build_network(
        "multi_scale",
        {"scenario": scenario, **options},
        channels=channels,
        classes=6,
        size_pix=size_pix,
    )


def test_the_full_network_has_the_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in _build("full", metadata=POSITION).parameters()) == 96_482


def test_full_cutouts_are_flattened_to_the_published_number_of_features() -> None:
    network = _build("full").eval()

    assert network.embed_reduced(torch.rand(2, 6, 63, 63)).shape == (2, 1664)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_defaults_are_those_of_the_authors(scenario: str) -> None:
    network = _build(scenario)

    widths = [
        layer.out_channels
        for layer in network.convolutions
        if hasattr(layer, "stride") and hasattr(layer, "out_channels")
    ]
    assert (*widths, network.head.in_features) == BEST[scenario].widths
    assert network.dropout.p == BEST[scenario].dropout


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("mirrored", [(), (2,)])
@pytest.mark.parametrize("turn", range(4))
def test_all_symmetries_of_what_is_seen_give_the_same_embedding(
    scenario: str, turn: int, mirrored: tuple[int, ...]
) -> None:
    network = _build(scenario).eval()
    reduced = reduce_cutouts(torch.rand(2, 6, 63, 63), scenario)
    changed = reduced.rot90(turn, (2, 3)).flip(mirrored)

    found = network.embed_reduced(changed)

    torch.testing.assert_close(found, network.embed_reduced(reduced), rtol=0, atol=1e-5)


@pytest.mark.parametrize("turn", range(4))
def test_logits_of_full_cutouts_are_those_of_their_mirror_images(turn: int) -> None:
    network = _build("full").eval()
    images = torch.rand(2, 6, 63, 63)

    changed = network(images.flip(3).rot90(turn, (2, 3)))

    torch.testing.assert_close(changed, network(images), rtol=0, atol=1e-5)


def test_levels_share_the_convolutions_but_not_the_dense_layer() -> None:
    network = _build().eval()
    reduced = torch.rand(1, 24, 8, 8)
    swapped = reduced.unflatten(1, (4, 6)).flip(1).flatten(1, 2)

    straight = network.embed_reduced(reduced).view(4, -1)

    torch.testing.assert_close(network.embed_reduced(swapped).view(4, -1), straight.flip(0))


def test_only_the_scenario_decides_what_is_seen() -> None:
    images = torch.rand(1, 6, 63, 63)
    outside = images.clone()
    outside[..., :24] = 0  # beyond the central 16 pixels

    seen = {name: _build(name).eval() for name in SCENARIOS}

    changed = {n for n, net in seen.items() if not torch.equal(net(images), net(outside))}
    assert changed == {"low_res", "multi_scale", "full"}


def test_a_position_is_seen_as_a_point_on_the_sphere() -> None:
    network = _build("cropped", metadata=POSITION).eval()
    seen = []
    network.position_norm.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0]))
    values = torch.tensor([[90.0, 0.0], [180.0, 60.0], [10.0, torch.nan]])

    network(pack(torch.rand(3, 6, 63, 63), values))

    expected = torch.tensor([[0, 1, 0], [-0.5, 0, math.sqrt(0.75)], [0, 0, 0]])
    torch.testing.assert_close(seen[0], expected, rtol=0, atol=1e-6)


def test_positions_that_are_a_turn_apart_are_the_same() -> None:
    network = _build("cropped", metadata=("dec", "ra")).eval()
    images = torch.rand(1, 6, 63, 63)

    here, there = (network(pack(images, torch.tensor([[5.0, ra]]))) for ra in (10.0, 370.0))

    torch.testing.assert_close(here, there)


def test_other_numbers_are_scaled_by_the_training_alerts_and_the_position_is_not() -> None:
    network = _build("cropped", metadata=("magpsf", "ra", "chinr", "dec")).eval()
    values = torch.tensor([[18.0, 10.0, 1.0, -5.0], [20.0, 200.0, 99.0, 80.0]])
    seen = []
    network.metadata.norm.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0]))

    network.fit_metadata(values)
    network(pack(torch.rand(2, 6, 63, 63), values))

    assert network.metadata.mean.tolist() == [19.0, 8.0]  # chinr is 15 at most
    torch.testing.assert_close(seen[0], torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))
    assert network.dense.in_features == network.flat + 3 + 2


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("size_pix", [30, 64, 80])
def test_cutouts_of_other_sizes_fit(scenario: str, size_pix: int) -> None:
    network = _build(scenario, size_pix=size_pix).eval()

    assert network(torch.rand(2, 6, size_pix, size_pix)).shape == (2, 6)
    assert network(torch.rand(0, 6, size_pix, size_pix)).shape == (0, 6)


def test_a_step_in_half_precision_has_finite_gradients() -> None:
    network = _build(metadata=POSITION)
    with torch.autocast("cpu", torch.bfloat16):
        alerts = pack(torch.rand(4, 6, 63, 63), torch.rand(4, 2))
        loss = network(alerts).square().mean()

    loss.backward()

    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_what_cannot_be_seen_is_refused() -> None:
    with pytest.raises(ConfigError, match="65 numbers do not fit into a channel of 64 pixels"):
        _build("low_res", size_pix=8, metadata=tuple(f"fact{index}" for index in range(65)))
    with pytest.raises(ConfigError, match="15 pixels are too small for this scale: 16"):
        _build("cropped", size_pix=15)
    with pytest.raises(ConfigError, match="7 pixels are too small for this scale: 8"):
        _build("multi_scale", size_pix=7)
