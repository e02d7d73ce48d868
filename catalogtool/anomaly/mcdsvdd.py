"""Multi-class Deep SVDD (Perez-Carrasco et al. 2023): one hypersphere for every known class.

An autoencoder is trained first; the centres ``c_k`` are the mean embeddings of the classes, in
evaluation mode, and stay as they are. Then ``mean_i |E(x_i) - c_{y_i}|^2`` is minimised, and
``s(x) = min_k |E(x) - c_k|^2`` is the score.

The spheres alone leave the encoder free to fold what is far away from all classes into one of
them, as it is never told of it: directions in which known classes do not vary can be ignored at
no cost. So the decoder stays and goes on to restore its inputs, with the weight `reconstruction`:
then an embedding has to keep what tells inputs apart. Weight 0 is the published method.
"""

from typing import Annotated, Self

import numpy as np
import torch
from pydantic import Field

from catalogtool.anomaly import _base
from catalogtool.anomaly._base import Arrays, FloatArray, IntArray
from catalogtool.anomaly._encoder import Autoencoder, EncoderOptions, pretrain, run_padded, train

_SMALLEST = 0.01
"""Coordinates of centres nearer to 0 are moved away: an encoder without biases reaches 0 for any
input."""


class Options(EncoderOptions):
    """Options of multi-class Deep SVDD."""

    reconstruction: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the summed squared reconstruction error beside the spheres."""


class Method(_base.Method):
    """An encoder and the centres of the classes.

    Parameters
    ----------
    network : Autoencoder
        Trained.
    centres : ndarray, shape (K, d), float32
    """

    def __init__(self, network: Autoencoder, centres: FloatArray) -> None:
        self.network = network
        self.centres = centres

    @classmethod
    def fit(
        cls, features: FloatArray, class_index: IntArray, options: _base.MethodOptions, seed: int
    ) -> Self:
        """Train the autoencoder, settle the centres, and draw the classes together."""
        assert isinstance(options, Options)
        return cls(*fit_spheres(features, class_index, options, options.reconstruction, seed))

    def score(self, features: FloatArray) -> FloatArray:
        """Squared distance from the nearest centre."""
        nearest: FloatArray = self.distances(features).min(axis=1)
        return nearest

    def distances(self, features: FloatArray) -> FloatArray:
        """Squared distance from each centre."""
        embedded = run_padded(self.network.encoder, features)
        squared: FloatArray = ((embedded[:, None] - self.centres) ** 2).sum(axis=2)
        return squared

    def to_arrays(self) -> Arrays:
        """Weights and centres."""
        return {**self.network.to_arrays(), "centres": self.centres}

    @classmethod
    def from_arrays(cls, arrays: Arrays, options: _base.MethodOptions) -> Self:
        """Restore them."""
        assert isinstance(options, EncoderOptions)
        return cls(Autoencoder.from_arrays(arrays, options), arrays["centres"])


def fit_spheres(
    features: FloatArray,
    class_index: IntArray,
    options: EncoderOptions,
    reconstruction: float,
    seed: int,
) -> tuple[Autoencoder, FloatArray]:
    """Train an encoder that draws each class together around its centre.

    Returns
    -------
    network : Autoencoder
        In evaluation mode.
    centres : ndarray, shape (K, d), float32
    """
    network = pretrain(features, options, seed)
    centres = mean_embeddings(network, features, class_index)
    targets = torch.from_numpy(centres)

    def loss(network: Autoencoder, inputs: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        embedded = network.encoder(inputs)
        terms: torch.Tensor = ((embedded - targets[index]) ** 2).sum(dim=1)
        if reconstruction:
            restored = network.decoder(embedded)
            terms = terms + reconstruction * ((restored - inputs) ** 2).sum(dim=1)
        return terms.mean()

    schedule = (options.epochs, options.learning_rate)
    train(network, features, class_index, loss, schedule, options.batch_size, seed)
    return network, centres


def mean_embeddings(
    network: Autoencoder, features: FloatArray, class_index: IntArray
) -> FloatArray:
    """Mean embedding of each class, no coordinate nearer to 0 than `_SMALLEST`; shape (K, d)."""
    embedded = run_padded(network.eval().encoder, features)
    classes = range(int(class_index.max()) + 1)
    centres = np.stack([embedded[class_index == index].mean(axis=0) for index in classes])
    pushed = np.where(centres < 0, -_SMALLEST, _SMALLEST)
    return np.where(np.abs(centres) < _SMALLEST, pushed, centres).astype(np.float32)
