"""How much of the bare forward rate is left from end to end, and whether memory stays flat.

Run with ``python tests/benchmarks/inference.py [--objects N] [--memory]``. The network is a
ResNet-18 for cutouts of 128 x 128 pixels, trained until it knows the pictures. Bare rates are of
forward passes on ready tensors in the same form, by one process with all threads or one process
per worker, whichever is faster; the form that a run would choose by itself is printed first. The
memory check takes a ResNet-10 at 64 pixels.
"""

import argparse
import io
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from dataclasses import replace
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Self

import numpy as np
import psutil
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from small_run import RunShape, make_survey, make_task, positions_of, write_table

from catalogtool.distributed import infer
from catalogtool.distributed.cluster import local_cluster
from catalogtool.inference.forms import (
    FORMS,
    FormChoice,
    choose_form,
    default_minibatch,
    make_forward,
)
from catalogtool.inference.unit import UnitTask
from catalogtool.inputs import load_format
from catalogtool.ledger import LedgerLine
from catalogtool.preprocess.stretch import prepare
from catalogtool.training.model import load_model, save_model

RESNET18 = RunShape(
    unit_objects=512,
    size_pix=128,
    network_options={"widths": (64, 128, 256, 512), "blocks": (2, 2, 2, 2), "stem": "large"},
)
RESNET10 = RunShape(
    unit_objects=512,
    size_pix=64,
    network_options={"widths": (16, 32, 64, 128), "blocks": (1, 1, 1, 1), "stem": "large"},
)
DISTINCT = 512
WORKERS = 2
TRAINING_STEPS = 60
BARE_S = 6.0
_LONG_RUN = 10**9  # compilation always pays


def picture(index: int, size_pix: int) -> bytes:
    """JPEG of a galaxy on noise: a smooth one where the index is even, else one with two arms."""
    rng = np.random.default_rng(index)
    y, x = np.mgrid[-1 : 1 : size_pix * 1j, -1 : 1 : size_pix * 1j]
    radius, angle = np.hypot(x, y * rng.uniform(1, 1.5)), np.arctan2(y, x)
    light = np.exp(-radius / rng.uniform(0.15, 0.3))
    if index % 2:
        phase = rng.uniform(0, 2 * np.pi) + rng.uniform(3, 6) * np.log(radius + 0.05)
        light *= 1 + rng.uniform(0.1, 0.9) * np.cos(2 * angle + phase)
    colour = 180 * light[..., None] * rng.uniform(0.6, 1, 3)
    pixels = np.clip(colour + rng.normal(20, 8, colour.shape), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def make_benchmark_task(folder: Path, shape: RunShape) -> UnitTask:
    """Table of pictures, of which `DISTINCT` are different, and an untrained network."""
    distinct = [picture(index, shape.size_pix) for index in range(DISTINCT)]
    images: list[object] = [distinct[index % DISTINCT] for index in range(shape.objects)]
    folder.mkdir(parents=True)
    table = folder / "images.parquet"
    write_table(table, images, positions_of(shape.objects))
    return make_task(folder, make_survey(shape), table, shape)


def prepared(task: UnitTask, count: int) -> torch.Tensor:
    """The first cutouts as the network sees them, shape (count, 3, H, W)."""
    source = load_format(task.input_format)(task.survey, task.input_uri, None)
    cutouts = source.read(task.manifest.read_unit(0).slice(0, count))
    return torch.from_numpy(prepare(cutouts.images, cutouts.mask, "minmax"))


def train_briefly(task: UnitTask) -> UnitTask:
    """The task with weights that have seen the pictures."""
    model = load_model(task.model_uri)
    network = model.network.train().to(memory_format=torch.channels_last)
    images, classes = prepared(task, DISTINCT), torch.arange(DISTINCT) % 2
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    correct, start = 0.5, time.perf_counter()
    for _ in range(TRAINING_STEPS):
        batch = torch.randperm(DISTINCT)[:32]
        logits = network(images[batch])
        correct += 0.1 * (float((logits.argmax(1) == classes[batch]).float().mean()) - correct)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits, classes[batch]).backward()
        optimizer.step()
    seconds = time.perf_counter() - start
    print(f"trained for {seconds:.0f} s: {100 * correct:.0f} % of the pictures are recognised")
    uri = f"{task.model_uri}-trained"
    save_model(uri, network.to(memory_format=torch.contiguous_format), model.spec, {})
    return replace(task, model_uri=uri)


def choose(task: UnitTask) -> FormChoice:
    """Form that a long run would take."""
    torch.set_num_threads(1)
    network = load_model(task.model_uri).network
    return choose_form(network, prepared(task, 64), _LONG_RUN, default_minibatch())


def bare(model_uri: str, form: str, threads: int, ready: Barrier, rates: "Queue[float]") -> None:
    """Forward passes on ready tensors, while the other processes do the same."""
    torch.set_num_threads(threads)
    model = load_model(model_uri)
    minibatch = default_minibatch()
    images = torch.rand(minibatch, 3, model.spec.size_pix, model.spec.size_pix)
    forward = make_forward(model.network, FORMS[form], minibatch, images.shape[1:])
    forward(images)
    ready.wait()
    passes, start = 0, time.perf_counter()
    while time.perf_counter() - start < BARE_S:
        forward(images)
        passes += 1
    rates.put(passes * minibatch / (time.perf_counter() - start))


def bare_rate(task: UnitTask, form: str) -> float:
    """Cutouts per second that the cores reach at best."""
    context = multiprocessing.get_context("spawn")
    totals = []
    for processes, threads in ((1, WORKERS), (WORKERS, 1)):
        ready, rates = context.Barrier(processes), context.Queue()
        arguments = (task.model_uri, form, threads, ready, rates)
        started = [context.Process(target=bare, args=arguments) for _ in range(processes)]
        for process in started:
            process.start()
        totals.append(sum(rates.get() for _ in started))
        for process in started:
            process.join()
    load = os.getloadavg()[0]
    print(
        f"bare {form}: {totals[0]:.1f}/s in one process, {totals[1]:.1f}/s in {WORKERS}; "
        f"load {load:.1f}",
        flush=True,
    )
    return max(totals)


class PeakMemory(threading.Thread):
    """Largest sum of proportional set sizes over this process and all its descendants."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self.done = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.done.set()
        self.join()

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
    """Rows per second through Ray, with and without start-up."""
    times: list[tuple[float, int]] = []
    start = time.perf_counter()

    def on_line(line: LedgerLine) -> None:
        times.append((time.perf_counter() - start, line.objects))

    with local_cluster(WORKERS):
        infer.run_units(task, range(task.manifest.units), WORKERS, on_line)
    whole_s = time.perf_counter() - start
    rows = sum(objects for _, objects in times)
    first_s, last_s = times[WORKERS - 1][0], times[-1][0]
    later = sum(objects for _, objects in times[WORKERS:])
    return {
        "rows/s, start-up included": rows / whole_s,
        "rows/s, first units to last": later / (last_s - first_s),
        "seconds to the first units": first_s,
        "seconds in all": whole_s,
    }


def compare_rates(folder: Path, objects: int) -> None:
    task = train_briefly(make_benchmark_task(folder / "run", replace(RESNET18, objects=objects)))
    choice = choose(task)
    print(f"accepted: {choice.name}, largest change {choice.max_change:.1e}", flush=True)
    forms = ("compiled_float32", "compiled_bf16")
    before = {form: bare_rate(task, form) for form in forms}
    for form in forms:
        found = end_to_end(replace(task, form=form, run_uri=f"{task.run_uri}-{form}"))
        rate = (before[form] + bare_rate(task, form)) / 2
        for name, value in found.items():
            print(f"{form}, {name}: {value:.1f}")
        whole = found["rows/s, start-up included"] / rate
        later = found["rows/s, first units to last"] / rate
        print(f"{form}: {whole:.3f} of its bare rate with start-up, {later:.3f} without")


def compare_memory(folder: Path) -> None:
    peaks = []
    for objects in (2000, 20_000):
        shape = replace(RESNET10, objects=objects)
        task = make_benchmark_task(folder / str(objects), shape)
        # Adding up memory takes time, which the rates must not pay for.
        with PeakMemory() as memory:
            found = end_to_end(replace(task, form="channels_last"))
        peaks.append(memory.peak_bytes / 1e6)
        seconds, load = found["seconds in all"], os.getloadavg()[0]
        print(f"{objects} objects: peak {peaks[-1]:.0f} MB, {seconds:.0f} s, load {load:.1f}")
    print(f"ratio of peaks: {peaks[1] / peaks[0]:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=20_000)
    parser.add_argument("--memory", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.memory:
            compare_memory(Path(scratch))
        else:
            compare_rates(Path(scratch), arguments.objects)


if __name__ == "__main__":
    main()
