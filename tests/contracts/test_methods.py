"""What every adaptation method must do."""

import pytest
import torch

from catalogtool.adaptation import build_method, load_method, method_names
from catalogtool.adaptation._base import DomainBatch, LossTerms, Method
from catalogtool.adaptation._losses import vote_rmse
from catalogtool.config.training import Domain
from catalogtool.networks import build_network

CLASSES = 3
SIZE_PIX = 12


def _build(name: str) -> Method:
    torch.manual_seed(2)
    needed = load_method(name).needs_network
    options = {} if needed else {"widths": [4, 8], "blocks": [1, 1]}
    network = build_network(
        needed or "resnet", options, channels=1, classes=CLASSES, size_pix=SIZE_PIX
    )
    return build_method(name, network, vote_rmse)


def _batches(method: Method) -> dict[Domain, DomainBatch]:
    torch.manual_seed(3)
    batches = {}
    for domain in method.domains:
        votes = torch.rand(6, CLASSES).softmax(dim=1)
        is_labelled = domain != "target_unlabelled"
        images = torch.rand(6, 1, SIZE_PIX, SIZE_PIX)
        strong = torch.rand_like(images) if method.wants_strong else None
        batches[domain] = DomainBatch(images, votes if is_labelled else None, strong)
    return batches


def _losses(name: str) -> tuple[Method, LossTerms]:
    method = _build(name)
    torch.manual_seed(4)
    return method, method(_batches(method), 0.5)


@pytest.mark.parametrize("name", method_names())
def test_every_loss_is_a_finite_number(name: str) -> None:
    _, terms = _losses(name)

    assert terms
    for value in terms.values():
        assert value.shape == ()
        assert torch.isfinite(value)


@pytest.mark.parametrize("name", method_names())
def test_gradients_reach_the_whole_network(name: str) -> None:
    method, terms = _losses(name)

    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]

    for parameter in method.network.parameters():
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()
    assert any(parameter.grad.abs().sum() > 0 for parameter in method.network.parameters())


@pytest.mark.parametrize("name", method_names())
def test_the_same_seed_gives_the_same_losses(name: str) -> None:
    _, first = _losses(name)
    _, second = _losses(name)

    assert {key: value.item() for key, value in first.items()} == {
        key: value.item() for key, value in second.items()
    }


@pytest.mark.parametrize("name", method_names())
def test_the_method_to_start_from_exists_and_needs_no_other_target_labels(name: str) -> None:
    before = load_method(name).starts_from

    assert before is None or before in method_names()
