"""Small methods and batches, and the same step on one worker and on two."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from two_workers import run_two_workers

from catalogtool.adaptation import build_method
from catalogtool.adaptation._base import Batches, DomainBatch, Method
from catalogtool.adaptation._losses import cross_entropy
from catalogtool.config.training import DOMAINS
from catalogtool.networks import build_network

SIZE_PIX = 16
BATCH = 8
STEPS = 3
RATE = 0.1


def small_method(name: str, options: dict[str, Any] | None = None, classes: int = 3) -> Method:
    """Method around a network without batch normalisation and dropout."""
    torch.manual_seed(0)
    shape = {"widths": [3, 4, 6], "dropout": 0.0, "head": "cosine", "temperature": 0.5}
    network = build_network("lenet", shape, channels=1, classes=classes, size_pix=SIZE_PIX)
    return build_method(name, network, cross_entropy, options)


def small_batches(seed: int = 3, classes: int = 3) -> Batches:
    """Eight cutouts of every domain."""
    generator = torch.Generator().manual_seed(seed)
    batches: Batches = {}
    for domain in DOMAINS:
        images = torch.rand(BATCH, 1, SIZE_PIX, SIZE_PIX, generator=generator)
        label = torch.randint(classes, (BATCH,), generator=generator)
        votes = nn.functional.one_hot(label, classes).float()
        batches[domain] = DomainBatch(images, None if domain == "target_unlabelled" else votes)
    return batches


def without_target_labels(batches: Batches) -> Batches:
    """The same batches but for the optional ones."""
    return {domain: b for domain, b in batches.items() if domain != "target_labelled"}


def train_a_little(module: nn.Module, method: Method, rank: int, workers: int) -> list[float]:
    """Losses of a few steps of plain gradient descent on a worker's share of the batches."""
    losses: list[float] = []
    for step in range(STEPS):
        mine = {
            domain: DomainBatch(
                batch.images.chunk(workers)[rank],
                None if batch.votes is None else batch.votes.chunk(workers)[rank],
            )
            for domain, batch in small_batches(seed=step).items()
        }
        method.zero_grad()
        terms = module(mine, step / STEPS)
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        losses += [value.item() for value in terms.values()]
        with torch.no_grad():
            for parameter in method.parameters():
                if parameter.grad is not None:
                    parameter.sub_(RATE * parameter.grad)
    return losses


def flat_state(method: Method) -> torch.Tensor:
    """All weights and buffers in one vector."""
    return torch.cat([value.double().flatten() for value in method.state_dict().values()])


def _work(rank: int, folder: Path, name: str, options: dict[str, Any]) -> None:
    method = small_method(name, options)
    losses = train_a_little(DistributedDataParallel(method), method, rank, 2)
    np.savez(folder / f"{rank}.npz", losses=losses, state=flat_state(method))


def compare_two_workers_with_one(folder: Path, name: str, options: dict[str, Any]) -> None:
    """Assert that losses (their mean), weights and buffers are the same after a few steps."""
    method = small_method(name, options)
    losses = train_a_little(method, method, 0, 1)
    expected = flat_state(method).numpy()

    run_two_workers(_work, folder, name, options)

    found = [np.load(folder / f"{rank}.npz") for rank in range(2)]
    np.testing.assert_allclose(np.mean([f["losses"] for f in found], axis=0), losses, rtol=2e-4)
    for worker in found:
        np.testing.assert_allclose(worker["state"], expected, rtol=2e-4, atol=1e-6)
