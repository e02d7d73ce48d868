"""A whole production on a cluster of three machines, beside the same one on this machine.

``python tests/benchmarks/cluster.py [--seeds N]`` (as root, on Linux) writes the simulated CANDELS
and CLASH as FITS cutouts and vote tables to an S3 server, runs ``catalogtool produce`` as a Ray job
whose input, models and output are all there, training with two workers on two machines, and prints
its error and those of trainings on this machine with several seeds. With the model of the cluster,
this machine then makes the catalog again: its files must be the same, byte for byte.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from cluster_rig import ADDRESS, Rig, running_rig
from small_survey import write_cutout

from catalogtool.inputs import open_input_format
from catalogtool.inputs._base import votes_of
from catalogtool.inputs.manifest import build_manifest
from catalogtool.surveys import load_survey
from catalogtool.surveys._definition import Survey

BUCKET = "s3://ready"
PATIENCE_S = 3600


def write_survey_data(name: str, folder: Path) -> None:
    """Cutouts, positions and votes of a simulated survey, as archives have them."""
    survey = load_survey(name)
    source = open_input_format(survey, None, None)
    (folder / "cutouts").mkdir(parents=True)
    manifest = build_manifest(source, str(folder / "manifest"), 64)
    columns = survey.input
    header = (columns.id_column, columns.ra_column, columns.dec_column, *survey.labels.columns)
    lines = [",".join(header)]
    for rows in manifest.iter_units():
        cutouts, votes = source.read(rows), votes_of(rows, survey)
        for index, row in enumerate(rows.select(["object_id", "ra", "dec"]).to_pylist()):
            number = row["object_id"] % 10**9
            images = dict(zip(survey.band_names, cutouts.images[index], strict=True))
            write_cutout(folder / "cutouts" / f"sim_{number}.fits", images)
            lines += _votes_lines(survey, number, row, votes[index])
    (folder / "votes.csv").write_text("\n".join(lines) + "\n")


def _votes_lines(survey: Survey, number: int, row: dict[str, Any], votes: np.ndarray) -> list[str]:
    lines = []
    for band, fractions in zip(survey.band_names, votes, strict=True):
        texts = [f"{v:.6f}" if np.isfinite(v) else "" for v in fractions]
        name = f"sim_{band}_{number}" if len(survey.bands) > 1 else f"sim_{number}"
        lines.append(f"{name},{row['ra']!r},{row['dec']!r},{','.join(texts)}")
    return lines


def produce(rig: Rig, *words: str) -> tuple[dict[str, Any], float]:
    """Outcome and seconds of one production."""
    begin = time.perf_counter()
    done = rig.run("produce", "--json", *words, timeout_s=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome, time.perf_counter() - begin


def error_of(outcome: dict[str, Any]) -> float:
    """Mean RMSE of the catalog on labels that no training saw."""
    return float(outcome["figures"]["catalog, labels never seen"]["rmse"])


def main() -> None:
    """Run both productions and compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="Trainings on this machine.")
    seeds = parser.parse_args().seeds
    with tempfile.TemporaryDirectory() as scratch:
        (rig_folder := Path(scratch) / "rig").mkdir()
        with running_rig(rig_folder) as rig:
            compare(rig, Path(scratch), seeds)


def compare(rig: Rig, scratch: Path, seeds: int) -> None:
    """Make the catalog there and here."""
    folder = scratch / "data"
    for name in ("candels", "clash"):
        write_survey_data(name, folder / name)
    rig.environment["SOURCE_DATE_EPOCH"] = "1767225600"
    rig.boot_all()
    rig.upload(folder, f"{BUCKET}/data")
    words = ["--survey", "clash", "--form", "channels_last"]
    for option, name in (("", "clash"), ("source-", "candels")):
        words += [f"--{option}input", f"{BUCKET}/data/{name}/cutouts"]
        words += [f"--{option}labels", f"{BUCKET}/data/{name}/votes.csv"]
    there = ("--cluster", ADDRESS, "--train-workers", "2", "--output", f"{BUCKET}/out")
    far, seconds = produce(rig, *words, *there)
    print(f"cluster, two training workers: {far['remarks'][0]} {seconds:.0f} s", flush=True)
    errors = []
    for seed in range(seeds):
        near, seconds = produce(rig, *words, "--seed", str(seed), "--output", f"{scratch}/near")
        errors.append(error_of(near))
        print(f"this machine, seed {seed}: {near['remarks'][0]} {seconds:.0f} s", flush=True)
    spread = statistics.stdev(errors) if seeds > 1 else float("nan")
    print(
        f"cluster {error_of(far):.4f}; this machine {statistics.mean(errors):.4f}, standard "
        f"deviation {spread:.4f}, {min(errors):.4f} to {max(errors):.4f}"
    )
    model = str(dict(far["places"])["model"])
    again, _ = produce(rig, *words, "--model", model, "--output", f"{scratch}/again")
    on_cluster, here = (
        rig.hashes(f"{dict(outcome['places'])['run']}/catalogs") for outcome in (far, again)
    )
    equal = sum(on_cluster[name] == digest for name, digest in here.items())
    print(f"with the cluster's model: {equal} of {len(on_cluster)} files are the same")


if __name__ == "__main__":
    main()
