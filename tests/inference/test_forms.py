import copy
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from catalogtool.inference import forms
from catalogtool.inference.forms import BOUND, FORMS, REFERENCE, choose_form, make_forward
from catalogtool.networks import build_network
from catalogtool.training.calibration import Calibration

MINIBATCH = 16
EAGER = [name for name, form in FORMS.items() if not form.compiled]


def blobs(
    count: int, seed: int, channels: int = 1, size: int = 24
) -> tuple[torch.Tensor, torch.Tensor]:
    """Round and elongated blobs in noise, and which is which."""
    generator = torch.Generator().manual_seed(seed)
    axis = torch.linspace(-1, 1, size)
    labels = torch.randint(0, 2, (count,), generator=generator)
    width = torch.where(labels == 0, 0.35, 0.18)[:, None, None]
    shape = torch.exp(-(axis**2)[None, None] / 0.25 - (axis**2)[None, :, None] / width**2)
    noise = torch.randn(count, channels, size, size, generator=generator)
    return shape[:, None] + 0.3 * noise, labels


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    options = {"widths": (16, 32), "blocks": (1, 1)}
    network = build_network("resnet", options, channels=1, classes=2, size_pix=24)
    images, labels = blobs(512, seed=1)
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
    for step in range(120):
        batch = slice(64 * step % 512, 64 * step % 512 + 64)
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(images[batch]), labels[batch]).backward()
        optimiser.step()
    return network.eval()


def probabilities(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.softmax(network(images), dim=1)


def test_training_made_the_network_certain_of_some_blobs_and_unsure_of_others(
    trained: nn.Module,
) -> None:
    images, labels = blobs(256, seed=2)
    p = probabilities(trained, images)
    assert (p.argmax(dim=1) == labels).float().mean() > 0.8
    assert p.max() > 0.9


def test_chosen_form_changes_no_probability_of_unseen_cutouts_by_more_than_the_bound(
    trained: nn.Module,
) -> None:
    sample, _ = blobs(64, seed=3)
    choice = choose_form(trained, sample, cutouts_to_come=1000, minibatch=MINIBATCH)
    unseen, _ = blobs(2048, seed=4)
    forward = make_forward(trained, FORMS[choice.name], MINIBATCH, unseen.shape[1:])
    found = forms.predict_padded(forward, unseen, MINIBATCH)
    assert (found - probabilities(trained, unseen)).abs().max() < BOUND


SOFT = Calibration(torch.eye(2) / 2, torch.zeros(2))


def test_a_chosen_form_keeps_the_bound_with_calibrated_probabilities(trained: nn.Module) -> None:
    sample, unseen = blobs(64, seed=3)[0], blobs(512, seed=4)[0]
    choice = choose_form(trained, sample, 1000, MINIBATCH, SOFT)
    forward = make_forward(trained, FORMS[choice.name], MINIBATCH, unseen.shape[1:])
    found = SOFT.apply(forms.predict_padded(forward, unseen, MINIBATCH))
    expected = SOFT.apply(probabilities(trained, unseen))
    assert (found - expected).abs().max() < BOUND


def test_certain_cutouts_do_not_hide_what_a_form_does_to_unsure_ones() -> None:
    certain, change = torch.tensor([[9.0, -9.0, -20.0]]), torch.tensor([[0.02, -0.01, 0.0]])
    sample = torch.softmax(certain, dim=1), torch.softmax(certain + change, dim=1)

    estimate = forms._largest_change(*sample)

    unsure = torch.randn(10_000, 3, generator=torch.Generator().manual_seed(0))
    unsure = torch.cat([unsure, torch.tensor([[0.0, 0.0, -20.0]])])
    changes = torch.softmax(unsure + change, dim=1) - torch.softmax(unsure, dim=1)
    assert (sample[1] - sample[0]).abs().max() < 1e-6
    assert 0.99 * estimate < changes.abs().max() <= estimate * (1 + 1e-5)


def test_float32_channels_last_equals_the_reference_to_rounding(trained: nn.Module) -> None:
    images, _ = blobs(32, seed=5)
    forward = make_forward(trained, FORMS["channels_last"], MINIBATCH, images.shape[1:])
    found = forms.predict_padded(forward, images, MINIBATCH)
    torch.testing.assert_close(found, probabilities(trained, images), rtol=0, atol=2e-6)


def test_form_too_inexact_for_the_bound_is_refused(
    trained: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "BOUND", 0.0)
    choice = choose_form(trained, blobs(16, seed=6)[0], cutouts_to_come=1, minibatch=MINIBATCH)
    assert choice.name == REFERENCE.name


def test_compilation_is_left_out_where_it_cannot_pay(trained: nn.Module) -> None:
    choice = choose_form(trained, blobs(16, seed=6)[0], cutouts_to_come=100, minibatch=MINIBATCH)
    assert not FORMS[choice.name].compiled


@pytest.mark.parametrize("name", EAGER)
def test_result_does_not_depend_on_the_company(trained: nn.Module, name: str) -> None:
    images, _ = blobs(37, seed=7)
    forward = make_forward(trained, FORMS[name], MINIBATCH, images.shape[1:])
    together = forms.predict_padded(forward, images, MINIBATCH)
    order = torch.randperm(37, generator=torch.Generator().manual_seed(0))
    shuffled = forms.predict_padded(forward, images[order], MINIBATCH)
    alone = torch.cat([forms.predict_padded(forward, image[None], MINIBATCH) for image in images])
    assert torch.equal(shuffled, together[order])
    assert torch.equal(alone, together)


@pytest.mark.parametrize("name", EAGER)
def test_forms_leave_the_network_unchanged(trained: nn.Module, name: str) -> None:
    before = copy.deepcopy(trained.state_dict())
    make_forward(trained, FORMS[name], MINIBATCH, torch.Size((1, 24, 24)))
    after = trained.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert all(value.dtype != torch.bfloat16 for value in after.values())


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("c++"), reason="needs a C++ compiler")
def test_compiled_form_equals_the_reference_to_rounding(
    trained: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    images, _ = blobs(40, seed=8)
    forward = make_forward(trained, FORMS["compiled_float32"], MINIBATCH, images.shape[1:])
    found = forms.predict_padded(forward, images, MINIBATCH)
    torch.testing.assert_close(found, probabilities(trained, images), rtol=0, atol=2e-6)


@pytest.mark.slow
def test_missing_compiler_costs_speed_and_a_log_line_but_not_the_result(tmp_path: Path) -> None:
    script = (
        "import logging, torch\n"
        "logging.basicConfig(level=logging.WARNING)\n"
        "from catalogtool.inference.forms import FORMS, make_forward\n"
        "network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(),"
        " torch.nn.Linear(144, 2)).eval()\n"
        "images = torch.randn(16, 1, 8, 8)\n"
        "forward = make_forward(network, FORMS['compiled_float32'], 16, images.shape[1:])\n"
        "expected = torch.softmax(network(images), dim=1)\n"
        "torch.testing.assert_close(forward(images), expected, rtol=0, atol=1e-5)\n"
    )
    environment = {
        **os.environ,
        "CXX": "no-such-compiler",
        "PATH": str(tmp_path),
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "the network is not compiled, which costs speed only" in done.stderr
