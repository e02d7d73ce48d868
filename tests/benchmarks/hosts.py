"""How well hosts are found: simulated scenes that taught nothing, and real ones.

``python tests/benchmarks/hosts.py [--scenes 3000] [--test 1000] [--seeds 3] [--epochs 25]
[--real] [--picture FILE]``

prints, for hosts of up to 10 arcsec and larger ones, the median and the 90 % error in arcsec and
the share of errors beyond the host's semi-major axis (but at least an arcsec), for the model's
answer, the network alone, the nearest source and the smallest directional light radius; then the
area under the curve of the hostless probability, and how pure and complete matches with a catalog
of all galaxies that could be seen are for several least probabilities.

The test scenes are other ones than those that teach, and the same for all seeds; a seed changes
weights, batches and what teaches the weights of candidates. A host in a scene without any source
counts as an error beyond every limit. ``--real`` adds the real scenes that there are, one by one,
and ``--picture FILE.png`` draws some scenes with what was found.
"""

import argparse
import tempfile
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from hosts_picture import draw_scenes
from hosts_real import report_real
from sklearn.metrics import roc_auc_score

from catalogtool.hosts.association import Association
from catalogtool.hosts.candidates import Found, weigh
from catalogtool.hosts.crossmatch import Galaxies
from catalogtool.inputs._simulation.host_scenes import LIGHT_RADII
from catalogtool.inputs._simulation.host_scenes import Scene as Drawn
from catalogtool.inputs.simulated_hosts import Format
from catalogtool.networks._delight import Delight
from catalogtool.production.domains import open_domain
from catalogtool.surveys import load_survey
from catalogtool.training import hosts
from catalogtool.training.hosts import CENTRE_PIX, HostSpec, Scene, vote

SCALE_ARCSEC = 0.25
WAYS = ("model", "network", "nearest source", "light radius")
_LEAST = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99)


class Truth(NamedTuple):
    """What is true of a scene, beside the place of its host."""

    radius_arcsec: float
    galaxies: Galaxies
    name: str | None
    """Of the host among the galaxies."""


class Result(NamedTuple):
    """Figures of one seed."""

    errors: dict[str, np.ndarray]
    sizes: np.ndarray
    auc: float
    matches: np.ndarray
    """Probability of the match, whether there is a host, whether a galaxy matched, and is it."""


class Sky(NamedTuple):
    """Labelled scenes, and what they were drawn from."""

    scenes: list[Scene]
    source: Format
    rows: pa.Table

    def truths(self) -> list[Truth]:
        """What is true of each."""
        rows = self.rows.column("row").to_pylist()
        return [truth_of(self.source, self.source.scene(row)) for row in rows]

    def pixels(self, index: int) -> np.ndarray:
        """Pixels of one of them."""
        return self.source.read(self.rows.slice(index, 1)).images[0, 0]


def sky_of(seed: int, count: int) -> Sky:
    """Scenes of a simulated sky."""
    uri = f"simulated_hosts:{count}"
    source = Format(load_survey("mock_hosts"), uri).with_seed(seed)
    domain = open_domain(source.survey, uri, None, tempfile.mkdtemp(), None).to_data()
    scenes = list(hosts.labelled_scenes(domain, 0, count, 0))
    return Sky(scenes, source, hosts.draw_unlabelled(domain, count, 0).rows.table)


def truth_of(source: Format, drawn: Drawn) -> Truth:
    """Galaxies that could be seen, around a transient at ra and dec 0."""
    limit = source.survey.host_field.magnitude_limit_value
    seen = [galaxy for galaxy in drawn.galaxies if galaxy.magnitude_ab <= limit]
    sky = np.array([source.sky_position(galaxy.x, galaxy.y, 0, 0) for galaxy in seen])
    names = [str(index) for index in range(len(seen))]
    magnitude = np.array([galaxy.magnitude_ab for galaxy in seen])
    galaxies = Galaxies(sky[:, 0], sky[:, 1], names, np.full(len(seen), np.nan), magnitude)
    if drawn.host is None:
        return Truth(np.nan, galaxies, None)
    return Truth(LIGHT_RADII * drawn.host.radius_arcsec, galaxies, names[seen.index(drawn.host)])


def train(spec: HostSpec, scenes: list[Scene]) -> tuple[Delight, Association]:
    """Network and weights of candidates."""
    order = np.random.default_rng(spec.seed).permutation(len(scenes))
    quarter = len(scenes) // 4
    teaching = [scenes[i] for i in order[quarter:] if scenes[i].host is not None]
    network = hosts._fit_network(spec, teaching)
    return network, hosts.fit_association(network, [scenes[i] for i in order[:quarter]])


def measure(
    network: Delight, association: Association, test: list[Scene], truths: list[Truth]
) -> Result:
    """Figures of one model."""
    source = Format(load_survey("mock_hosts"), None)
    errors: dict[str, list[float]] = {}
    sizes, matches, hostless = [], [], []
    votes = vote(network, np.stack([scene.pyramid for scene in test]))
    for scene, places, truth in zip(test, votes, truths, strict=True):
        has_host = scene.host is not None
        found, matched = None, {}
        if len(scene.sources):
            found = weigh(scene.sources, places, association, CENTRE_PIX)
            sky = source.sky_position(*(found.host + CENTRE_PIX), 0, 0)
            matched = truth.galaxies.match(*sky, found.a * SCALE_ARCSEC)
        hostless.append((not has_host, found.p_hostless if found else 1.0))
        is_right = has_host and matched.get("matched_id") == truth.name
        p_match = found.p_host * matched["matched_share"] if matched else 0.0
        matches.append((p_match, has_host, bool(matched), is_right))
        if has_host:
            sizes.append(truth.radius_arcsec)
            for way, place in answers(found).items():
                error = float(np.hypot(*(place - scene.host))) * SCALE_ARCSEC
                errors.setdefault(way, []).append(error)
    found_errors = {way: np.array(values) for way, values in errors.items()}
    auc = float(roc_auc_score(*zip(*hostless, strict=True)))
    return Result(found_errors, np.array(sizes), auc, np.array(matches))


def answers(found: Found | None) -> dict[str, np.ndarray]:
    """Where each way says that the host is, in pixels; infinitely far where it cannot say."""
    if found is None:
        return dict.fromkeys(WAYS, np.full(2, np.inf))
    offsets = (found.host, found.network, found.nearest, found.lightest)
    return {way: offset + CENTRE_PIX for way, offset in zip(WAYS, offsets, strict=True)}


def report(results: list[Result]) -> None:
    """Print mean and spread over seeds."""
    sizes = results[0].sizes
    for low, high in ((0, 10), (10, 60)):
        chosen = (sizes > low) & (sizes <= high)
        for way in WAYS:
            figures = []
            for result in results:
                errors = result.errors[way][chosen]
                beyond = 100 * (errors > np.maximum(sizes[chosen], 1)).mean()
                figures.append((np.median(errors), np.quantile(errors, 0.9), beyond))
            middle, most, beyond = spread(figures)
            print(
                f"{low:>2}-{high} arcsec ({chosen.sum()}) {way:<15} median {middle}, 90 % {most}, "
                f"beyond the semi-major axis {beyond} %",
                flush=True,
            )
    (auc,) = spread([(result.auc,) for result in results], digits=3)
    print(f"hostless: area under the curve {auc}")
    for least in _LEAST:
        figures = []
        for result in results:
            p, has_host, is_matched, is_right = result.matches.T
            taken = (p >= least) & (is_matched > 0)
            wrong = 100 * (1 - is_right[taken].mean())
            figures.append((wrong, 100 * is_right[taken].sum() / has_host.sum()))
        wrong, complete = spread(figures)
        print(
            f"matches from probability {least:.2f} on: contamination {wrong} %, "
            f"completeness {complete} %"
        )


def spread(figures: list[tuple[float, ...]], digits: int = 2) -> list[str]:
    """Mean and standard deviation of each figure over the seeds."""
    middles = np.mean(figures, axis=0)
    if len(figures) == 1:
        return [f"{middle:.{digits}f}" for middle in middles]
    widths = np.std(figures, axis=0, ddof=1)
    pairs = zip(middles, widths, strict=True)
    return [f"{middle:.{digits}f} ± {width:.{digits}f}" for middle, width in pairs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=3000)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--picture")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    teaching = sky_of(1, arguments.scenes).scenes
    test = sky_of(2, arguments.test)
    truths = test.truths()
    survey = load_survey("mock_hosts")
    source = open_domain(survey, "simulated_hosts:1", None, tempfile.mkdtemp(), None).to_data()
    spec = HostSpec(source=source, band=0, scenes=arguments.scenes, epochs=arguments.epochs)
    results = []
    for seed in range(arguments.seeds):
        model = train(spec.model_copy(update={"seed": seed}), teaching)
        results.append(measure(*model, test.scenes, truths))
        one = results[-1]
        print(f"seed {seed}: median error {np.median(one.errors['model']):.2f}", flush=True)
        if arguments.real:
            report_real(*model)
        if arguments.picture and seed == 0:
            draw_scenes(*model, test.scenes, test.pixels, arguments.picture)
    report(results)


if __name__ == "__main__":
    main()
