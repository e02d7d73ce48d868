"""Two workers of a process group against one process."""

from pathlib import Path

import numpy as np
import torch
from torch import distributed, multiprocessing, nn

from catalogtool.adaptation._losses import vote_rmse
from catalogtool.training.context import GroupMember


def _network() -> nn.Module:
    torch.manual_seed(0)
    # Normalisation over a batch would see half a batch per worker; this has none.
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))


def _batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(8, 1, 8, 8, generator=generator)
    return images, torch.rand(8, 3, generator=generator).softmax(dim=1)


def _gradients(module: nn.Module, images: torch.Tensor, votes: torch.Tensor) -> list[torch.Tensor]:
    vote_rmse(module(images), votes).backward()  # type: ignore[no-untyped-call]
    return [p.grad for p in module.parameters() if p.grad is not None]


def _work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    member = GroupMember(torch.device("cpu"))
    images, votes = _batch()
    module = member.wrap(_network())
    gradients = _gradients(module, images[rank::2], votes[rank::2])
    counter = nn.BatchNorm2d(1)
    counter.running_mean.fill_(10.0 + rank)
    member.synchronise(counter)
    gathered = member.gather(np.full((rank + 1, 2), rank, dtype=np.float32))
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    np.savez(
        f"{folder}/{rank}.npz",
        gradient=flat,
        mean=counter.running_mean,
        rows=np.concatenate(gathered),
    )
    distributed.destroy_process_group()


def test_two_workers_have_the_gradient_of_one_process_with_both_batches(tmp_path: Path) -> None:
    expected = torch.cat([g.flatten() for g in _gradients(_network(), *_batch())])

    multiprocessing.spawn(_work, args=(str(tmp_path),), nprocs=2)  # type: ignore[no-untyped-call]

    for rank in range(2):
        found = np.load(tmp_path / f"{rank}.npz")
        np.testing.assert_allclose(found["gradient"], expected, rtol=1e-4, atol=1e-7)
        np.testing.assert_array_equal(found["mean"], [10.0])  # those of the first worker
        np.testing.assert_array_equal(found["rows"], [[0, 0], [1, 1], [1, 1]])
