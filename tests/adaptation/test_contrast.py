"""NT-Xent against a slow version, a closed form, and itself over two workers."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_metric_learning.losses import NTXentLoss
from torch.nn.parallel import DistributedDataParallel
from two_workers import run_two_workers

from catalogtool.adaptation._contrast import nt_xent

TEMPERATURE = 0.05


def _views(count: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    return torch.randn(count, 5, generator=generator), torch.randn(count, 5, generator=generator)


def _slow(first: torch.Tensor, second: torch.Tensor, temperature: float) -> float:
    views = torch.cat([first, second]).tolist()
    count = len(first)
    total = 0.0
    for i, anchor in enumerate(views):
        weights = {
            k: math.exp(_cosine(anchor, other) / temperature)
            for k, other in enumerate(views)
            if k != i
        }
        assert len(weights) - 1 == 2 * count - 2  # negatives
        total -= math.log(weights[(i + count) % (2 * count)] / sum(weights.values()))
    return total / (2 * count)


def _cosine(a: list[float], b: list[float]) -> float:
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return product / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_it_is_the_slow_sum_over_all_pairs(count: int, temperature: float) -> None:
    first, second = _views(count)

    loss = nt_xent(first, second, temperature)

    assert loss.item() == pytest.approx(_slow(first, second, temperature), rel=1e-5)


def test_it_is_the_librarys_own_loss_of_that_name() -> None:
    first, second = _views()
    pairs = torch.arange(8).repeat(2)

    expected = NTXentLoss(TEMPERATURE)(torch.cat([first, second]), pairs)

    torch.testing.assert_close(nt_xent(first, second, TEMPERATURE), expected)


@pytest.mark.parametrize("count", [2, 4, 16])
def test_equal_embeddings_leave_a_guess_among_all_other_views(count: int) -> None:
    same = torch.ones(count, 3)

    assert nt_xent(same, same, TEMPERATURE).item() == pytest.approx(math.log(2 * count - 1))


def test_orthogonal_cutouts_with_equal_views_have_a_known_loss() -> None:
    views = torch.eye(4)

    expected = math.log(1 + 6 * math.exp(-1 / 0.5))
    assert nt_xent(views, 3 * views, 0.5).item() == pytest.approx(expected)


def test_views_without_loss_count_in_the_mean() -> None:
    """Two of four cutouts are perfect to the last bit; the mean is over all the same."""
    first = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    second = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, -1.0], [0.0, 1.0]])

    loss = nt_xent(first, second, TEMPERATURE)

    assert loss.item() == pytest.approx(_slow(first, second, TEMPERATURE), rel=1e-5)
    assert loss.item() == pytest.approx(40 / 2, rel=1e-3)  # half of the views pay 2 / 0.05


def test_more_negatives_make_another_loss() -> None:
    """What a worker would get from its own half of the batch alone is not the loss."""
    first, second = _views(8)

    halves = nt_xent(first[:4], second[:4], TEMPERATURE) + nt_xent(
        first[4:], second[4:], TEMPERATURE
    )

    assert halves / 2 < nt_xent(first, second, TEMPERATURE)


def test_it_is_computed_in_full_precision_within_mixed_precision() -> None:
    first, second = _views()

    with torch.autocast("cpu", torch.bfloat16):
        loss = nt_xent(first, second, TEMPERATURE)

    assert loss.item() == pytest.approx(_slow(first, second, TEMPERATURE), rel=1e-5)


def test_one_cutout_has_no_loss_but_a_gradient() -> None:
    view = torch.ones(1, 3, requires_grad=True)

    loss = nt_xent(view, view, TEMPERATURE)
    loss.backward()  # type: ignore[no-untyped-call]

    assert loss.item() == 0
    assert view.grad is not None


def _embedding() -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(5, 4)


def _loss(network: torch.nn.Module, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return nt_xent(*network(torch.cat([first, second])).chunk(2), TEMPERATURE)


def _work(rank: int, folder: Path) -> None:
    network = DistributedDataParallel(_embedding())
    first, second = (view.chunk(2)[rank] for view in _views())
    loss = _loss(network, first, second)
    loss.backward()  # type: ignore[no-untyped-call]
    gradient = network.module.weight.grad
    np.savez(folder / f"{rank}.npz", loss=loss.detach(), gradient=gradient)


def test_two_workers_have_the_loss_and_gradient_of_one(tmp_path: Path) -> None:
    network = _embedding()
    loss = _loss(network, *_views())
    loss.backward()  # type: ignore[no-untyped-call]

    run_two_workers(_work, tmp_path)

    for rank in range(2):
        found = np.load(tmp_path / f"{rank}.npz")
        assert found["loss"] == pytest.approx(loss.item(), rel=1e-5)
        np.testing.assert_allclose(found["gradient"], network.weight.grad, rtol=1e-4, atol=1e-6)
