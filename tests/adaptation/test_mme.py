"""Minimax entropy: its loss, and who pulls in which direction."""

import math

import pytest
import torch

from catalogtool.adaptation import build_method
from catalogtool.adaptation._base import Batches, DomainBatch, Method
from catalogtool.adaptation._losses import cross_entropy
from catalogtool.adaptation.mme import class_shares, negative_entropy
from catalogtool.networks import build_network

CLASSES = 3
TRADE_OFF = 0.3


def _method() -> Method:
    torch.manual_seed(0)
    options = {"widths": [4, 6], "blocks": [1, 1], "head": "cosine", "temperature": 0.5}
    network = build_network("resnet", options, channels=1, classes=CLASSES, size_pix=8)
    method = build_method("mme", network.double(), cross_entropy, {"trade_off": TRADE_OFF})
    return method.eval()  # fixed statistics: nothing but the weights moves the loss


def _batches() -> Batches:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(3, 5, 1, 8, 8, generator=generator, dtype=torch.float64)
    votes = torch.eye(CLASSES, dtype=torch.float32)[torch.tensor([0, 1, 2, 0, 1])]
    return {
        "source": DomainBatch(images[0], votes),
        "target_labelled": DomainBatch(images[1], votes),
        "target_unlabelled": DomainBatch(images[2], None),
    }


def _entropy(method: Method, batches: Batches) -> float:
    """Mean entropy of the predictions for unlabelled cutouts, slowly."""
    with torch.no_grad():
        rows = method.network(batches["target_unlabelled"].images).softmax(dim=1).tolist()
    return sum(-sum(p * math.log(p + 1e-5) for p in row) for row in rows) / len(rows)


def test_losses_are_those_of_the_formulas() -> None:
    method, batches = _method(), _batches()

    terms = method(batches, 0.5)

    logits = [method.network(batches[name].images) for name in ("source", "target_labelled")]
    votes = [batches[name].votes for name in ("source", "target_labelled")]
    expected = sum(
        -math.log(row.softmax(dim=0)[int(vote.argmax())].item())
        for rows, labels in zip(logits, votes, strict=True)
        for row, vote in zip(rows, labels, strict=True)
    )
    assert terms["label"].item() == pytest.approx(expected / 10, rel=1e-5)
    assert terms["entropy"].item() == pytest.approx(-TRADE_OFF * _entropy(method, batches))


def test_the_entropy_of_certain_and_of_blind_predictions_is_known() -> None:
    assert negative_entropy(torch.eye(4)).item() == pytest.approx(0, abs=1e-4)
    assert negative_entropy(torch.full((2, 4), 0.25)).item() == pytest.approx(
        -math.log(4), abs=1e-4
    )


@pytest.mark.parametrize(("name", "sign"), [("head.weight", 1), ("stem.0.weight", -1)])
def test_the_head_raises_the_entropy_and_the_backbone_lowers_it(name: str, sign: int) -> None:
    method, batches = _method(), _batches()
    weight = dict(method.network.named_parameters())[name]

    method(batches, 0.5)["entropy"].backward()

    assert weight.grad is not None
    direction = weight.grad / weight.grad.norm()
    step, entropies = 1e-3, []
    for change in (step, -2 * step):
        with torch.no_grad():
            weight += change * direction
        entropies.append(_entropy(method, batches))
    slope = (entropies[0] - entropies[1]) / (2 * step)
    assert -sign * TRADE_OFF * slope == pytest.approx(weight.grad.norm().item(), rel=1e-2)


def test_shares_of_the_predicted_classes_are_watched() -> None:
    method = _method()
    assert method.watch() == {}

    method(_batches(), 0.5)

    shares = method.watch()
    assert list(shares) == ["share_0", "share_1", "share_2"]
    assert sum(shares.values()) == pytest.approx(1)


def test_a_class_that_nobody_predicts_has_no_share() -> None:
    probabilities = torch.tensor([[0.9, 0.1, 0], [0.8, 0.2, 0], [0.3, 0.7, 0]])

    torch.testing.assert_close(class_shares(probabilities), torch.tensor([2 / 3, 1 / 3, 0]))


def test_few_labels_of_the_target_are_no_condition() -> None:
    batches = _batches()
    del batches["target_labelled"]

    assert set(_method()(batches, 0.5)) == {"label", "entropy"}
