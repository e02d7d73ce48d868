"""The latent mixture against closed forms."""

import math

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from catalogtool.networks import build_network
from catalogtool.networks._mixture_head import GaussianMixture, MixtureHead

SMALL = {"widths": [4, 6, 8], "dense": 10, "latent": 3}


def _mixture(classes: int = 3, latent: int = 4) -> GaussianMixture:
    torch.manual_seed(0)
    mixture = GaussianMixture(classes, latent)
    with torch.no_grad():
        mixture.logits.normal_()
        mixture.log_variances.normal_()
    return mixture


def test_half_way_between_equal_components_each_is_responsible_for_a_half() -> None:
    mixture = GaussianMixture(2, 3)
    with torch.no_grad():
        mixture.centres[1] = -mixture.centres[0]

    log_r = mixture.log_responsibilities(torch.zeros(5, 3))

    torch.testing.assert_close(log_r.exp(), torch.full((5, 2), 0.5))


def test_the_odds_of_two_unit_components_are_known() -> None:
    mixture = GaussianMixture(2, 1)
    with torch.no_grad():
        mixture.centres.copy_(torch.tensor([[1.0], [-1.0]]))
        mixture.logits.copy_(torch.tensor([math.log(3.0), 0.0]))

    log_r = mixture.log_responsibilities(torch.tensor([[0.7]]))

    odds = (log_r[0, 0] - log_r[0, 1]).item()
    assert odds == pytest.approx(math.log(3) + 2 * 0.7, rel=1e-5)


def test_responsibilities_are_shares_of_the_density() -> None:
    mixture, latents = _mixture(), torch.randn(6, 4)
    scales = (mixture.log_variances / 2).exp()
    components = Independent(Normal(mixture.centres, scales), 1)
    weights = Categorical(logits=mixture.logits)
    density = MixtureSameFamily(weights, components).log_prob(latents)

    log_r = mixture.log_responsibilities(latents)

    expected = weights.logits + components.log_prob(latents[:, None]) - density[:, None]
    torch.testing.assert_close(log_r, expected, atol=1e-4, rtol=1e-4)


def test_logits_are_logarithms_so_that_their_softmax_is_the_responsibility_itself() -> None:
    log_r = _mixture().log_responsibilities(torch.randn(6, 4))

    torch.testing.assert_close(log_r.exp().sum(dim=1), torch.ones(6))
    torch.testing.assert_close(log_r.softmax(dim=1), log_r.exp())


def test_points_far_away_have_finite_responsibilities() -> None:
    log_r = _mixture().log_responsibilities(torch.full((1, 4), 1e4))

    assert torch.isfinite(log_r).all()


def test_classification_is_of_the_latent_mean_and_never_random() -> None:
    network = build_network("mixture", SMALL, channels=2, classes=3, size_pix=28).eval()
    assert isinstance(network.head, MixtureHead)
    images = torch.rand(4, 2, 28, 28)

    mean = network.head.mean(network.features(images))

    torch.testing.assert_close(network(images), network.head.mixture.log_responsibilities(mean))
    assert torch.equal(network(images), network(images))


@pytest.mark.parametrize("size_pix", [8, 12, 28, 32, 45, 64])
def test_cutouts_of_any_size_fit(size_pix: int) -> None:
    network = build_network("mixture", SMALL, channels=3, classes=2, size_pix=size_pix)

    assert network(torch.rand(2, 3, size_pix, size_pix)).shape == (2, 2)


def test_larger_cutouts_need_no_more_parameters() -> None:
    counts = {
        sum(
            p.numel()
            for p in build_network("mixture", SMALL, channels=1, classes=2, size_pix=s).parameters()
        )
        for s in (28, 32, 80)
    }

    assert len(counts) == 1
