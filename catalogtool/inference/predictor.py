"""Cutouts in, class probabilities out."""

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
    """

    def __init__(self, model: Model, form: str, threads: int, minibatch: int) -> None:
        torch.set_num_threads(threads)
        spec = model.spec
        self.preparation = spec.preparation
        channels = self.preparation.channels(spec.channels)
        shape = torch.Size((channels, spec.size_pix, spec.size_pix))
        self.spec = spec
        self.minibatch = minibatch
        self.calibration = model.calibration
        self.neighbours = model.neighbours
        network = model.network if model.neighbours is None else WithFeatures(model.network)
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
        if len(good):
            facts = None
            if cutouts.facts is not None:
                facts = cutouts.facts.take(pa.array(good // rows))
            prepared = self.preparation.apply(images[good], mask[good], facts)
            p[good], is_unknown = self._predict(prepared)
            found[good] |= np.where(is_unknown, Flag.UNKNOWN_CLASS, 0)
        if self.calibration is not None and len(good):
            p[good] = self.calibration.apply_to_array(p[good])
        p = p.reshape(count, rows, p.shape[1])
        return Predictions(p, found.reshape(count, rows), cutouts.facts)

    def _predict(self, prepared: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Probabilities (M, K) before calibration, and whether the class is none of them (M,)."""
        outputs = predict_padded(self.forward, torch.from_numpy(prepared), self.minibatch)
        p, features = outputs.tensor_split([len(self.spec.classes)], dim=1)
        p = p.double()
        normalised: FloatArray = (p / p.sum(dim=1, keepdim=True)).float().numpy()
        if self.neighbours is None:
            return normalised, np.zeros(len(p), dtype=bool)
        return normalised, self.neighbours.is_unknown(features)


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
