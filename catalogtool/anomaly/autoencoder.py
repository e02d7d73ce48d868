"""Reconstruction error of an autoencoder: what it was not shown it does not restore."""

from typing import Self

from catalogtool.anomaly import _base
from catalogtool.anomaly._base import Arrays, FloatArray, IntArray
from catalogtool.anomaly._encoder import Autoencoder, EncoderOptions, pretrain, run_padded


class Options(EncoderOptions):
    """Options of the autoencoder; those of the second phase are without effect."""


class Method(_base.Method):
    """Summed squared reconstruction error.

    Parameters
    ----------
    network : Autoencoder
        Trained.
    """

    def __init__(self, network: Autoencoder) -> None:
        self.network = network

    @classmethod
    def fit(
        cls, features: FloatArray, class_index: IntArray, options: _base.MethodOptions, seed: int
    ) -> Self:
        """Train the autoencoder; classes are not looked at."""
        del class_index
        assert isinstance(options, Options)
        return cls(pretrain(features, options, seed))

    def score(self, features: FloatArray) -> FloatArray:
        """Summed squared error of the reconstruction."""
        error = run_padded(self.network, features) - features
        summed: FloatArray = (error**2).sum(axis=1)
        return summed

    def to_arrays(self) -> Arrays:
        """Weights of the network."""
        return self.network.to_arrays()

    @classmethod
    def from_arrays(cls, arrays: Arrays, options: _base.MethodOptions) -> Self:
        """Restore the network."""
        assert isinstance(options, Options)
        return cls(Autoencoder.from_arrays(arrays, options))
