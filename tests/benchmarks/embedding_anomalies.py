"""How well unusual cutouts are found in what a network makes of them.

``CATALOGTOOL_DATA=... python tests/benchmarks/embedding_anomalies.py [galaxies] [alerts]
[--seeds 5] [--methods ...]``

A network learns the known classes of real cutouts, its features teach the anomaly methods, and the
features of other cutouts are scored. ``galaxies``: ellipticals and spirals of DESI and discs
without rings of DECaLS. ``alerts``: asteroids, supernovae, variable stars and active nuclei of ZTF.
Anomalies are one class after the other, which neither network nor method was told of; ring
galaxies, beside discs of the same survey; and defects planted into cutouts of the test, beside the
same cutouts without them. The network is trained anew for every class that is left out.

Printed are AUROC (mean and standard deviation over seeds) and precision at 10. A seed draws the
test, three tenths of every class, and changes weights, batches and what is planted.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import torch
from scipy.ndimage import shift
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).parent))

from adaptation_data import _pictures
from stamp_recipes import RECIPES, Recipe, build, teach
from ztf_alerts_data import CLASSES, read_alerts

from catalogtool.adaptation._losses import label_loss
from catalogtool.anomaly import method_names
from catalogtool.anomaly._protocol import precision_at, split
from catalogtool.anomaly._scorer import AnomalyScorer
from catalogtool.networks._base import Network
from catalogtool.preprocess.preparation import Preparation
from catalogtool.preprocess.stretch import prepare
from catalogtool.training.context import SingleProcess
from catalogtool.training.examples import Examples
from catalogtool.training.predict import gather_features

DATA = Path(os.environ.get("CATALOGTOOL_DATA", "../shared/data"))
TEST_SHARE = 0.3
PRECISION_AT = 10
_GALAXIES = Recipe(
    "resnet",
    {"stem": "large"},
    size_pix=64,
    stretch="unit",
    steps=400,
    augment=("flip", "rotate", "shift", "zoom", "jitter"),
)


@dataclass(frozen=True)
class Sky:
    """Cutouts with known classes, and further ones that are unusual.

    Attributes
    ----------
    pixels : ndarray, shape (N, C, H, W)
    labels : ndarray, shape (N,), int
    groups : ndarray, shape (N,), int
        Objects: all cutouts of one teach, or are for the test.
    classes : tuple of str
    strangers : dict of ndarray
        Unusual cutouts by name, and the class that they are told from.
    defects : dict of callable
        What can be planted into cutouts, by name.
    recipe : Recipe
        How a network learns them.
    """

    pixels: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    classes: tuple[str, ...]
    strangers: dict[str, tuple[np.ndarray, int]]
    defects: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]]
    recipe: Recipe

    def prepared(self, pixels: np.ndarray) -> Examples:
        """Cutouts as the network sees them."""
        cropped = Preparation(self.recipe.size_pix, self.recipe.stretch).crop(pixels)
        images = prepare(cropped, ~np.isfinite(cropped), self.recipe.stretch)
        count = len(images)
        nothing = np.zeros(count, dtype=np.int64)
        return Examples(images, np.zeros((count, 1), np.float32), nothing, nothing, flagged=0)


class Figures(NamedTuple):
    """How well some anomalies are told from usual cutouts."""

    name: str
    auroc: float
    precision: float


def galaxies() -> Sky:
    """Galaxies of DESI, discs of DECaLS without rings; and those with rings."""
    pixels, found = _pictures(pq.read_table(DATA / "galaxy-desi-gz1/desi_gz1_images.parquet"))
    labels = np.minimum(found, 1)  # both senses of spirals are one class
    table = pq.read_table(DATA / "galaxy-decals-rings/decals_rings_images.parquet")
    others, is_ring = _pictures(table.append_column("label", table.column("ring")))
    plain, rings = others[is_ring == 0], others[is_ring == 1]
    every = np.concatenate([pixels, plain])
    discs = np.full(len(plain), 2)  # a class of its own: the pictures were made in another way
    return Sky(
        pixels=every,
        labels=np.append(labels, discs),
        groups=np.arange(len(every)),
        classes=("elliptical", "spiral", "plain disc"),
        strangers={"rings": (rings, 2)},
        defects={"trail": _trail, "hot pixels": _hot, "half lost": _half, "merger": _merger},
        recipe=_GALAXIES,
    )


def alerts() -> Sky:
    """Alerts of ZTF with weak classes."""
    known = read_alerts(DATA)
    chosen = np.flatnonzero(np.isin(known.weak_class, CLASSES))
    return Sky(
        pixels=known.images[chosen],
        labels=np.array([CLASSES.index(name) for name in known.weak_class[chosen]]),
        groups=known.object_id[chosen],
        classes=CLASSES,
        strangers={},
        defects={"trail": _trail, "hot pixels": _hot, "half lost": _half, "dipole": _dipole},
        recipe=RECIPES["multi_scale"],
    )


def _peak(image: np.ndarray) -> float:
    return float(np.nanquantile(image, 0.995) - np.nanmedian(image))


def _trail(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The track of a satellite in one channel, past the middle."""
    size = image.shape[-1]
    angle, past = rng.uniform(0, np.pi), rng.uniform(0.1, 0.4) * size
    y, x = np.indices(image.shape[-2:]) - size // 2
    distance = np.abs(x * np.cos(angle) + y * np.sin(angle) - past)
    changed = image.copy()
    channel = int(rng.integers(len(image)))
    changed[channel] += _peak(image[channel]) * np.exp(-0.5 * (distance / 1.2) ** 2)
    return changed


def _hot(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Ten pixels of one channel brighter than all others."""
    changed = image.copy()
    channel = int(rng.integers(len(image)))
    where = rng.integers(0, image.shape[-1], (2, 10))
    changed[channel][tuple(where)] += 2 * _peak(image[channel])
    return changed


def _half(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Nothing but zero in the half of one channel."""
    changed = image.copy()
    half = changed[int(rng.integers(len(image)))]
    turned = np.rot90(half, int(rng.integers(4)))
    turned[: len(turned) // 2] = 0
    return changed


def _merger(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The galaxy and its own turned image beside it."""
    azimuth, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.25) * image.shape[-1]
    by = (0, distance * np.sin(azimuth), distance * np.cos(azimuth))
    turned = np.rot90(image, int(rng.integers(1, 4)), axes=(1, 2))
    return np.maximum(image, shift(turned, by, order=1)).astype(np.float32)


def _dipole(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A difference from a template that lies two pixels beside the science image."""
    changed = image.copy()
    template = np.roll(image[1], 2, axis=int(rng.integers(2)))
    changed[2] = image[0] - np.nanmedian(image[0]) - (template - np.nanmedian(template))
    return changed


def embed(network: Network, sky: Sky, pixels: np.ndarray) -> np.ndarray:
    """Features of cutouts, shape (N, D)."""
    return gather_features(network, sky.prepared(pixels), SingleProcess())


def learn(sky: Sky, taught: np.ndarray, seed: int) -> Network:
    """A network that knows the classes of some cutouts."""
    _, known = np.unique(sky.labels[taught], return_inverse=True)
    votes = np.eye(known.max() + 1, dtype=np.float32)[known]
    torch.manual_seed(seed)
    network = build(sky.recipe, sky.pixels.shape[1], votes.shape[1], ())
    examples = replace(sky.prepared(sky.pixels[taught]), votes=votes)
    teach(network, examples, label_loss("class"), sky.recipe, steps=sky.recipe.steps, seed=seed)
    return network


def drawn(sky: Sky, seed: int) -> np.ndarray:
    """Which cutouts are for the test; all of one object or none."""
    _, first, own = np.unique(sky.groups, return_index=True, return_inverse=True)
    return split(sky.labels[first], TEST_SHARE, seed)[own]


def scorers(
    sky: Sky, taught: np.ndarray, features: np.ndarray, methods: list[str], seed: int
) -> Iterator[tuple[str, AnomalyScorer]]:
    """Every method, taught by the features of known cutouts."""
    known, index = np.unique(sky.labels[taught], return_inverse=True)
    classes = tuple(sky.classes[label] for label in known)
    for method in methods:
        yield method, AnomalyScorer.fit(features, index, classes, method, {}, seed)


def compared(name: str, scorer: AnomalyScorer, usual: np.ndarray, odd: np.ndarray) -> Figures:
    """Scores of unusual features beside those of usual ones."""
    scores = scorer.apply(np.concatenate([usual, odd])).column("score").to_numpy()
    is_odd = np.arange(len(scores)) >= len(usual)
    return Figures(
        name, float(roc_auc_score(is_odd, scores)), precision_at(is_odd, scores, PRECISION_AT)
    )


def run(sky: Sky, methods: list[str], seed: int) -> Iterator[tuple[str, Figures]]:
    """Figures of one seed, by method."""
    is_test = drawn(sky, seed)
    rng = np.random.default_rng((seed, 7))
    taught, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    network = learn(sky, taught, seed)
    usual = embed(network, sky, sky.pixels[test])
    planted = {
        name: embed(network, sky, np.stack([plant(image, rng) for image in sky.pixels[test]]))
        for name, plant in sky.defects.items()
    }
    odd = {name: embed(network, sky, pixels) for name, (pixels, _) in sky.strangers.items()}
    features = embed(network, sky, sky.pixels[taught])
    for method, scorer in scorers(sky, taught, features, methods, seed):
        for name, found in planted.items():
            yield method, compared(name, scorer, usual, found)
        for name, found in odd.items():
            same = sky.labels[test] == sky.strangers[name][1]
            yield method, compared(name, scorer, usual[same], found)
    for label, name in enumerate(sky.classes):
        known = taught[sky.labels[taught] != label]
        network = learn(sky, known, seed)
        found = embed(network, sky, sky.pixels[test])
        is_odd = sky.labels[test] == label
        features = embed(network, sky, sky.pixels[known])
        for method, scorer in scorers(sky, known, features, methods, seed):
            yield method, compared(f"no {name}", scorer, found[~is_odd], found[is_odd])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = {"galaxies": galaxies, "alerts": alerts}
    parser.add_argument("skies", nargs="*", default=list(kinds))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--methods", nargs="+", default=list(method_names()))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for kind in arguments.skies:
        sky = kinds[kind]()
        counts = np.bincount(sky.labels).tolist()
        print(f"{kind}: {dict(zip(sky.classes, counts, strict=True))}", flush=True)
        found: dict[tuple[str, str], list[Figures]] = {}
        for seed in range(arguments.seeds):
            begin = time.perf_counter()
            for method, figures in run(sky, arguments.methods, seed):
                found.setdefault((method, figures.name), []).append(figures)
            print(f"  seed {seed}: {time.perf_counter() - begin:.0f} s", flush=True)
        for (method, name), each in found.items():
            auroc = np.array([one.auroc for one in each])
            spread = auroc.std(ddof=1) if len(auroc) > 1 else 0.0
            precision = np.mean([one.precision for one in each])
            print(f"  {name:<16}{method:<20}{auroc.mean():.3f} ± {spread:.3f}  {precision:.2f}")


if __name__ == "__main__":
    main()
