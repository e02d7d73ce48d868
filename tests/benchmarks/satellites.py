"""What a network needs to see of an alert to tell satellites from the rest.

``python tests/benchmarks/satellites.py [--scenarios cropped low_res multi_scale full] [--seeds 3]
[--train 1800] [--test 1800] [--steps 300] [--authors]``

draws simulated alerts of six classes, of which satellites are trails and trains of glints, trains
the multi-scale network on each of its scenarios, classes drawn equally often, and prints macro F1
and the F1 of satellites, in per cent, on other alerts, with the bytes that an alert's three
cutouts take. A seed changes weights and batches; all see the same alerts. All scenarios have the
same narrow widths and little dropout, as few alerts teach; ``--authors`` takes the authors' own.
"""

import argparse
import time
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from sklearn.metrics import f1_score
from stamp_recipes import Recipe, build, teach

from catalogtool.adaptation._losses import cross_entropy
from catalogtool.inputs._base import votes_of
from catalogtool.inputs.simulated_alerts import Format
from catalogtool.networks.multi_scale import BEST
from catalogtool.preprocess.multi_scale import bytes_per_alert
from catalogtool.preprocess.stretch import prepare
from catalogtool.surveys import load_survey
from catalogtool.surveys._recipe import Stretch
from catalogtool.training.examples import Examples
from catalogtool.training.predict import predict_examples

SURVEY = "mock_alerts"
STRETCH: Stretch = "percentile"
_WIDTHS = (16, 24, 32, 32, 32)
_DROPOUT = 0.3
_RATE = 2e-3


def draw(count: int) -> Examples:
    """Labelled alerts, in equal shares of the classes."""
    survey = load_survey(SURVEY)
    assert survey.difference_imaging is not None
    labelled = survey.difference_imaging.model_copy(update={"labelled_share": 1.0})
    survey = survey.model_copy(update={"difference_imaging": labelled})
    form = Format(survey, f"simulated_alerts:{count}")
    rows = pa.concat_tables(form.list_objects())
    images = np.stack([form.draw(index).images for index in rows.column("row").to_pylist()])
    return Examples(
        images=prepare(images, np.zeros(images.shape, dtype=bool), STRETCH),
        votes=votes_of(rows, survey)[:, 0],
        object_id=rows.column("object_id").to_numpy(),
        band=np.zeros(count, dtype=np.int64),
        flagged=0,
    )


def predictions(
    scenario: str, train: Examples, test: Examples, seed: int, arguments: argparse.Namespace
) -> np.ndarray:
    """Classes that a fresh network predicts after training."""
    options: dict[str, Any] = {"scenario": scenario}
    rate = BEST[scenario].learning_rate
    if not arguments.authors:
        options, rate = options | {"widths": _WIDTHS, "dropout": _DROPOUT}, _RATE
    classes = load_survey(SURVEY).labels.classes
    _, channels, size_pix, _ = train.images.shape
    recipe = Recipe(
        "multi_scale",
        options,
        size_pix=size_pix,
        stretch=STRETCH,
        batch_size=arguments.batch,
        learning_rate=rate,
        weight_decay=0.0,
        augment=(),
    )
    torch.manual_seed(seed)
    network = build(recipe, channels, len(classes), ())
    teach(network, train, cross_entropy, recipe, steps=arguments.steps, seed=seed)
    return predict_examples(network, test, torch.device("cpu")).argmax(axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", nargs="+", default=list(BEST), choices=list(BEST))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train", type=int, default=1800)
    parser.add_argument("--test", type=int, default=1800)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--authors", action="store_true")
    arguments = parser.parse_args()
    alerts = draw(arguments.train + arguments.test)
    train = alerts.take(np.arange(arguments.train))
    test = alerts.take(np.arange(arguments.train, len(alerts)))
    truth = test.votes.argmax(axis=1)
    classes = load_survey(SURVEY).labels.classes
    for scenario in arguments.scenarios:
        figures = []
        begin = time.perf_counter()
        for seed in range(arguments.seeds):
            found = predictions(scenario, train, test, seed, arguments)
            each = 100 * f1_score(truth, found, average=None, labels=np.arange(len(classes)))
            figures.append(each)
            named = dict(zip(classes, each.round(1).tolist(), strict=True))
            print(scenario, seed, named, flush=True)
        of_class = np.array(figures)
        macro, satellite = of_class.mean(axis=1), of_class[:, classes.index("satellite")]
        seconds = (time.perf_counter() - begin) / arguments.seeds
        size = bytes_per_alert(scenario, train.images.shape[-1])
        print(
            f"{scenario:<12} macro F1 {_text(macro)}, satellites {_text(satellite)}, {size:,} "
            f"bytes an alert, {seconds:.0f} s a network",
            flush=True,
        )
    packed = bytes_per_alert("packed", train.images.shape[-1])
    print(f"the levels in their packed form: {packed:,} bytes an alert")


def _text(values: np.ndarray) -> str:
    return f"{values.mean():.1f} ± {values.std(ddof=1) if len(values) > 1 else 0:.1f}"


if __name__ == "__main__":
    main()
