"""What anomaly and embedding cost beside morphology, made in one pass over the same cutouts.

``python tests/benchmarks/one_pass.py [--objects 512] [--rounds 3]``

predicts cutouts of 128 pixels with a ResNet-18 on one core, interleaved, and prints the median CPU
seconds of each set of kinds, and their ratio. Start-up is left out.
"""

import argparse
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from small_run import RunShape, make_small_run

from catalogtool.config.scorer import ScorerSpec
from catalogtool.config.training import DomainData
from catalogtool.inference.scorers import fit_scorer
from catalogtool.inference.unit import UnitTask, UnitWorker
from catalogtool.training.model import load_model


def with_scorer(task: UnitTask, folder: Path) -> UnitTask:
    """The task with all kinds that the network's features are enough for."""
    assert task.model_uri is not None
    domain = DomainData(
        survey=task.survey,
        input_format=task.input_format,
        input_uri=task.input_uri,
        labels_uri=None,
        manifest_uri=task.manifest.uri,
        manifest_identity=task.manifest.identity,
    )
    spec = ScorerSpec(
        method="combined",
        options={},
        network=load_model(task.model_uri).spec.identity,
        manifest_identity=domain.manifest_identity,
        objects=300,
        seed=0,
    )
    uri = fit_scorer(spec, task.model_uri, domain, str(folder / "scorer")).uri
    return replace(task, kinds=("morphology", "embedding", "anomaly"), scorer_uri=uri)


def seconds_of(task: UnitTask, folder: Path) -> float:
    """CPU seconds of all units."""
    worker = UnitWorker(replace(task, run_uri=str(folder)))
    begin = time.process_time()
    for unit in range(task.manifest.units):
        worker.process(unit)
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        options = {"widths": (64, 128, 256, 512), "blocks": (2, 2, 2, 2), "stem": "large"}
        shape = RunShape(arguments.objects, 128, 128, network_options=options)
        alone = replace(make_small_run(folder / "run", shape), kinds=("morphology",))
        ways = {"morphology": alone, "with embedding and anomaly": with_scorer(alone, folder)}
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(arguments.rounds):
            for name, task in ways.items():
                found[name].append(seconds_of(task, folder / "out"))
                shutil.rmtree(folder / "out")
    medians = {name: float(np.median(values)) for name, values in found.items()}
    for name, seconds in medians.items():
        ratio = seconds / medians["morphology"]
        print(
            f"{name}: {seconds:.2f} CPU seconds, {arguments.objects / seconds:.0f}/s, {ratio:.2f}"
        )


if __name__ == "__main__":
    main()
