"""Random changes of cutouts."""

import pytest
import torch

from catalogtool.errors import UnknownNameError
from catalogtool.preprocess import augment as module
from catalogtool.preprocess.augment import CHANGES, augment


def _generator(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _cutouts(channels: int = 3, size: int = 17) -> torch.Tensor:
    return torch.rand(6, channels, size, size, generator=_generator(1))


@pytest.mark.parametrize("changes", [(change,) for change in CHANGES] + [CHANGES])
def test_the_seed_decides_everything_and_the_shape_stays(changes: tuple[str, ...]) -> None:
    images = _cutouts()

    first, _ = augment(images, changes, _generator())
    again, _ = augment(images, changes, _generator())
    other, _ = augment(images, changes, _generator(6))

    assert first.shape == images.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.isfinite(first).all()


def test_no_change_is_no_change() -> None:
    images = _cutouts()

    unchanged, is_mirrored = augment(images, (), _generator())

    assert unchanged is images
    assert not is_mirrored.any()


def test_a_flip_is_the_cutout_or_its_mirror_image() -> None:
    images = _cutouts()

    changed, is_mirrored = augment(images, ("flip",), _generator())

    for before, after, flipped in zip(images, changed, is_mirrored, strict=True):
        assert torch.allclose(after, before.flip(-1) if flipped else before, atol=1e-5)
    assert set(is_mirrored.tolist()) == {True, False}


def test_only_flips_make_mirror_images() -> None:
    changes = tuple(change for change in CHANGES if change != "flip")

    _, is_mirrored = augment(_cutouts(), changes, _generator())

    assert not is_mirrored.any()


def test_flips_and_quarter_turns_move_pixels_without_changing_them() -> None:
    images = _cutouts()

    changed, _ = augment(images, ("flip", "turn"), _generator())

    for before, after in zip(images, changed, strict=True):
        views = [before.rot90(k, (1, 2)) for k in range(4)]
        views += [view.flip(-1) for view in views]
        assert any(torch.allclose(after, view, atol=1e-4) for view in views)


def test_a_shift_is_by_whole_pixels() -> None:
    images = _cutouts(size=40)

    changed, _ = augment(images, ("shift",), _generator())

    for before, after in zip(images, changed, strict=True):
        inner = after[:, 2:-2, 2:-2]
        moved = [before.roll((dy, dx), (1, 2)) for dy in range(-2, 3) for dx in range(-2, 3)]
        assert any(torch.allclose(inner, m[:, 2:-2, 2:-2], atol=1e-4) for m in moved)


def test_a_round_galaxy_looks_the_same_from_any_angle() -> None:
    axis = torch.linspace(-1, 1, 33)
    galaxy = torch.exp(-20 * (axis[:, None] ** 2 + axis[None, :] ** 2)).expand(4, 1, 33, 33)

    changed, _ = augment(galaxy.contiguous(), ("rotate", "flip"), _generator())

    torch.testing.assert_close(changed, galaxy, atol=0.04, rtol=0)  # interpolation blurs


def test_a_quarter_turn_moves_pixels_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "uniform", lambda n, limit, _: torch.full((n,), limit / 2))
    images = _cutouts()

    changed, _ = augment(images, ("rotate",), _generator())

    torch.testing.assert_close(changed, images.rot90(1, dims=(2, 3)), atol=1e-5, rtol=0)


def test_jitter_leaves_the_geometry_alone() -> None:
    images = torch.zeros(64, 1, 5, 5)
    images[:, :, 2, 2] = 100

    changed, _ = augment(images, ("jitter",), _generator())

    assert (changed.flatten(1).argmax(dim=1) == 12).all()
    gain = changed[:, 0, 2, 2] / 100
    assert gain.log().std().item() == pytest.approx(0.25, rel=0.3)


def test_an_unknown_change_is_refused_with_a_hint() -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean 'rotate'\?"):
        augment(_cutouts(), ("rotation",), _generator())
