"""Real images for comparing adaptation methods: digits, galaxies, and spirals by handedness."""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch.nn import functional

from catalogtool.preprocess.stretch import prepare
from catalogtool.training.examples import Examples

SIZE_PIX = 64
SOURCE_DIGITS, POOL_DIGITS, TEST_DIGITS = 2000, 1800, 2000


@dataclass(frozen=True)
class Task:
    """Two surveys and what is known of them.

    Attributes
    ----------
    classes : tuple of str
    mirrored : dict
        Class of the mirror image of a class, where it is another one.
    source, source_test : Examples
        Labelled cutouts to learn from, and others that tell what was kept.
    pool : Examples
        Cutouts of the target; labels are drawn from it, the rest is unlabelled.
    test : Examples or None
        Cutouts of the target for the final figure; None: those of the pool that gave no label.
    """

    classes: tuple[str, ...]
    mirrored: dict[str, str]
    source: Examples
    source_test: Examples
    pool: Examples
    test: Examples | None

    def draw(self, shots: int, seed: int) -> tuple[Examples, Examples]:
        """Labels of the target to learn from, and the cutouts to test on."""
        winners = self.pool.votes.argmax(axis=1)
        order = np.random.default_rng((seed, 1)).permutation(len(winners))
        chosen = [order[winners[order] == name][:shots] for name in range(len(self.classes))]
        few = np.concatenate(chosen)
        rest = np.setdiff1d(np.arange(len(winners)), few)
        return self.pool.take(few), self.test or self.pool.take(rest)


def digits(data: Path, seed: int) -> Task:
    """2,000 MNIST digits, 1,800 of USPS without labels, the official test digits of USPS."""
    mnist = np.load(data / "da-digits-mnist-usps/mnist.npz")
    usps = np.load(data / "da-digits-mnist-usps/usps.npz")
    rng = np.random.default_rng((seed, 0))
    source = rng.permutation(len(mnist["x_train"]))[:SOURCE_DIGITS]
    pool = rng.permutation(len(usps["x_train"]))[:POOL_DIGITS]
    return Task(
        classes=tuple(f"digit_{digit}" for digit in range(10)),
        mirrored={},
        source=_examples(_grey(mnist["x_train"][source], 255), mnist["y_train"][source], 10),
        source_test=_examples(
            _grey(mnist["x_test"][:TEST_DIGITS], 255), mnist["y_test"][:TEST_DIGITS], 10
        ),
        pool=_examples(_enlarged(usps["x_train"][pool]), usps["y_train"][pool], 10),
        test=_examples(_enlarged(usps["x_test"]), usps["y_test"], 10),
    )


def framed_digits(data: Path, seed: int) -> Task:
    """The same, with the digits of MNIST filling their frames as those of USPS do."""
    task = digits(data, seed)
    return replace(task, source=_cut(task.source), source_test=_cut(task.source_test))


def galaxies(data: Path, seed: int) -> Task:  # noqa: ARG001 - all seeds have the same images
    """Ellipticals and spirals, SDSS to DESI."""
    names = {0: 0, 1: 1, 2: 1, 3: 1}
    return _galaxies(data, ("elliptical", "spiral"), {}, names)


def spins(data: Path, seed: int) -> Task:  # noqa: ARG001 - all seeds have the same images
    """Ellipticals and the two senses of spirals, SDSS to DESI."""
    mirrored = {"clockwise": "anticlockwise", "anticlockwise": "clockwise"}
    names = {0: 0, 1: 1, 2: 2}
    return _galaxies(data, ("elliptical", "clockwise", "anticlockwise"), mirrored, names)


TASKS: dict[str, Callable[[Path, int], Task]] = {
    "digits": digits,
    "framed_digits": framed_digits,
    "galaxies": galaxies,
    "spins": spins,
}


def _galaxies(
    data: Path,
    classes: tuple[str, ...],
    mirrored: dict[str, str],
    names: dict[int, int],
) -> Task:
    sdss = pq.read_table(data / "galaxy-sdss-gz1/sdss_gz1_images.parquet")
    desi = pq.read_table(data / "galaxy-desi-gz1/desi_gz1_images.parquet")
    split = np.array(sdss.column("split").to_pylist())
    images, labels = _pictures(sdss)
    known = np.isin(labels, list(names))
    labels = np.array([names.get(label, 0) for label in labels])
    train, test = known & (split == "train"), known & (split == "test")
    pool, pool_labels = _pictures(desi)
    pool_labels = np.array([names[label] for label in pool_labels])
    return Task(
        classes=classes,
        mirrored=mirrored,
        source=_examples(images[train], labels[train], len(classes)),
        source_test=_examples(images[test], labels[test], len(classes)),
        pool=_examples(pool, pool_labels, len(classes)),
        test=None,
    )


def _pictures(table: object) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of `SIZE_PIX`, shape (N, 3, 64, 64), and the labels as they are given."""
    pictures = []
    for encoded in table.column("image").to_pylist():  # type: ignore[attr-defined]
        pixels = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"), dtype=np.float32)
        step = len(pixels) // SIZE_PIX
        blocks = pixels.reshape(SIZE_PIX, step, SIZE_PIX, step, 3)
        pictures.append(blocks.mean(axis=(1, 3)).transpose(2, 0, 1))
    images = np.stack(pictures)
    prepared = prepare(images, np.zeros(images.shape, dtype=bool), "unit")
    return prepared, np.array(table.column("label").to_pylist())  # type: ignore[attr-defined]


def _grey(pixels: np.ndarray, brightest: float) -> np.ndarray:
    return (pixels[:, None] / brightest).astype(np.float32)


def _enlarged(pixels: np.ndarray) -> np.ndarray:
    """USPS digits from 16 x 16 to 28 x 28 pixels; 2000 is white."""
    return _resized(_grey(pixels, 2000))


def _cut(examples: Examples) -> Examples:
    """MNIST digits without the margin of four pixels around them, in 28 x 28 pixels again."""
    return replace(examples, images=_resized(examples.images[..., 4:-4, 4:-4]))


def _resized(images: np.ndarray) -> np.ndarray:
    return functional.interpolate(torch.from_numpy(images), size=28, mode="bilinear").numpy()


def _examples(images: np.ndarray, labels: np.ndarray, classes: int) -> Examples:
    return Examples(
        images=np.ascontiguousarray(images, dtype=np.float32),
        votes=np.eye(classes, dtype=np.float32)[labels.astype(int)],
        object_id=np.arange(len(labels)),
        band=np.zeros(len(labels), dtype=np.int64),
        flagged=0,
    )
