"""The forms in which a network can predict, and the choice of the fastest that is exact enough.

Lower precision, memory order and compilation make a network several times faster and change its
probabilities a little. Float32 as trained stays the reference.
"""

import copy
import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from catalogtool.config._base import Settings
from catalogtool.networks._base import Network
from catalogtool.training.calibration import Calibration
from catalogtool.training.precision import has_bfloat16

log = logging.getLogger(__name__)

BOUND = 1e-3
"""Largest change of a probability against float32 that a form may cause."""
SAMPLE_MARGIN = 0.5
"""Share of `BOUND` that a form may use on the sample, so that unseen cutouts stay within it."""
CPU_MINIBATCH = 16
"""Activations of so few cutouts stay in the processor's cache."""
GPU_MINIBATCH = 256

_COMPILED_GAIN = 1.2  # a cautious guess; the rate is measured before the form is taken
_COMPILE_S = 25.0  # a ResNet-18 with nothing cached
_MEASURE_S = 0.3

Forward = Callable[[torch.Tensor], torch.Tensor]
"""Probabilities (B, K) before calibration of prepared cutouts (B, C, H, W); float32, on the CPU.

Of `WithFeatures` they have the features as further columns.
"""


@dataclass(frozen=True)
class Form:
    """One way to run a network."""

    name: str
    bf16: bool = False
    channels_last: bool = True
    compiled: bool = False


FORMS = {
    form.name: form
    for form in (
        Form("compiled_bf16", bf16=True, compiled=True),
        Form("compiled_float32", compiled=True),
        Form("bf16", bf16=True),
        Form("channels_last"),
        Form("float32", channels_last=False),
    )
}
"""All forms by name, usually the fastest first."""
REFERENCE = FORMS["float32"]
_EAGER = tuple(form for form in FORMS.values() if not form.compiled)


class FormChoice(Settings):
    """The form that a run predicts with."""

    name: str
    minibatch: int
    """Cutouts of every forward pass; a smaller rest is padded."""
    rate: float
    """Cutouts per second of one worker, measured while choosing."""
    max_change: float
    """Largest change of a probability against float32, estimated from the sample's logits."""


def device() -> torch.device:
    """Device on which this process predicts."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def default_minibatch() -> int:
    """Minibatch that suits the device."""
    return GPU_MINIBATCH if device().type == "cuda" else CPU_MINIBATCH


class WithFeatures(nn.Module):
    """A network that tells the features beside the logits that it makes of them.

    Parameters
    ----------
    network : Network
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits and features, shape (B, K + D)."""
        features = self.network.features(images)
        return torch.cat([self.network.classify(features), features], dim=1)


def make_forward(
    network: nn.Module,
    form: Form,
    minibatch: int,
    shape: torch.Size,
    classes: int | None = None,
) -> Forward:
    """Bring a network into a form.

    Parameters
    ----------
    network : nn.Module
        Float32 network in evaluation mode; it is not changed.
    form : Form
        The form; where its compilation fails, its eager relative takes its place.
    minibatch : int
        Cutouts per forward pass.
    shape : torch.Size
        Shape (C, H, W) of a cutout.
    classes : int or None
        The first columns that are logits; None: all.

    Returns
    -------
    callable
        Forward function for exactly `minibatch` cutouts.
    """
    target, dtype = device(), torch.bfloat16 if form.bf16 else torch.float32
    order = torch.channels_last if form.channels_last else torch.contiguous_format
    network = copy.deepcopy(network).eval().to(target, dtype)
    network.to(memory_format=order)  # type: ignore[call-overload]
    run: Callable[[torch.Tensor], torch.Tensor] = network
    if form.compiled:
        example = torch.zeros(minibatch, *shape, device=target, dtype=dtype)
        compiled = _compile(network, example.to(memory_format=order))
        run = network if compiled is None else compiled

    def probabilities(images: torch.Tensor) -> torch.Tensor:
        # Not inference_mode: compiled networks with frozen weights refuse its tensors.
        with torch.no_grad():
            outputs = run(images.to(target, dtype, memory_format=order)).float()
            p = torch.softmax(outputs[:, :classes], dim=1)
            return (p if classes is None else torch.cat([p, outputs[:, classes:]], dim=1)).cpu()

    return probabilities


def can_compile() -> bool:
    """Whether this machine has what compilation needs."""
    if device().type == "cuda":
        return True
    return any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "g++", "clang++"))


def _compile(network: nn.Module, example: torch.Tensor) -> nn.Module | None:
    from torch._inductor import config

    # One cache for all processes of a user: the second one compiles in a third of the time.
    # In the user's own folder, because whoever can write there decides what code runs.
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(caches / "catalogtool" / "inductor"))
    config.freezing = True
    compiled: nn.Module = torch.compile(network, dynamic=False)  # type: ignore[assignment]
    try:
        with torch.no_grad():
            compiled(example)
    except Exception as error:  # noqa: BLE001 - any failure of the compiler has the same remedy
        reason = str(error).strip().split("\n", 1)[0]
        log.warning("the network is not compiled, which costs speed only: %s", reason)
        return None
    return compiled


def choose_form(
    network: nn.Module,
    images: torch.Tensor,
    cutouts_to_come: int,
    minibatch: int,
    calibration: Calibration | None = None,
) -> FormChoice:
    """Choose the fastest form that changes no probability by too much, judged by a sample.

    Parameters
    ----------
    network : nn.Module
        Float32 network in evaluation mode.
    images : Tensor, shape (M, C, H, W), float32
        Prepared cutouts; at least one.
    cutouts_to_come : int
        Cutouts that one worker will predict; compilation must save more time on them than it
        takes.
    minibatch : int
        Cutouts per forward pass.
    calibration : Calibration or None
        Applied to the probabilities before they are compared.

    Returns
    -------
    FormChoice
        At worst the reference.
    """
    sample = _Sample(network, calibration, images, minibatch)
    expected, rate = sample.predict(REFERENCE)
    best = FormChoice(name=REFERENCE.name, minibatch=minibatch, rate=rate, max_change=0.0)
    for form in _EAGER[:-1]:
        if has_bfloat16(device()) or not form.bf16:
            best = _better(sample, form, expected, best)
    saved_s = cutouts_to_come / best.rate * (1 - 1 / _COMPILED_GAIN)
    if saved_s > _COMPILE_S and can_compile():
        name = "compiled_bf16" if best.name == "bf16" else "compiled_float32"
        best = _better(sample, FORMS[name], expected, best)
    return best


@dataclass(frozen=True)
class _Sample:
    """Cutouts that every form is tried on."""

    network: nn.Module
    calibration: Calibration | None
    images: torch.Tensor
    minibatch: int

    def predict(self, form: Form) -> tuple[torch.Tensor, float]:
        """Probabilities (M, K) by a form, and its cutouts per second."""
        size = self.minibatch
        shape = self.images.shape[1:]
        forward = make_forward(self.network, form, size, shape)
        probabilities = predict_padded(forward, self.images, size)
        if self.calibration is not None:
            probabilities = self.calibration.apply(probabilities)
        batch = _padded(self.images[:size], size)
        passes, start = 0, time.perf_counter()
        while passes < 3 or time.perf_counter() - start < _MEASURE_S:
            forward(batch)
            passes += 1
        return probabilities, passes * size / (time.perf_counter() - start)


def _better(sample: _Sample, form: Form, expected: torch.Tensor, best: FormChoice) -> FormChoice:
    found, rate = sample.predict(form)
    change = _largest_change(found, expected)
    log.debug("form %s: %.0f cutouts/s, largest change %.1e", form.name, rate, change)
    if change >= BOUND * SAMPLE_MARGIN or rate <= best.rate:
        return best
    return FormChoice(name=form.name, minibatch=best.minibatch, rate=rate, max_change=change)


def _largest_change(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest change of a probability that these changes of logits can cause in any cutout.

    ``|dp_k| = p_k |dz_k - sum_j p_j dz_j| <= (max_j dz_j - min_j dz_j) / 4``: certain cutouts hide
    in their probabilities what a form does to logits, and others of the run may be unsure.
    """
    least = torch.finfo(torch.float32).tiny
    changes = found.clamp(min=least).log() - expected.clamp(min=least).log()  # (M, K)
    return float((changes.amax(dim=1) - changes.amin(dim=1)).max()) / 4


def predict_padded(forward: Forward, images: torch.Tensor, minibatch: int) -> torch.Tensor:
    """Probabilities (M, K) of any number of cutouts, by minibatches of one size."""
    batches = [
        forward(_padded(images[start : start + minibatch], minibatch))
        for start in range(0, len(images), minibatch)
    ]
    return torch.cat(batches)[: len(images)]


def _padded(images: torch.Tensor, minibatch: int) -> torch.Tensor:
    missing = minibatch - len(images)
    if not missing:
        return images
    return torch.cat([images, images.new_zeros(missing, *images.shape[1:])])
