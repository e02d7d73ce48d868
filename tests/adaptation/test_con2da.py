"""Con2DA: its losses, and whom they teach."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from two_workers import run_two_workers

from catalogtool.adaptation._base import DomainBatch
from catalogtool.adaptation._contrast import nt_xent
from catalogtool.adaptation._frozen import frozen
from catalogtool.adaptation._losses import cross_entropy
from catalogtool.adaptation.con2da import Method, Options, consistency_loss
from catalogtool.config.training import Domain
from catalogtool.networks import build_network

CLASSES = 3
OPTIONS = {"widths": [3, 4, 6], "dropout": 0.0, "head": "cosine"}


def _method(options: Options | None = None) -> Method:
    torch.manual_seed(0)
    network = build_network("lenet", OPTIONS, channels=1, classes=CLASSES, size_pix=16)
    return Method(network, cross_entropy, options or Options())


def _batches(*, with_target_labels: bool = True) -> dict[Domain, DomainBatch]:
    generator = torch.Generator().manual_seed(3)
    batches: dict[Domain, DomainBatch] = {}
    domains: tuple[Domain, ...] = ("source", "target_labelled", "target_unlabelled")
    for domain in domains:
        views = torch.rand(2, 8, 1, 16, 16, generator=generator)
        label = torch.randint(CLASSES, (8,), generator=generator)
        votes = nn.functional.one_hot(label, CLASSES).float()
        batches[domain] = DomainBatch(
            views[0], None if domain == "target_unlabelled" else votes, views[1]
        )
    if not with_target_labels:
        del batches["target_labelled"]
    return batches


def _gradients(method: Method, *names: str) -> dict[str, torch.Tensor]:
    method.zero_grad()
    terms = method(_batches(), 0.5)
    torch.stack([terms[name] for name in names]).sum().backward()  # type: ignore[no-untyped-call]
    return {n: p.grad for n, p in method.network.named_parameters() if p.grad is not None}


def _slow_consistency(weak: torch.Tensor, strong: torch.Tensor, threshold: float) -> float:
    total = 0.0
    for w, s in zip(weak, strong, strict=True):
        q = torch.softmax((w + s) / 2, dim=0)
        if q.max() > threshold:
            label = int(q.argmax())
            total -= torch.log_softmax(w, dim=0)[label].item()
            total -= torch.log_softmax(s, dim=0)[label].item()
    return total / len(weak)


@pytest.mark.parametrize("threshold", [0.0, 0.6, 0.9])
def test_consistency_is_the_slow_sum_over_confident_cutouts(threshold: float) -> None:
    generator = torch.Generator().manual_seed(1)
    weak, strong = 4 * torch.randn(2, 20, CLASSES, generator=generator)

    loss, _ = consistency_loss(weak, strong, threshold)

    assert loss.item() == pytest.approx(_slow_consistency(weak, strong, threshold), rel=1e-5)


def test_consistency_of_one_confident_cutout_among_four_is_a_quarter_of_its_own() -> None:
    weak = torch.zeros(4, 2)
    weak[0] = torch.tensor([math.log(99.0), 0.0])

    loss, is_confident = consistency_loss(weak, weak, 0.9)

    assert is_confident.tolist() == [True, False, False, False]
    assert loss.item() == pytest.approx(-2 * math.log(0.99) / 4, rel=1e-4)


def test_the_label_comes_from_the_mean_of_the_logits() -> None:
    """Neither from the weak view alone nor from the mean of the probabilities."""
    weak = torch.tensor([[10.0, 0.0, 0.0]])
    strong = torch.tensor([[0.0, 60.0, 0.0]])

    loss, is_confident = consistency_loss(weak, strong, 0.9)

    assert is_confident.item()
    assert loss.item() == pytest.approx(10, abs=1e-3)  # the weak view's logits miss class 1 by 10


def test_no_gradient_flows_through_the_label() -> None:
    weak = torch.tensor([[3.0, -3.0]], requires_grad=True)
    strong = torch.tensor([[2.0, -2.0]], requires_grad=True)

    loss, _ = consistency_loss(weak, strong, 0.9)
    loss.backward()  # type: ignore[no-untyped-call]

    for logits in (weak, strong):
        expected = torch.softmax(logits.detach(), dim=1) - torch.tensor([[1.0, 0.0]])
        torch.testing.assert_close(logits.grad, expected)


def test_the_terms_are_those_of_the_paper_with_unit_weights() -> None:
    method, batches = _method(), _batches()
    network = method.network
    unlabelled = batches["target_unlabelled"]
    assert unlabelled.strong is not None
    weak, strong = network.features(unlabelled.images), network.features(unlabelled.strong)
    label = 0.0
    for domain in ("source", "target_labelled"):
        batch = batches[domain]  # type: ignore[index]
        for view in (batch.images, batch.strong):
            label += cross_entropy(network(view), batch.votes).item() / 4

    terms = method(batches, 0.0)

    assert set(terms) == {"label", "consistency", "contrast"}
    assert terms["label"].item() == pytest.approx(label, rel=1e-4)
    assert terms["contrast"].item() == pytest.approx(nt_xent(weak, strong, 0.05).item(), rel=1e-4)
    expected, _ = consistency_loss(network.classify(weak), network.classify(strong), 0.9)
    assert terms["consistency"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_unlabelled_cutouts_teach_the_features_and_not_the_classifier() -> None:
    method = _method(Options(threshold=0.0))

    for term in ("consistency", "contrast"):
        gradients = _gradients(method, term)
        assert "head.weight" not in gradients
        assert gradients["embedding.0.weight"].abs().sum() > 0
    together = _gradients(method, "label", "consistency", "contrast")
    torch.testing.assert_close(together["head.weight"], _gradients(method, "label")["head.weight"])


def test_the_gradient_of_the_features_goes_through_the_frozen_classifier() -> None:
    method, features = _method(), torch.randn(2, 6, requires_grad=True)

    with frozen(method.network):
        logits = method.network.classify(features)
    (through_frozen,) = torch.autograd.grad(logits[:, 0].sum(), features)
    (expected,) = torch.autograd.grad(method.network.classify(features)[:, 0].sum(), features)

    torch.testing.assert_close(through_frozen, expected)


def test_a_frozen_network_is_in_evaluation_and_afterwards_as_before() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5), nn.BatchNorm1d(2))
    network[2].eval()
    network[0].bias.requires_grad = False

    with frozen(network):
        assert not any(part.training for part in network.modules())
        assert not any(parameter.requires_grad for parameter in network.parameters())

    assert [part.training for part in network] == [True, True, False]
    assert [p.requires_grad for p in network.parameters()] == [True, False, True, True]


def test_without_target_labels_the_source_teaches_alone() -> None:
    terms = _method()(_batches(with_target_labels=False), 0.5)

    assert all(torch.isfinite(value) for value in terms.values())


def test_the_share_of_confident_cutouts_is_watched() -> None:
    method = _method(Options(threshold=0.0))
    assert method.watch() == {}

    method(_batches(), 0.5)

    assert method.watch() == {"confident_share": 1.0}


def test_weights_scale_the_terms() -> None:
    once = _method(Options(threshold=0.0))(_batches(), 0.5)
    options = Options(threshold=0.0, consistency_weight=2.0, contrast_weight=0.5)

    scaled = _method(options)(_batches(), 0.5)

    torch.testing.assert_close(scaled["consistency"], 2 * once["consistency"])
    torch.testing.assert_close(scaled["contrast"], 0.5 * once["contrast"])


def _half(batch: DomainBatch, rank: int) -> DomainBatch:
    assert batch.strong is not None
    votes = None if batch.votes is None else batch.votes.chunk(2)[rank]
    return DomainBatch(batch.images.chunk(2)[rank], votes, batch.strong.chunk(2)[rank])


def _step(module: nn.Module, batches: dict[Domain, DomainBatch]) -> list[float]:
    terms = module(batches, 0.5)
    torch.stack(list(terms.values())).sum().backward()
    return [value.item() for value in terms.values()]


def _flat_gradient(method: nn.Module) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in method.parameters() if p.grad is not None])


def _work(rank: int, folder: Path) -> None:
    method = _method(Options(threshold=0.5))
    mine = {domain: _half(batch, rank) for domain, batch in _batches().items()}
    terms = _step(DistributedDataParallel(method), mine)
    np.savez(folder / f"{rank}.npz", terms=terms, gradient=_flat_gradient(method))


def test_two_workers_have_the_losses_and_gradients_of_one(tmp_path: Path) -> None:
    method = _method(Options(threshold=0.5))
    terms = _step(method, _batches())

    run_two_workers(_work, tmp_path)

    found = [np.load(tmp_path / f"{rank}.npz") for rank in range(2)]
    np.testing.assert_allclose((found[0]["terms"] + found[1]["terms"]) / 2, terms, rtol=1e-4)
    for worker in found:
        np.testing.assert_allclose(worker["gradient"], _flat_gradient(method), rtol=1e-3, atol=1e-5)
