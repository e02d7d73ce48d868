"""The autoencoder that the deep methods share, and its training."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Annotated

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import nn

from catalogtool.anomaly._base import Arrays, FloatArray, IntArray, MethodOptions

_SLOPE = 0.01
_SPREAD = 0.02
"""Standard deviation of fresh weights, of the published recipe."""

Loss = Callable[["Autoencoder", torch.Tensor, torch.Tensor], torch.Tensor]
"""Loss of a batch (B, D) whose objects have class indices (B,)."""


class EncoderOptions(MethodOptions):
    """Options of the networks; the layers are those of Perez-Carrasco et al. (2023)."""

    widths: tuple[PositiveInt, ...] = (512, 256, 128)
    dimensions: PositiveInt = 32
    """Length of an embedding."""
    batch_size: PositiveInt = 256
    pretraining_epochs: NonNegativeInt = 40
    pretraining_rate: Annotated[float, Field(gt=0)] = 1e-3
    epochs: NonNegativeInt = 40
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4


class Autoencoder(nn.Module):
    """Dense encoder and its mirror image.

    The encoder's last layer has no bias, so that it cannot map everything onto a centre by that
    alone. The decoder's last layer is linear: features are standardised, not bounded.

    Parameters
    ----------
    features : int
        Length of an input.
    options : EncoderOptions
    """

    def __init__(self, features: int, options: EncoderOptions) -> None:
        super().__init__()
        sizes = (features, *options.widths, options.dimensions)
        self.encoder = _layers(sizes, last_bias=False)
        self.decoder = _layers(sizes[::-1], last_bias=True)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Reconstruct inputs of shape (B, D)."""
        restored: torch.Tensor = self.decoder(self.encoder(inputs))
        return restored

    def to_arrays(self) -> Arrays:
        """Weights and statistics by name."""
        return {name: value.detach().cpu().numpy() for name, value in self.state_dict().items()}

    @classmethod
    def from_arrays(cls, arrays: Arrays, options: EncoderOptions) -> "Autoencoder":
        """Restore a network, in evaluation mode."""
        network = cls(arrays["encoder.0.weight"].shape[1], options)
        names = network.state_dict().keys()
        network.load_state_dict({name: torch.from_numpy(arrays[name].copy()) for name in names})
        return network.eval()


def _layers(sizes: tuple[int, ...], *, last_bias: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes[:-1]):
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.LeakyReLU(_SLOPE)]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1], bias=last_bias))


def pretrain(features: FloatArray, options: EncoderOptions, seed: int) -> Autoencoder:
    """Train an autoencoder to restore features of shape (N, D); returned in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Autoencoder(features.shape[1], options)
    everybody = np.zeros(len(features), dtype=np.int64)
    schedule = (options.pretraining_epochs, options.pretraining_rate)
    train(network, features, everybody, _reconstruction, schedule, options.batch_size, seed)
    return network


def train(  # noqa: PLR0913, PLR0917 - what a training needs
    network: Autoencoder,
    features: FloatArray,
    class_index: IntArray,
    loss: Loss,
    schedule: tuple[int, float],
    batch_size: int,
    seed: int,
) -> None:
    """Minimise a loss over batches in which all classes are equally frequent.

    Parameters
    ----------
    network : Autoencoder
        Changed in place, and left in evaluation mode.
    features : ndarray, shape (N, D), float32
    class_index : ndarray, shape (N,), int64
    loss : callable
    schedule : (epochs, learning rate)
    batch_size : int
    seed : int
        Of the batches.
    """
    epochs, rate = schedule
    optimiser = torch.optim.Adam(network.parameters(), rate)
    inputs, index = torch.from_numpy(features), torch.from_numpy(class_index)
    network.train()
    for batch in _batches(class_index, batch_size, epochs, seed):
        optimiser.zero_grad()
        loss(network, inputs[batch], index[batch]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    network.eval()


def _batches(
    class_index: IntArray, batch_size: int, epochs: int, seed: int
) -> Iterator[torch.Tensor]:
    """Row numbers; each class is drawn equally often, of a single one every row once an epoch."""
    rng = np.random.default_rng(seed)
    counts = np.bincount(class_index)
    weights = 1 / counts[class_index] / len(counts)
    for _ in range(epochs):
        if len(counts) == 1:
            order = rng.permutation(len(class_index))
        else:
            order = rng.choice(len(class_index), len(class_index), p=weights)
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            if len(batch) > 1:  # batch normalisation needs two
                yield torch.from_numpy(batch)


def _reconstruction(
    network: Autoencoder, inputs: torch.Tensor, index: torch.Tensor
) -> torch.Tensor:
    del index
    loss: torch.Tensor = ((network(inputs) - inputs) ** 2).mean()
    return loss


def run_padded(run: Callable[[torch.Tensor], torch.Tensor], features: FloatArray) -> FloatArray:
    """Apply a network to features (M, D) in blocks of one size, so that company does not matter."""
    block = 256
    parts = [np.zeros((0, run_width(run, features)), dtype=np.float32)]
    with torch.inference_mode():
        for start in range(0, len(features), block):
            rows = features[start : start + block]
            padded = np.zeros((block, features.shape[1]), dtype=np.float32)
            padded[: len(rows)] = rows
            parts.append(run(torch.from_numpy(padded)).numpy()[: len(rows)])
    return np.concatenate(parts)


def run_width(run: Callable[[torch.Tensor], torch.Tensor], features: FloatArray) -> int:
    """Columns that a network gives."""
    with torch.inference_mode():
        return int(run(torch.zeros(2, features.shape[1])).shape[1])
