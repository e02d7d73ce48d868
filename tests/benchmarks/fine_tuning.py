"""What fine-tuning is worth: errors on the target's test galaxies, and how they fall with labels.

``python tests/benchmarks/fine_tuning.py [--survey clash] [--seeds 3] [--labels 0 20 100 400]``
prints the mean over cutouts of the error of a cutout's vote fractions, for the source-only
network, training from scratch and fine-tuning. It runs without Ray.
"""

import argparse
import copy
import tempfile
import time

import numpy as np
import torch

from catalogtool.adaptation import build_method
from catalogtool.adaptation._losses import label_loss
from catalogtool.config.run import RunConfig
from catalogtool.config.training import Domain, TrainingSpec
from catalogtool.networks._base import Network
from catalogtool.production.plan import make_plan
from catalogtool.training.context import SingleProcess
from catalogtool.training.examples import Examples, load_examples, open_domain
from catalogtool.training.labelled import LabelledDomain, label_domains
from catalogtool.training.loop import TrainingData, fit
from catalogtool.training.metrics import evaluate
from catalogtool.training.model import build_fresh_network
from catalogtool.training.predict import predict_examples
from catalogtool.training.split import BoolArray


class Bench:
    """Cutouts that are read once, and trainings on parts of them."""

    def __init__(self, survey: str, folder: str, device: torch.device) -> None:
        self.survey = survey
        self.folder = folder
        self.context = SingleProcess(device)
        self._read: dict[str, Examples] = {}

    def specs(self, seed: int, method: str, label_count: int | None) -> tuple[TrainingSpec, ...]:
        """The trainings that lead to a model."""
        config = RunConfig(
            survey=self.survey,
            output=self.folder,
            seed=seed,
            method=method,
            label_count=label_count,
        )
        return make_plan(config).trainings

    def examples(self, domain: LabelledDomain, wanted: BoolArray, spec: TrainingSpec) -> Examples:
        """Some of the labelled cutouts of a domain."""
        name, labelled = domain.data.survey.name, domain.rows.labels.labelled
        if name not in self._read:
            form = open_domain(domain.data)
            self._read[name] = load_examples(form, domain.rows, labelled, spec.preparation)
        everything = self._read[name]
        assert not everything.flagged
        chosen = wanted[labelled]
        return Examples(
            images=everything.images[chosen],
            votes=everything.votes[chosen],
            object_id=everything.object_id[chosen],
            band=everything.band[chosen],
            flagged=0,
        )

    def train(self, spec: TrainingSpec, start: Network | None = None) -> tuple[Network, float]:
        """A trained network, and the seconds of it."""
        torch.manual_seed(spec.seed)
        network = build_fresh_network(spec) if start is None else copy.deepcopy(start)
        name: Domain
        ((name, domain),) = label_domains(spec).items()
        data = TrainingData(
            train={name: self.examples(domain, domain.split.train, spec)},
            validation=self.examples(domain, domain.split.validation, spec),
        )
        begin = time.perf_counter()
        method = build_method(
            spec.method, network, label_loss(spec.label_kind), spec.method_options
        )
        outcome = fit(method, data, spec, self.context)
        seconds = time.perf_counter() - begin
        best = "last" if outcome.best_epoch is None else outcome.best_epoch + 1
        print(
            f"    {spec.method}: {outcome.epochs} epochs, kept {best}, {seconds:.1f} s", flush=True
        )
        return network, seconds

    def score(self, network: Network, spec: TrainingSpec) -> float:
        """Mean error on the target's test galaxies."""
        domain = label_domains(spec)["target_labelled"]
        test = self.examples(domain, domain.split.test, spec)
        probabilities = predict_examples(network, test, self.context.device)
        return float(evaluate(probabilities, test.votes)["rmse"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--survey", default="clash")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--labels", type=int, nargs="+", default=[0, 20, 100, 400])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    counts = [count for count in sorted(arguments.labels) if count]
    rows: dict[str, list[list[float]]] = {"target_only": [], "fine_tune": []}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments.survey, folder, device)
        for seed in range(arguments.seeds):
            print(f"seed {seed}", flush=True)
            source, _ = bench.train(bench.specs(seed, "source_only", None)[-1])
            for method, errors in rows.items():
                specs = [bench.specs(seed, method, count)[-1] for count in counts]
                start = source if method == "fine_tune" else None
                networks = [bench.train(spec, start)[0] for spec in specs]
                unadapted = (
                    bench.score(source, specs[-1]) if method == "fine_tune" else float("nan")
                )
                scores = [bench.score(n, s) for n, s in zip(networks, specs, strict=True)]
                errors.append([unadapted, *scores])
                print(f"  {method}: " + "  ".join(f"{e:.4f}" for e in errors[-1]), flush=True)
    print(f"\nmean error on the target's test galaxies, {arguments.seeds} seeds")
    print("labels      " + "".join(f"{count:>18}" for count in [0, *counts]))
    for method, errors in rows.items():
        table = np.array(errors)
        cells = zip(table.mean(axis=0), table.std(axis=0), strict=True)
        print(f"{method:<12}" + "".join(f"{m:>10.4f} ± {s:.4f}" for m, s in cells))


if __name__ == "__main__":
    main()
