"""What every adaptation method must do."""

import pytest
import torch

from catalogtool.adaptation import build_method, load_method, method_names
from catalogtool.adaptation._base import Batches, DomainBatch, LossTerms, Method
from catalogtool.adaptation._losses import vote_rmse
from catalogtool.config.training import Domain
from catalogtool.errors import ConfigError
from catalogtool.networks import build_network
from catalogtool.networks._domain_norm import split_norms

CLASSES = 3
SIZE_PIX = 16
COUNTS: dict[Domain, int] = {"source": 6, "target_labelled": 4, "target_unlabelled": 8}
"""Cutouts in a batch: few labels make a small one."""


def _build(name: str) -> Method:
    torch.manual_seed(2)
    options = {"widths": [4, 8], "blocks": [1, 1], "head": load_method(name).heads[0]}
    built = build_network("resnet", options, channels=1, classes=CLASSES, size_pix=SIZE_PIX)
    return build_method(name, built, vote_rmse)


def _batches(domains: tuple[Domain, ...], *, strong: bool) -> Batches:
    torch.manual_seed(3)
    batches: Batches = {}
    for domain in domains:
        count = COUNTS[domain]
        votes = torch.rand(count, CLASSES).softmax(dim=1)
        is_labelled = domain != "target_unlabelled"
        images = torch.rand(count, 1, SIZE_PIX, SIZE_PIX)
        views = images + 0.1 * torch.rand(images.shape) if strong else None
        batches[domain] = DomainBatch(images, votes if is_labelled else None, views)
    return batches


def _losses(
    name: str, *, optional: bool = True, domain_norm: bool = False
) -> tuple[Method, LossTerms]:
    method = _build(name)
    if domain_norm:
        split_norms(method.network)
    domains = method.domains + (method.optional if optional else ())
    torch.manual_seed(4)
    return method, method(_batches(domains, strong=method.wants_strong), 0.5)


@pytest.mark.parametrize("name", method_names())
@pytest.mark.parametrize("optional", [False, True])
@pytest.mark.parametrize("domain_norm", [False, True])
def test_every_loss_is_a_finite_number(
    name: str,
    optional: bool,  # noqa: FBT001 - a parameter
    domain_norm: bool,  # noqa: FBT001 - a parameter
) -> None:
    method, terms = _losses(name, optional=optional, domain_norm=domain_norm)

    assert terms
    for value in (*terms.values(), *map(torch.tensor, method.watch().values())):
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


@pytest.mark.parametrize("name", method_names())
def test_an_unknown_option_is_refused(name: str) -> None:
    network = _build(name).network

    with pytest.raises(ConfigError, match=f"method {name}: trade_of: is not a known key"):
        build_method(name, network, vote_rmse, {"trade_of": 1})


@pytest.mark.parametrize("name", method_names())
def test_no_domain_is_needed_and_optional_at_once(name: str) -> None:
    method = load_method(name)

    assert not set(method.domains) & set(method.optional)
