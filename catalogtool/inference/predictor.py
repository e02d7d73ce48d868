"""Cutouts in; class probabilities, features and scores out."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from catalogtool.catalogs._base import Predictions
from catalogtool.flags import FATAL, Flag
from catalogtool.inference.forms import FORMS, WithFeatures, make_forward, predict_padded
from catalogtool.inputs._base import Cutouts
from catalogtool.training.model import Model

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int32]


class FeatureScorer(Protocol):
    """Whatever scores features."""

    def apply(self, features: FloatArray) -> pa.Table:
        """Score features of shape (M, D); M rows."""


class Predictor:
    """A model in one form.

    Parameters
    ----------
    model : Model
        What predicts.
    form : str
        Name of a form of `catalogtool.inference.forms`.
    threads : int
        Threads of torch in this process; results may differ between numbers of threads.
    minibatch : int
        Cutouts per forward pass. It is the same for every pass, so that a cutout's result does
        not depend on its company.
    with_features : bool
        Whether the predictions are to hold features.
    scorer : FeatureScorer or None
        What tells unusual objects by their features.
    """

    def __init__(
        self,
        model: Model,
        form: str,
        threads: int,
        minibatch: int,
        *,
        with_features: bool = False,
        scorer: FeatureScorer | None = None,
    ) -> None:
        torch.set_num_threads(threads)
        spec = model.spec
        self.preparation = spec.preparation
        channels = self.preparation.channels(spec.channels)
        shape = torch.Size((channels, spec.size_pix, spec.size_pix))
        self.spec = spec
        self.minibatch = minibatch
        self.calibration = model.calibration
        self.neighbours = model.neighbours
        self.scorer = scorer
        self.with_features = with_features or scorer is not None
        needs_features = self.with_features or model.neighbours is not None
        network = WithFeatures(model.network) if needs_features else model.network
        self.forward = make_forward(network, FORMS[form], minibatch, shape, len(spec.classes))

    def predict(self, cutouts: Cutouts) -> Predictions:
        """Predict some objects.

        Parameters
        ----------
        cutouts : Cutouts
            Of N objects; NaN and infinity are excluded like masked pixels.

        Returns
        -------
        Predictions
            One row per object and band where the network sees single bands, else one per object.
        """
        count, bands = cutouts.flags.shape
        rows = bands if self.spec.channels == 1 else 1
        size = self.spec.size_pix
        shape = (count * rows, self.spec.channels, size, size)
        images = self.preparation.crop(cutouts.images).reshape(shape)  # (N * R, c, H, W)
        mask = self.preparation.crop(cutouts.mask).reshape(shape)
        found = cutouts.flags.reshape(count * rows, bands // rows)
        found = np.bitwise_or.reduce(found, axis=1)  # (N * R,)
        found |= np.where(found & FATAL, 0, pixel_flags(images, mask))
        good = np.flatnonzero((found & FATAL) == 0)
        p = np.full((count * rows, len(self.spec.classes)), np.nan, dtype=np.float32)
        features = np.zeros((0, 0), dtype=np.float32)
        if len(good):
            facts = None
            if cutouts.facts is not None:
                facts = cutouts.facts.take(pa.array(good // rows))
            prepared = self.preparation.apply(images[good], mask[good], facts)
            p[good], features = self._predict(prepared)
            if self.neighbours is not None:
                is_unknown = self.neighbours.is_unknown(torch.from_numpy(features))
                found[good] |= np.where(is_unknown, Flag.UNKNOWN_CLASS, 0)
        if self.calibration is not None and len(good):
            p[good] = self.calibration.apply_to_array(p[good])
        p = p.reshape(count, rows, p.shape[1])
        mean = mean_features(features, good // rows, count) if self.with_features else None
        findings = None
        if self.scorer is not None and mean is not None:
            findings = score(self.scorer, mean)
        return Predictions(p, found.reshape(count, rows), cutouts.facts, mean, findings)

    def _predict(self, prepared: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Probabilities (M, K) before calibration, and features (M, D); D is 0 if nobody asks."""
        outputs = predict_padded(self.forward, torch.from_numpy(prepared), self.minibatch)
        p, features = outputs.tensor_split([len(self.spec.classes)], dim=1)
        p = p.double()
        return (p / p.sum(dim=1, keepdim=True)).float().numpy(), features.numpy()


def mean_features(
    features: FloatArray, owner: npt.NDArray[np.integer[Any]], count: int
) -> FloatArray:
    """Mean features of each object.

    Parameters
    ----------
    features : ndarray, shape (M, D), float32
        Of cutouts.
    owner : ndarray, shape (M,)
        Object of each cutout, ascending.
    count : int
        Number of objects N.

    Returns
    -------
    ndarray, shape (N, D), float32
        NaN for an object without a cutout.
    """
    sums = np.zeros((count, features.shape[1]))
    np.add.at(sums, owner, features)
    cutouts = np.bincount(owner, minlength=count)[:, None]
    mean: FloatArray = np.full(sums.shape, np.nan, dtype=np.float32)
    np.divide(sums, cutouts, out=mean, where=cutouts > 0, casting="same_kind")
    return mean


def score(scorer: FeatureScorer, features: FloatArray) -> pa.Table:
    """What a scorer says of features of shape (N, D); null where they are NaN."""
    known = np.isfinite(features).all(axis=1)
    place = pa.array(np.cumsum(known) - 1, mask=~known)
    return scorer.apply(features[known]).take(place)


def pixel_flags(images: FloatArray, mask: BoolArray) -> IntArray:
    """Judge cutouts by their pixels.

    Parameters
    ----------
    images, mask : ndarray, shape (M, c, H, W)
        Cutouts; True in the mask excludes a pixel.

    Returns
    -------
    ndarray, shape (M,), int32
        `Flag.NO_VALID_PIXELS`, or `Flag.NO_SIGNAL` and `Flag.PARTLY_MASKED` as they apply.
    """
    pixels = (len(images), int(np.prod(images.shape[1:])))
    images = images.reshape(pixels)
    valid = np.isfinite(images) & ~mask.reshape(pixels)
    some, every = valid.any(axis=1), valid.all(axis=1)
    low = images.min(axis=1, where=valid, initial=np.inf)
    high = images.max(axis=1, where=valid, initial=-np.inf)
    flags = np.where(some, 0, Flag.NO_VALID_PIXELS)
    flags |= np.where(some & (low == high), Flag.NO_SIGNAL, 0)
    flags |= np.where(some & ~every, Flag.PARTLY_MASKED, 0)
    return flags.astype(np.int32)


def join_predictions(chunks: Sequence[Predictions]) -> Predictions:
    """Predictions of consecutive chunks as one."""
    features = [chunk.features for chunk in chunks if chunk.features is not None]
    return Predictions(
        probabilities=np.concatenate([chunk.probabilities for chunk in chunks]),
        flags=np.concatenate([chunk.flags for chunk in chunks]),
        facts=join_tables([chunk.facts for chunk in chunks]),
        features=np.concatenate(features) if features else None,
        findings=join_tables([chunk.findings for chunk in chunks]),
    )


def join_tables(tables: Sequence[pa.Table | None]) -> pa.Table | None:
    """Tables of consecutive chunks as one; None where there are none."""
    known = [table for table in tables if table is not None]
    return pa.concat_tables(known).combine_chunks() if len(known) == len(tables) else None
