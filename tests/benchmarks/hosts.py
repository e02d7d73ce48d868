"""How well hosts are found: simulated scenes that taught nothing, and real ones.

``python tests/benchmarks/hosts.py [--scenes 3000] [--test 1000] [--seeds 3] [--epochs 25]
[--real]``

prints, for hosts of up to 10 arcsec and larger ones, the median and the 90 % error in arcsec and
the share of errors beyond the host's semi-major axis (but at least an arcsec), for the model's
answer, the network alone, the nearest source and the smallest directional light radius; then the
area under the curve of the hostless probability, and how pure and complete matches with the true
galaxies are for several least probabilities.

The test scenes are other ones than those that teach, and the same
for all seeds; a seed changes weights, batches and what teaches the weights of candidates.
``--real`` adds UGC 1333 in two surveys, one by one.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from astropy.io import fits
from astropy.wcs import WCS
from sklearn.metrics import roc_auc_score

from catalogtool.hosts.candidates import Found, weigh
from catalogtool.hosts.sources import directional_radius, find_sources, separation_pix
from catalogtool.inputs import load_format
from catalogtool.inputs._simulation.host_scenes import LIGHT_RADII
from catalogtool.preprocess.pyramid import build_pyramid, centred
from catalogtool.production.domains import open_domain
from catalogtool.surveys import load_survey
from catalogtool.training import hosts
from catalogtool.training.hosts import CENTRE_PIX, HostSpec, Scene, vote

DATA = Path(os.environ.get("CATALOGTOOL_DATA", "../shared/data"))
SCALE_ARCSEC = 0.25
_LEAST = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99)


def scenes_of(seed: int, count: int) -> tuple[list[Scene], np.ndarray]:
    """Labelled scenes of a simulated sky, and the radii of their hosts in arcsec."""
    survey = load_survey("mock_hosts")
    assert survey.host_field is not None
    field = survey.host_field.model_copy(update={"seed": seed})
    survey = survey.model_copy(update={"host_field": field})
    uri = f"simulated_hosts:{count}"
    domain = open_domain(survey, uri, None, tempfile.mkdtemp(), None).to_data()
    scenes = list(hosts.labelled_scenes(domain, 0, count, 0))
    source = load_format("simulated_hosts")(survey, uri)
    rows = hosts.draw_unlabelled(domain, count, 0).rows.table.column("row").to_pylist()
    truth = [source.scene(row).host for row in rows]
    radii = [np.nan if host is None else LIGHT_RADII * host.radius_arcsec for host in truth]
    return scenes, np.array(radii)


def train(spec: HostSpec, scenes: list[Scene]) -> tuple[object, object]:
    """Network and weights of candidates."""
    order = np.random.default_rng(spec.seed).permutation(len(scenes))
    quarter = len(scenes) // 4
    teaching = [scenes[i] for i in order[quarter:] if scenes[i].host is not None]
    network = hosts._fit_network(spec, teaching)
    return network, hosts.fit_association(network, [scenes[i] for i in order[:quarter]])


def measure(network: object, association: object, test: list[Scene], radii: np.ndarray) -> dict:
    """Figures of one seed."""
    errors: dict[str, list[float]] = {}
    sizes, matched, hostless = [], [], []
    votes = vote(network, np.stack([scene.pyramid for scene in test]))
    for scene, places, radius in zip(test, votes, radii, strict=True):
        if not len(scene.sources):
            continue
        found = weigh(scene.sources, places, association)
        hostless.append((scene.host is None, found.p_hostless))
        if scene.host is None:
            matched.append((found.p_host, False, False))
            continue
        sizes.append(radius)
        for name, place in answers(scene, found).items():
            error = float(np.hypot(*(place - scene.host))) * SCALE_ARCSEC
            errors.setdefault(name, []).append(error)
        reach = max(1.0, 0.25 * found.a * SCALE_ARCSEC)
        matched.append((found.p_host, True, errors["model"][-1] <= reach and found.is_detected))
    return {
        "errors": {name: np.array(values) for name, values in errors.items()},
        "sizes": np.array(sizes),
        "auc": roc_auc_score(*zip(*hostless, strict=True)),
        "matched": np.array(matched),
    }


def answers(scene: Scene, found: Found) -> dict[str, np.ndarray]:
    """Where each way says that the host is, in pixels."""
    sources = scene.sources
    nearest = separation_pix(sources, CENTRE_PIX, CENTRE_PIX).argmin()
    lightest = directional_radius(sources, CENTRE_PIX, CENTRE_PIX).argmin()
    places = np.stack([sources.x, sources.y], axis=1)
    return {
        "model": found.host + CENTRE_PIX,
        "network": found.network + CENTRE_PIX,
        "nearest source": places[nearest],
        "light radius": places[lightest],
    }


def report(results: list[dict]) -> None:
    """Print mean and spread over seeds."""
    for low, high in ((0, 10), (10, 60)):
        for name in results[0]["errors"]:
            figures = []
            for result in results:
                chosen = (result["sizes"] > low) & (result["sizes"] <= high)
                errors, sizes = result["errors"][name][chosen], result["sizes"][chosen]
                beyond = 100 * (errors > np.maximum(sizes, 1)).mean()
                figures.append((np.median(errors), np.quantile(errors, 0.9), beyond))
            mean, spread = np.mean(figures, axis=0), np.std(figures, axis=0, ddof=1)
            print(
                f"{low:>2}-{high} arcsec ({chosen.sum()}) {name:<15} median {mean[0]:.2f} ± "
                f"{spread[0]:.2f}, 90 % {mean[1]:.2f} ± {spread[1]:.2f}, beyond the semi-major "
                f"axis {mean[2]:.1f} ± {spread[2]:.1f} %",
                flush=True,
            )
    auc = [result["auc"] for result in results]
    print(f"hostless: area under the curve {np.mean(auc):.3f} ± {np.std(auc, ddof=1):.3f}")
    for least in _LEAST:
        pure, complete = [], []
        for result in results:
            p, has_host, is_right = result["matched"].T
            taken = p >= least
            pure.append(100 * (1 - is_right[taken].mean()))
            complete.append(100 * is_right[taken].sum() / has_host.sum())
        print(
            f"matches from probability {least:.2f} on: contamination {np.mean(pure):.2f} ± "
            f"{np.std(pure, ddof=1):.2f} %, completeness {np.mean(complete):.1f} %"
        )


def real_scenes(network: object, association: object) -> None:
    """UGC 1333, whose centre is known, with the transient where SN 2006ob was."""
    transient, centre = (27.95046, 0.26342), (27.95212, 0.26383)
    for path in sorted((DATA / "transient-hosts/ugc1333-images").glob("*.fits.gz")):
        with fits.open(path) as hdus:
            hdu = next(h for h in hdus if h.data is not None and h.data.ndim == 2)
            image, wcs = hdu.data.astype(np.float32), WCS(hdu.header)
        column, row = (round(float(v)) for v in wcs.all_world2pix(*transient, 0))
        half = 240
        padded = np.pad(image, half, constant_values=np.nan)
        cut = padded[row : row + 2 * half, column : column + 2 * half]
        sources = find_sources(centred(cut, np.nan), np.zeros((480, 480), dtype=bool))
        if not len(sources):
            print(f"{path.name}: no source")
            continue
        found = weigh(sources, vote(network, build_pyramid(sources)[None])[0], association)
        x, y = wcs.all_world2pix(*centre, 0)
        truth = np.array([float(x) - column, float(y) - row])
        error = float(np.hypot(*(found.host - truth))) * SCALE_ARCSEC
        print(
            f"{path.name}: host {np.hypot(*truth) * SCALE_ARCSEC:.1f} arcsec away, error "
            f"{error:.2f} arcsec, probability {found.p_host:.2f}, scatter "
            f"{found.scatter * SCALE_ARCSEC:.2f} arcsec"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=3000)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--real", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    teaching, _ = scenes_of(1, arguments.scenes)
    test, radii = scenes_of(2, arguments.test)
    survey = load_survey("mock_hosts")
    source = open_domain(survey, "simulated_hosts:1", None, tempfile.mkdtemp(), None).to_data()
    spec = HostSpec(source=source, band=0, scenes=arguments.scenes, epochs=arguments.epochs)
    results = []
    for seed in range(arguments.seeds):
        model = train(spec.model_copy(update={"seed": seed}), teaching)
        results.append(measure(*model, test, radii))
        one = results[-1]
        print(f"seed {seed}: median error {np.median(one['errors']['model']):.2f}", flush=True)
        if arguments.real:
            real_scenes(*model)
    report(results)


if __name__ == "__main__":
    main()
