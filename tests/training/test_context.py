"""Two workers of a process group against one process."""

from pathlib import Path

import numpy as np
import torch
from torch import distributed, nn
from two_workers import WORKERS, run_two_workers

from catalogtool.adaptation import build_method, load_method, method_names
from catalogtool.adaptation._base import Batches, DomainBatch, Method
from catalogtool.adaptation._losses import cross_entropy
from catalogtool.config.training import DOMAINS
from catalogtool.networks import build_network
from catalogtool.networks._domain_norm import split_norms
from catalogtool.training.context import GroupMember
from catalogtool.training.group_norm import GroupBatchNorm

CLASSES = 3
PER_WORKER = 6
BOTH = {"source", "target_unlabelled"}
SCHEMES = [
    (name, domain_norm)
    for name in method_names()
    for domain_norm in (False, True)
    if not domain_norm or set(load_method(name).domains) >= BOTH  # each has a norm of its own
]


def _method(name: str, *, domain_norm: bool) -> Method:
    torch.manual_seed(0)
    options = {"widths": [4, 8], "blocks": [1, 1], "head": load_method(name).heads[0]}
    built = build_network("resnet", options, channels=1, classes=CLASSES, size_pix=16)
    if domain_norm:
        split_norms(built)
    return build_method(name, built, cross_entropy)


def _batches(name: str, rank: int | None = None) -> Batches:
    """Batches of all workers together, or the share of one."""
    method = load_method(name)
    rows = slice(None) if rank is None else slice(rank * PER_WORKER, (rank + 1) * PER_WORKER)
    batches: Batches = {}
    for index, domain in enumerate(DOMAINS):
        if domain not in method.domains + method.optional:
            continue
        generator = torch.Generator().manual_seed(index)
        images = torch.rand(2, WORKERS * PER_WORKER, 1, 16, 16, generator=generator)
        images = images + index  # surveys look different
        votes = torch.eye(CLASSES)[torch.arange(WORKERS * PER_WORKER) % CLASSES]
        batches[domain] = DomainBatch(
            images[0, rows],
            None if domain == "target_unlabelled" else votes[rows],
            images[1, rows] if method.wants_strong else None,
        )
    return batches


def _steps(module: nn.Module, method: Method, batches: Batches) -> dict[str, np.ndarray]:
    """Last loss, sums of gradients and running statistics of steps at all times of a training.

    Workers cannot go on after a step that left a weight without a gradient.
    """
    torch.manual_seed(1)
    for progress in (0.0, 0.5, 1.0):
        terms = module(batches, progress)
        loss = torch.stack(list(terms.values())).sum()
        loss.backward()  # type: ignore[no-untyped-call]
    found = {"loss": loss.detach()}
    for name, parameter in method.named_parameters():
        if parameter.grad is not None:
            found[f"gradient of {name}"] = parameter.grad
    found |= {name: value for name, value in method.named_buffers() if "running" in name}
    return {name: value.numpy() for name, value in found.items()}


def _is_random(name: str) -> bool:
    """Whether a method draws numbers in a step: then no two batches have the same loss."""
    losses = []
    for seed in range(2):
        method = _method(name, domain_norm=False)
        torch.manual_seed(seed)
        losses.append(torch.stack(list(method(_batches(name), 0.5).values())).sum().item())
    return losses[0] != losses[1]


def _work_step(member: GroupMember, name: str, *, domain_norm: bool) -> dict[str, np.ndarray]:
    method = _method(name, domain_norm=domain_norm)
    names = list(method.state_dict())
    module = member.wrap(method)
    assert list(method.state_dict()) == names
    return _steps(module, method, _batches(name, member.rank))


def _work(rank: int, folder: Path) -> None:
    member = GroupMember(torch.device("cpu"))
    for name, domain_norm in SCHEMES:
        found = _work_step(member, name, domain_norm=domain_norm)
        np.savez(folder / f"{rank}-{name}-{domain_norm}.npz", **found)
    gathered = member.gather(np.full((rank + 1, 2), rank, dtype=np.float32))
    counter = nn.BatchNorm2d(1)
    counter.running_mean.fill_(10.0 + rank)
    member.synchronise(counter)
    np.savez(folder / f"{rank}.npz", mean=counter.running_mean, rows=np.concatenate(gathered))


def test_two_workers_learn_what_one_does_from_both_batches(tmp_path: Path) -> None:
    run_two_workers(_work, tmp_path)

    for rank in range(WORKERS):
        found = np.load(tmp_path / f"{rank}.npz")
        np.testing.assert_array_equal(found["mean"], [10.0])  # those of the first worker
        np.testing.assert_array_equal(found["rows"], [[0, 0], [1, 1], [1, 1]])
    for name, domain_norm in SCHEMES:
        if _is_random(name):
            continue
        method = _method(name, domain_norm=domain_norm)
        expected = _steps(method, method, _batches(name))
        workers = [np.load(tmp_path / f"{r}-{name}-{domain_norm}.npz") for r in range(WORKERS)]
        losses = [worker["loss"] for worker in workers]
        np.testing.assert_allclose(np.mean(losses), expected["loss"], rtol=1e-5, err_msg=name)
        for worker in workers:
            assert set(worker) == set(expected)
            for key, value in expected.items():
                if key != "loss":
                    message = f"{name}, domain norm {domain_norm}: {key}"
                    np.testing.assert_allclose(
                        worker[key], value, rtol=1e-3, atol=1e-5, err_msg=message
                    )


def test_normalisation_over_a_group_of_one_is_that_of_torch(tmp_path: Path) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1
    )
    plain, group = nn.BatchNorm2d(3), GroupBatchNorm(3)
    values = 100 + torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))

    try:
        torch.testing.assert_close(group(values), plain(values), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(group(values[:1]), plain(values[:1]), rtol=1e-4, atol=1e-4)
    finally:
        distributed.destroy_process_group()

    torch.testing.assert_close(group.state_dict(), plain.state_dict())
    torch.testing.assert_close(group.eval()(values), plain.eval()(values))
