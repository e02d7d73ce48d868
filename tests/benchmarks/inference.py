"""How much of the bare forward rate is left from end to end, and whether memory stays flat.

Run with ``python tests/benchmarks/inference.py [--objects N] [--input jpeg|numbers] [--memory]``.
"""

import argparse
import io
import multiprocessing
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from small_run import RunShape, make_survey, make_task, positions_of, write_table

from catalogtool.distributed import infer
from catalogtool.distributed.cluster import local_cluster
from catalogtool.inference.forms import FORMS, FormChoice, choose_form, make_forward
from catalogtool.inference.unit import UnitTask, _sample
from catalogtool.inputs import load_format
from catalogtool.ledger import LedgerLine
from catalogtool.training.model import load_model

RESNET18: dict[str, object] = {
    "widths": (64, 128, 256, 512),
    "blocks": (2, 2, 2, 2),
    "stem": "large",
}
TINY: dict[str, object] = {"widths": (16, 32), "blocks": (1, 1), "stem": "large"}
"""Memory that grows would grow with any network; this one is quick."""
SIZE_PIX = 128
UNIT_OBJECTS = 512
WORKERS = 2
BARE_S = 6.0
_LONG_RUN = 10**9  # compilation always pays


def smooth_pictures(count: int) -> list[np.ndarray]:
    """Galaxy-like pictures, shape (H, W, 3), uint8: a blob on noise, all different."""
    axis = np.linspace(-1, 1, SIZE_PIX)
    pictures = []
    for index in range(count):
        rng = np.random.default_rng(index)
        a, b = rng.uniform(0.1, 0.4, 2)
        blob = np.exp(-((axis[None] / a) ** 2) - (axis[:, None] / b) ** 2)
        picture = 200 * blob[..., None] * rng.uniform(0.5, 1, 3) + rng.normal(
            20, 8, (*blob.shape, 3)
        )
        pictures.append(np.clip(picture, 0, 255).astype(np.uint8))
    return pictures


def encoded(picture: np.ndarray, kind: str) -> object:
    if kind == "numbers":
        return picture.transpose(2, 0, 1).astype(np.float32).ravel()
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def make_benchmark_task(
    folder: Path, objects: int, kind: str, network: dict[str, object] = RESNET18
) -> UnitTask:
    """Table of `objects` rows from 512 different pictures, and a network."""
    shape = RunShape(objects, UNIT_OBJECTS, SIZE_PIX, network)
    distinct = [encoded(picture, kind) for picture in smooth_pictures(min(objects, 512))]
    images = [distinct[index % len(distinct)] for index in range(objects)]
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "images.parquet"
    write_table(table, images, positions_of(objects))
    return make_task(folder, make_survey(shape), table, shape)


def choose(task: UnitTask) -> FormChoice:
    """Fastest form that is exact enough, compiled ones included."""
    torch.set_num_threads(1)
    model = load_model(task.model_uri)
    source = load_format(task.input_format)(task.survey, task.input_uri, None)
    sample = _sample(task, model, source)
    return choose_form(model.network, sample, _LONG_RUN, minibatch=16)


def bare(task: UnitTask, choice: FormChoice, rates: "multiprocessing.Queue[float]") -> None:
    """Forward passes on ready tensors in one process with one thread."""
    torch.set_num_threads(1)
    model = load_model(task.model_uri)
    images = torch.randn(choice.minibatch, 3, SIZE_PIX, SIZE_PIX)
    forward = make_forward(model.network, FORMS[choice.name], choice.minibatch, images.shape[1:])
    forward(images)
    passes, start = 0, time.perf_counter()
    while time.perf_counter() - start < BARE_S:
        forward(images)
        passes += 1
    rates.put(passes * choice.minibatch / (time.perf_counter() - start))


def bare_rate(task: UnitTask, choice: FormChoice) -> float:
    """Cutouts per second of as many processes as there are workers, at the same time."""
    context = multiprocessing.get_context("spawn")
    rates = context.Queue()
    processes = [context.Process(target=bare, args=(task, choice, rates)) for _ in range(WORKERS)]
    for process in processes:
        process.start()
    total = sum(rates.get() for _ in processes)
    for process in processes:
        process.join()
    return total


class PeakMemory(threading.Thread):
    """Largest sum of proportional set sizes over this process and all its descendants."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.5):
            self.peak_bytes = max(self.peak_bytes, tree_bytes())


def tree_bytes() -> int:
    total = 0
    me = psutil.Process()
    for process in [me, *me.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


def end_to_end(task: UnitTask) -> dict[str, float]:
    """Rows per second through Ray, with and without start-up, and peak memory."""
    times: list[tuple[float, int]] = []
    memory = PeakMemory()
    memory.start()
    start = time.perf_counter()

    def on_line(line: LedgerLine) -> None:
        times.append((time.perf_counter() - start, line.objects))

    with local_cluster(WORKERS):
        infer.run_units(task, range(task.manifest.units), WORKERS, on_line)
    whole_s = time.perf_counter() - start
    memory.done.set()
    memory.join()
    rows = sum(objects for _, objects in times)
    first_s, last_s = times[WORKERS - 1][0], times[-1][0]
    later = sum(objects for _, objects in times[WORKERS:])
    return {
        "rows/s, start-up included": rows / whole_s,
        "rows/s, first units to last": later / (last_s - first_s),
        "seconds to the first units": first_s,
        "seconds in all": whole_s,
        "peak memory, MB": memory.peak_bytes / 1e6,
    }


def compare_rates(folder: Path, objects: int, kind: str) -> None:
    task = make_benchmark_task(folder, objects, kind)
    choice = choose(task)
    print(f"form {choice.name}, largest change {choice.max_change:.1e}")
    before = bare_rate(task, choice)
    found = end_to_end(replace(task, form=choice.name, minibatch=choice.minibatch))
    after = bare_rate(task, choice)
    rate = (before + after) / 2
    print(f"bare forward rate: {before:.1f} before, {after:.1f} after")
    for name, value in found.items():
        print(f"{name}: {value:.1f}")
    print(f"ratio with start-up: {found['rows/s, start-up included'] / rate:.3f}")
    print(f"ratio without start-up: {found['rows/s, first units to last'] / rate:.3f}")


def compare_memory(folder: Path, kind: str) -> None:
    peaks = []
    for objects in (2000, 20_000):
        task = make_benchmark_task(folder / str(objects), objects, kind, TINY)
        small = replace(task, minibatch=16)
        peaks.append(end_to_end(small)["peak memory, MB"])
        print(f"{objects} objects: peak {peaks[-1]:.0f} MB")
    print(f"ratio of peaks: {peaks[1] / peaks[0]:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=20_000)
    parser.add_argument("--input", choices=("jpeg", "numbers"), default="jpeg")
    parser.add_argument("--memory", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.memory:
            compare_memory(Path(scratch), arguments.input)
        else:
            compare_rates(Path(scratch), arguments.objects, arguments.input)


if __name__ == "__main__":
    main()
