"""The ALeRCE stamp classifier against its description."""

import pytest
import torch

from catalogtool.errors import ConfigError
from catalogtool.networks import build_network
from catalogtool.networks._base import Network
from catalogtool.networks._heads import CosineHead
from catalogtool.preprocess.metadata import pack

DEPLOYED = (
    *("sgscore1", "distpsnr1", "sgscore2", "distpsnr2", "sgscore3", "distpsnr3", "isdiffpos"),
    *("fwhm", "magpsf", "sigmapsf", "ra", "dec", "diffmaglim", "classtar", "ndethist", "ncovhist"),
    *("ecl_lat", "ecl_long", "gal_lat", "gal_long", "non_detections", "chinr", "sharpnr"),
)
EARLIER = (*DEPLOYED, "rb", "distnr", "magnr")


def _build(options: dict[str, object] | None = None, **sizes: int) -> Network:
    torch.manual_seed(1)
    options = options or {}
    channels = 4 if options.get("metadata") else 3
    arguments = {"channels": channels, "classes": 5, "size_pix": 21} | sizes
    return build_network("stamp_classifier", options, **arguments)


def _alerts(count: int, names: tuple[str, ...]) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    images = torch.rand(count, 3, 21, 21, generator=generator)
    return pack(images, torch.randn(count, len(names), generator=generator))


@pytest.mark.parametrize(
    ("kernel", "names", "count"), [(3, EARLIER, 261_049), (5, DEPLOYED, 441_075)]
)
def test_the_published_models_have_their_numbers_of_parameters(
    kernel: int, names: tuple[str, ...], count: int
) -> None:
    network = _build({"kernel": kernel, "metadata": names})

    assert sum(p.numel() for p in network.parameters()) == count


def test_feature_maps_have_the_published_shapes() -> None:
    network = _build().eval()
    shapes = []
    for layer in network.convolutions:
        layer.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape)))

    features = network.features(torch.rand(2, 3, 21, 21))

    assert shapes[0] == (8, 32, 24, 24)
    assert shapes[4] == (8, 32, 12, 12)
    assert shapes[-2:] == [(8, 64, 6, 6), (8, 2304)]
    assert features.shape == (2, 64)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size_pix", [21, 24, 63])
@pytest.mark.parametrize("turn", [1, 2, 3])
def test_logits_do_not_change_when_a_cutout_is_turned(
    kernel: int, size_pix: int, turn: int
) -> None:
    network = _build({"kernel": kernel}, size_pix=size_pix).eval()
    images = torch.randn(3, 3, size_pix, size_pix)

    turned = network(images.rot90(turn, (2, 3)))

    torch.testing.assert_close(turned, network(images), rtol=0, atol=1e-5)


def test_metadata_stay_as_they_are_when_the_cutout_beside_them_is_turned() -> None:
    network = _build({"metadata": DEPLOYED}).eval()
    alerts = _alerts(3, DEPLOYED)
    turned = alerts.clone()
    turned[:, :3] = alerts[:, :3].rot90(1, (2, 3))

    torch.testing.assert_close(network(turned), network(alerts), rtol=0, atol=1e-5)


def test_a_mirror_image_is_another_cutout() -> None:
    network = _build().eval()
    images = torch.randn(3, 3, 21, 21)

    assert (network(images.flip(3)) - network(images)).abs().max() > 1e-4


def test_metadata_are_clipped_then_scaled_by_the_training_alerts() -> None:
    network = _build({"metadata": ("ndethist", "magpsf")})
    training = torch.tensor([[5.0, 18.0], [100.0, 20.0], [15.0, 22.0]])

    network.fit_metadata(training)

    clipped = torch.tensor([[5.0, 18.0], [20.0, 20.0], [15.0, 22.0]])
    expected = (clipped - clipped.mean(dim=0)) / clipped.std(dim=0, correction=0)
    torch.testing.assert_close(network.metadata.standardised(training), expected)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("sgscore1", -1, 1e9),
        ("distpsnr3", -1, 1e9),
        ("distnr", -1, 1e9),
        ("magnr", -1, 1e9),
        ("fwhm", -1e9, 10),
        ("ndethist", -1e9, 20),
        ("ncovhist", -1e9, 3000),
        ("non_detections", -1e9, 2000),
        ("chinr", -1, 15),
        ("sharpnr", -1, 1.5),
        ("magpsf", -1e9, 1e9),
    ],
)
def test_every_number_has_the_published_limits(name: str, low: float, high: float) -> None:
    network = _build({"metadata": (name,)})

    found = network.metadata.standardised(torch.tensor([[-1e9], [0.5], [1e9]]))

    torch.testing.assert_close(found, torch.tensor([[low], [0.5], [high]]).float())


def test_an_unknown_number_is_the_mean_and_a_missing_neighbour_is_minus_one() -> None:
    network = _build({"metadata": ("magpsf", "distnr")})
    network.fit_metadata(torch.tensor([[18.0, 1.0], [20.0, 3.0], [float("nan"), 5.0]]))

    unknown = network.metadata.standardised(torch.full((1, 2), torch.nan))

    expected = (-1 - 3) / (8 / 3) ** 0.5
    torch.testing.assert_close(unknown, torch.tensor([[0.0, expected]]))


def test_a_number_that_is_never_known_or_never_varies_does_not_break_the_scale() -> None:
    network = _build({"metadata": ("magpsf", "fwhm")}).eval()
    network.fit_metadata(torch.tensor([[torch.nan, 2.0], [torch.nan, 2.0]]))

    assert network.metadata.mean.tolist() == [0.0, 2.0]
    assert network.metadata.std.tolist() == [1.0, 1.0]
    assert network(pack(torch.rand(1, 3, 21, 21), torch.full((1, 2), torch.nan))).isfinite().all()


def test_the_scale_travels_with_the_weights() -> None:
    trained, fresh = (_build({"metadata": DEPLOYED}) for _ in range(2))
    trained.fit_metadata(5 + 3 * torch.randn(50, len(DEPLOYED)))

    fresh.load_state_dict(trained.state_dict())

    alerts = _alerts(2, DEPLOYED)
    assert torch.equal(fresh.eval()(alerts), trained.eval()(alerts))


def test_metadata_change_the_logits_and_pixels_do_too() -> None:
    network = _build({"metadata": DEPLOYED}).eval()
    alerts = _alerts(2, DEPLOYED)
    other_pixels, other_numbers = alerts.clone(), alerts.clone()
    other_pixels[:, 0] += 1
    other_numbers[:, 3, 0, 8] += 1

    assert not torch.allclose(network(other_pixels), network(alerts))
    assert not torch.allclose(network(other_numbers), network(alerts))


def test_cutouts_do_not_see_each_other() -> None:
    network = _build({"metadata": DEPLOYED}).eval()
    alerts = _alerts(4, DEPLOYED)

    alone = torch.cat([network(alert[None]) for alert in alerts])

    torch.testing.assert_close(network(alerts), alone)


def test_a_step_in_half_precision_has_finite_gradients() -> None:
    network = _build({"metadata": DEPLOYED})
    with torch.autocast("cpu", torch.bfloat16):
        loss = network(_alerts(4, DEPLOYED)).square().mean()

    loss.backward()

    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_a_cosine_head_is_a_choice() -> None:
    assert isinstance(_build({"head": "cosine"}).head, CosineHead)


@pytest.mark.parametrize("size_pix", [3, 31, 63])
def test_cutouts_of_any_size_fit(size_pix: int) -> None:
    assert _build(size_pix=size_pix).eval()(torch.rand(2, 3, size_pix, size_pix)).shape == (2, 5)


def test_what_cannot_be_seen_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"needs cutouts of 3 pixels or more, the survey has 2"):
        _build(size_pix=2)
    with pytest.raises(ConfigError, match=r"23 numbers do not fit into a channel of 16 pixels"):
        _build({"metadata": DEPLOYED}, size_pix=4)
    with pytest.raises(ConfigError, match=r"the only channel holds metadata"):
        _build({"metadata": DEPLOYED}, channels=1)
