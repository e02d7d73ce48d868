"""Deep SVDD: one hypersphere for everything that is usual; multi-class Deep SVDD with one class."""

from typing import Self

import numpy as np

from catalogtool.anomaly import _base
from catalogtool.anomaly._base import Arrays, FloatArray, IntArray
from catalogtool.anomaly._encoder import Autoencoder, EncoderOptions, run_padded
from catalogtool.anomaly.mcdsvdd import fit_spheres


class Options(EncoderOptions):
    """Options of Deep SVDD."""


class Method(_base.Method):
    """An encoder and the centre of all objects.

    Parameters
    ----------
    network : Autoencoder
        Trained.
    centre : ndarray, shape (1, d), float32
    """

    def __init__(self, network: Autoencoder, centre: FloatArray) -> None:
        self.network = network
        self.centre = centre

    @classmethod
    def fit(
        cls, features: FloatArray, class_index: IntArray, options: _base.MethodOptions, seed: int
    ) -> Self:
        """Train the autoencoder, settle the centre, and draw all objects together."""
        assert isinstance(options, Options)
        return cls(*fit_spheres(features, np.zeros_like(class_index), options, 0.0, seed))

    def score(self, features: FloatArray) -> FloatArray:
        """Squared distance from the centre."""
        embedded = run_padded(self.network.encoder, features)
        squared: FloatArray = ((embedded - self.centre) ** 2).sum(axis=1)
        return squared

    def to_arrays(self) -> Arrays:
        """Weights and centre."""
        return {**self.network.to_arrays(), "centre": self.centre}

    @classmethod
    def from_arrays(cls, arrays: Arrays, options: _base.MethodOptions) -> Self:
        """Restore them."""
        assert isinstance(options, Options)
        return cls(Autoencoder.from_arrays(arrays, options), arrays["centre"])
