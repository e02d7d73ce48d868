"""Probabilities of examples, for validation and final figures."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from catalogtool.networks._base import Network
from catalogtool.networks._domain_norm import Branch, use_domain
from catalogtool.training.context import TrainingContext
from catalogtool.training.examples import Examples
from catalogtool.training.precision import mixed_precision

_BATCHES = {"cpu": 16, "cuda": 512}
"""Cutouts per forward pass: few stay in a processor's cache, many keep a GPU busy."""


def predict_examples(
    network: Network, examples: Examples, device: torch.device, branch: Branch = "target"
) -> npt.NDArray[np.float32]:
    """Class probabilities, with the precision of training; catalogs are more exact.

    Parameters
    ----------
    network : Network
        Afterwards it uses the target's normalisation.
    examples : Examples
        M cutouts.
    device : torch.device
        Where the network is.
    branch : {"target", "source"}
        Survey by whose normalisation the network predicts, where it has two.

    Returns
    -------
    ndarray, shape (M, K), float32
    """
    with mixed_precision(device):
        outputs = _run(network, network, examples, device, branch)
    if outputs is None:
        return np.zeros_like(examples.votes)
    return outputs.softmax(dim=1).numpy()


def gather_features(
    network: Network, examples: Examples, context: TrainingContext, branch: Branch = "target"
) -> npt.NDArray[np.float32]:
    """Features (M, D) of all workers' examples together, in float32."""
    found = _run(network, network.features, examples, context.device, branch)
    mine = np.zeros((0, 0), dtype=np.float32) if found is None else found.numpy()
    return np.concatenate([rows for rows in context.gather(mine) if len(rows)])


def _run(
    network: Network,
    run: Callable[[torch.Tensor], torch.Tensor],
    examples: Examples,
    device: torch.device,
    branch: Branch,
) -> torch.Tensor | None:
    """What a part of the network makes of examples, in float32 on the processor; None of none."""
    was_training = network.training
    network.eval()
    use_domain(network, branch)
    batch = _BATCHES[device.type]
    parts = []
    with torch.inference_mode():
        for start in range(0, len(examples), batch):
            images = torch.from_numpy(examples.images[start : start + batch]).to(device)
            images = images.contiguous(memory_format=torch.channels_last)
            parts.append(run(images).float().cpu())
    network.train(was_training)
    use_domain(network, "target")
    return torch.cat(parts) if parts else None


def gather_predictions(
    network: Network, examples: Examples, context: TrainingContext, branch: Branch = "target"
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Probabilities, votes and bands of all workers' examples together.

    Returns
    -------
    probabilities, votes : ndarray, shape (M, K), float32
    band : ndarray, shape (M,), int64
    """
    probabilities = predict_examples(network, examples, context.device, branch)
    band = examples.band[:, None].astype(np.float32)
    rows = np.concatenate([probabilities, examples.votes, band], axis=1)
    together = np.concatenate(context.gather(rows))
    classes = examples.votes.shape[1]
    return (
        together[:, :classes],
        together[:, classes : 2 * classes],
        together[:, -1].astype(np.int64),
    )
