"""AVDA: its losses, and what each of them teaches."""

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence
from torch.nn.parallel import DistributedDataParallel
from two_workers import run_two_workers

from catalogtool.adaptation import avda
from catalogtool.adaptation._base import DomainBatch, LossTerms
from catalogtool.adaptation._losses import cross_entropy
from catalogtool.adaptation.avda import (
    Method,
    Options,
    assigned_divergence,
    discriminator_loss,
    divergences,
    draw,
)
from catalogtool.config.training import Domain
from catalogtool.errors import ConfigError
from catalogtool.networks import build_network

CLASSES, LATENT, SIZE_PIX, BANDS = 3, 4, 16, 2
NETWORK = {"widths": [4, 6, 8], "dense": 10, "latent": LATENT}
SMALL = {"decoder_widths": (8, 6, 4), "discriminator_width": 8}
LATE = 0.9


def _method(**options: object) -> Method:
    torch.manual_seed(0)
    network = build_network("mixture", NETWORK, channels=BANDS, classes=CLASSES, size_pix=SIZE_PIX)
    return Method(network, cross_entropy, Options.model_validate(SMALL | options))


def _batches(*, with_target_labels: bool = True, count: int = 6) -> dict[Domain, DomainBatch]:
    generator = torch.Generator().manual_seed(3)
    batches: dict[Domain, DomainBatch] = {}
    domains: tuple[Domain, ...] = ("source", "target_labelled", "target_unlabelled")
    for domain in domains:
        images = torch.rand(count, BANDS, SIZE_PIX, SIZE_PIX, generator=generator)
        label = torch.randint(CLASSES, (count,), generator=generator)
        votes = nn.functional.one_hot(label, CLASSES).float()
        batches[domain] = DomainBatch(images, None if domain == "target_unlabelled" else votes)
    if not with_target_labels:
        del batches["target_labelled"]
    return batches


def _terms(method: Method, progress: float = LATE, **batches: bool) -> LossTerms:
    torch.manual_seed(4)
    return method(_batches(**batches), progress)


def _without_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(avda, "draw", lambda mean, _: mean)


def test_the_divergence_of_equal_gaussians_is_zero() -> None:
    mean, log_variance = torch.randn(2, LATENT), torch.randn(2, LATENT)

    found = divergences(mean, log_variance, mean, log_variance)

    torch.testing.assert_close(found.diagonal(), torch.zeros(2), atol=1e-5, rtol=0)


def test_the_divergence_from_a_unit_gaussian_is_the_known_one() -> None:
    """m = 2 and s^2 = e in one dimension: (e + 4 - 1 - 1) / 2."""
    found = divergences(
        torch.tensor([[2.0]]), torch.ones(1, 1), torch.zeros(1, 1), torch.zeros(1, 1)
    )

    assert found.item() == pytest.approx((math.e + 2) / 2)


def test_divergences_are_those_of_the_library_for_every_pair() -> None:
    mean, log_variance, centres, log_variances = (
        torch.randn(n, LATENT) for n in (5, 5, CLASSES, CLASSES)
    )
    posterior = Independent(Normal(mean[:, None], (log_variance[:, None] / 2).exp()), 1)
    prior = Independent(Normal(centres, (log_variances / 2).exp()), 1)

    found = divergences(mean, log_variance, centres, log_variances)

    torch.testing.assert_close(found, kl_divergence(posterior, prior), rtol=1e-4, atol=1e-5)


def test_noise_is_scaled_by_the_standard_deviation() -> None:
    torch.manual_seed(0)
    mean, log_variance = torch.full((20_000, 1), 3.0), torch.full((20_000, 1), math.log(4.0))

    drawn = draw(mean, log_variance)

    assert drawn.mean().item() == pytest.approx(3, abs=0.06)
    assert drawn.std().item() == pytest.approx(2, rel=0.03)  # s = 2; s^2 would be 4


def test_the_divergence_of_unlabelled_cutouts_is_the_slow_sum() -> None:
    generator = torch.Generator().manual_seed(1)
    of_components = torch.rand(5, CLASSES, generator=generator)
    log_r = torch.randn(5, CLASSES, generator=generator).log_softmax(dim=1)
    log_weights = torch.randn(CLASSES, generator=generator).log_softmax(dim=0)

    expected = 0.0
    for kl, r in zip(of_components.tolist(), log_r.exp().tolist(), strict=True):
        for k, weight in enumerate(log_weights.exp().tolist()):
            expected += r[k] * kl[k] + r[k] * math.log(r[k] / weight)

    found = assigned_divergence(of_components, log_r, log_weights)

    assert found.item() == pytest.approx(expected / 5, rel=1e-5)


def test_a_certain_guess_costs_the_logarithm_of_the_number_of_classes() -> None:
    log_r = torch.tensor([[0.0, -200.0, -200.0, -200.0]])

    found = assigned_divergence(torch.zeros(1, 4), log_r, torch.full((4,), -math.log(4)))

    assert found.item() == pytest.approx(math.log(4))


def test_an_undecided_discriminator_loses_twice_the_logarithm_of_two() -> None:
    assert discriminator_loss(torch.zeros(7), 3).item() == pytest.approx(2 * math.log(2))


def test_the_discriminator_wants_large_logits_of_the_source_alone() -> None:
    logits = torch.tensor([0.3, -0.2, 1.1, 0.4])

    found = discriminator_loss(logits, 3).item()

    d = torch.sigmoid(logits)
    expected = -d[:3].log().mean() - (1 - d[3:]).log().mean()
    assert found == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("with_target_labels", [True, False])
def test_the_bound_is_the_slow_sum_over_cutouts_and_domains(
    *, monkeypatch: pytest.MonkeyPatch, with_target_labels: bool
) -> None:
    _without_noise(monkeypatch)
    options = {"label_weight": 3.0, "labelled_share": 0.8, "pixel_sigma": 0.5, "reduction": "sum"}
    method = _method(**options).eval()
    components = method.network.head.mixture
    expected = dict.fromkeys(("reconstruction", "divergence", "label"), 0.0)
    batches = _batches(with_target_labels=with_target_labels)
    for domain, batch in batches.items():
        decoder = method.source_decoder if domain == "source" else method.target_decoder
        share = 0.2 if domain == "target_unlabelled" else 0.8
        for index, image in enumerate(batch.images):
            hidden = method.network.features(image[None])
            mean, log_variance = method.network.head.mean(hidden), method.log_variance(hidden)
            kl = divergences(mean, log_variance, components.centres, components.log_variances)[0]
            log_r = components.log_responsibilities(mean)[0]
            residual = (decoder(mean)[0] - image) / 0.5
            expected["reconstruction"] += share * residual.square().sum().item() / 2 / 6
            if batch.votes is None:
                guess = log_r - components.log_weights
                expected["divergence"] += share * (log_r.exp() * (kl + guess)).sum().item() / 6
            else:
                label = int(batch.votes[index].argmax())
                expected["divergence"] += share * kl[label].item() / 6
                expected["label"] -= share * 3.0 * log_r[label].item() / 6

    terms = method(batches, LATE)

    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value, rel=1e-3)


def test_the_reduction_over_pixels_differs_by_their_number() -> None:
    summed = _terms(_method(reduction="sum"))["reconstruction"]
    averaged = _terms(_method(reduction="mean"))["reconstruction"]

    torch.testing.assert_close(summed, BANDS * SIZE_PIX**2 * averaged)


def test_a_bernoulli_pixel_of_one_half_costs_the_logarithm_of_two() -> None:
    method = _method(likelihood="bernoulli", reduction="mean")

    errors = method._pixel_errors(torch.zeros(2, 1, 4, 4), torch.rand(2, 1, 4, 4))

    assert errors.item() == pytest.approx(math.log(2), rel=1e-5)


def test_bernoulli_pixels_beyond_0_and_1_are_clipped() -> None:
    method = _method(likelihood="bernoulli")
    decoded = torch.full((1, 1, 2, 2), 3.0)

    beyond = method._pixel_errors(decoded, torch.full((1, 1, 2, 2), 7.0))

    torch.testing.assert_close(beyond, method._pixel_errors(decoded, torch.ones(1, 1, 2, 2)))


def test_in_pretraining_labels_and_reconstructions_alone_shape_the_network() -> None:
    method = _method(pretraining_share=0.3)
    early = _terms(method, progress=0.2)
    supervised = _terms(_method(pretraining_share=0.3, labelled_share=1.0), progress=LATE)

    assert _network_gradient(method, early["domain"]) == 0
    torch.testing.assert_close(early["divergence"] / 0.9, supervised["divergence"])
    assert early["reconstruction"] != supervised["reconstruction"]  # the unlabelled are in it

    late = _terms(method, progress=LATE)
    assert _network_gradient(method, late["domain"]) > 0
    assert late["divergence"] > early["divergence"]


def _network_gradient(method: Method, term: torch.Tensor) -> float:
    method.zero_grad()
    term.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    return sum(p.grad.abs().sum().item() for p in method.network.parameters() if p.grad is not None)


def test_every_parameter_has_a_gradient_in_every_phase() -> None:
    """Workers that train together wait for all of them."""
    for progress in (0.0, LATE):
        for with_target_labels in (True, False):
            method = _method()
            terms = _terms(method, progress, with_target_labels=with_target_labels)
            torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
            assert all(p.grad is not None for p in method.parameters())


def test_the_encoder_raises_what_the_discriminator_lowers(monkeypatch: pytest.MonkeyPatch) -> None:
    """By finite differences: only the target's term reaches the encoder, with the other sign."""
    _without_noise(monkeypatch)
    method, batches = _method(adversarial_weight=0.7).eval(), _batches()
    bias = method.network.head.mean.bias  # shifts the latents of all domains alike
    strength = method._reversal(LATE)
    assert strength == pytest.approx(0.7, rel=0.01)

    method(batches, LATE)["domain"].backward()  # type: ignore[no-untyped-call]

    assert bias.grad is not None
    images = batches["target_unlabelled"].images.double()
    exact = copy.deepcopy(method).double()
    for j, step in enumerate(1e-4 * torch.eye(LATENT, dtype=torch.double)):
        rise = _target_term(exact, images, step) - _target_term(exact, images, -step)
        assert bias.grad[j].item() == pytest.approx(-strength * rise / 2e-4, rel=1e-3, abs=1e-7)


def _target_term(method: Method, images: torch.Tensor, step: torch.Tensor) -> float:
    with torch.no_grad():
        latents = method.network.head.mean(method.network.features(images)) + step
        return float(-(1 - torch.sigmoid(method.discriminator(latents))).log().mean())


def test_the_discriminator_itself_learns_from_both_domains() -> None:
    method = _method()

    _terms(method, progress=0.0)["domain"].backward()  # type: ignore[no-untyped-call]

    weight = method.discriminator[0].weight
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("domain", "others"), [("source", "target_decoder"), ("target_labelled", "source_decoder")]
)
def test_each_survey_has_its_own_decoder(domain: Domain, others: str) -> None:
    method, batch = _method(), _batches()[domain]
    code = method._encode(method.network.features(batch.images))

    method._bound(domain, batch, code, LATE)["reconstruction"].backward()  # type: ignore[no-untyped-call]

    assert all(p.grad is None for p in getattr(method, others).parameters())


def test_votes_weigh_the_divergences_of_all_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    _without_noise(monkeypatch)
    method, batch = _method().eval(), _batches()["source"]
    even = DomainBatch(batch.images, torch.full((6, CLASSES), 1 / CLASSES))
    code = method._encode(method.network.features(batch.images))

    found = method._bound("source", even, code, LATE)["divergence"]

    torch.testing.assert_close(found, 0.9 * code.divergences.mean())


def test_another_head_is_refused() -> None:
    network = build_network("resnet", {}, channels=1, classes=2, size_pix=16)

    with pytest.raises(ConfigError, match=r'method avda: .* set head = "mixture"'):
        Method(network, cross_entropy, Options())


def test_facts_that_travel_with_the_pixels_are_not_decoded() -> None:
    options = {"metadata": ("ra",), "head": "mixture"}
    network = build_network("stamp_classifier", options, channels=3, classes=2, size_pix=16)
    method = Method(network, cross_entropy, Options.model_validate(SMALL)).eval()
    images = torch.rand(4, 3, 16, 16)
    images[:, 2, 0, 0] = math.nan  # an unknown position
    votes = torch.eye(2)[[0, 1, 0, 1]]
    unlabelled = DomainBatch(images, None)

    terms = method({"source": DomainBatch(images, votes), "target_unlabelled": unlabelled}, LATE)

    assert all(torch.isfinite(value) for value in terms.values())


def test_classes_that_one_survey_lacks_are_not_for_this_method() -> None:
    assert not Method.universal


def _flat_gradient(method: nn.Module) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in method.parameters() if p.grad is not None])


def _step(method: nn.Module, batches: dict[Domain, DomainBatch]) -> list[float]:
    terms = method(batches, LATE)
    torch.stack(list(terms.values())).sum().backward()
    return [value.item() for value in terms.values()]


def _quiet(method: Method) -> Method:
    """Without noise (s = e^-15) and in evaluation: normalisation would see half a batch."""
    with torch.no_grad():
        method.log_variance.weight.zero_()
        method.log_variance.bias.fill_(-30)
    return method.eval()


def _work(rank: int, folder: Path) -> None:
    method = _quiet(_method())
    halves = {}
    for domain, batch in _batches().items():
        votes = None if batch.votes is None else batch.votes.chunk(2)[rank]
        halves[domain] = DomainBatch(batch.images.chunk(2)[rank], votes)
    terms = _step(DistributedDataParallel(method), halves)
    np.savez(folder / f"{rank}.npz", terms=terms, gradient=_flat_gradient(method))


def test_two_workers_have_the_losses_and_gradients_of_one(tmp_path: Path) -> None:
    method = _quiet(_method())
    terms = _step(method, _batches())

    run_two_workers(_work, tmp_path)

    found = [np.load(tmp_path / f"{rank}.npz") for rank in range(2)]
    np.testing.assert_allclose((found[0]["terms"] + found[1]["terms"]) / 2, terms, rtol=1e-4)
    for worker in found:
        np.testing.assert_allclose(worker["gradient"], _flat_gradient(method), rtol=1e-3, atol=1e-4)
