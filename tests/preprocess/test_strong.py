"""Strong changes of cutouts."""

import pytest
import torch

from catalogtool.errors import UnknownNameError
from catalogtool.preprocess import strong as module
from catalogtool.preprocess.strong import STRONG_CHANGES, strengthen


def _generator(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _cutouts(count: int = 6, channels: int = 3, size: int = 20) -> torch.Tensor:
    return torch.rand(count, channels, size, size, generator=_generator(1))


def _point_source(count: int, size: int = 41) -> torch.Tensor:
    images = torch.zeros(count, 2, size, size)
    images[:, :, size // 2, size // 2] = 1000
    return images


def _variance(images: torch.Tensor, axis: int) -> torch.Tensor:
    """Second moment of the light along an axis about its centre, shape (B, C)."""
    profile = images.sum(dim=5 - axis) / images.sum(dim=(2, 3))[..., None]
    pixel = torch.arange(profile.shape[-1]).float()
    centre = (profile * pixel).sum(dim=-1, keepdim=True)
    return (profile * (pixel - centre) ** 2).sum(dim=-1)


@pytest.mark.parametrize("changes", [(change,) for change in STRONG_CHANGES] + [STRONG_CHANGES])
def test_the_seed_decides_everything_and_the_shape_stays(changes: tuple[str, ...]) -> None:
    images = _cutouts()

    first = strengthen(images, changes, _generator())
    again = strengthen(images, changes, _generator())
    other = strengthen(images, changes, _generator(6))

    assert first.shape == images.shape
    assert first.dtype == torch.float32
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.isfinite(first).all()


def test_no_change_is_no_change() -> None:
    images = _cutouts()

    assert strengthen(images, (), _generator()) is images


def test_the_order_of_the_names_does_not_matter() -> None:
    images = _cutouts()

    forwards = strengthen(images, STRONG_CHANGES, _generator())

    assert torch.equal(forwards, strengthen(images, STRONG_CHANGES[::-1], _generator()))


@pytest.mark.parametrize("name", ["flip", "gian"])
def test_an_unknown_change_is_refused(name: str) -> None:
    with pytest.raises(UnknownNameError, match=f"'{name}' is not one of strong augmentations"):
        strengthen(_cutouts(), ("blur", name), _generator())


def test_one_cutout_is_a_batch_too() -> None:
    assert strengthen(_cutouts(1), STRONG_CHANGES, _generator()).shape == (1, 3, 20, 20)


def test_a_blur_keeps_the_flux_of_every_cutout_even_at_the_border() -> None:
    images = _cutouts(size=24)

    blurred = strengthen(images, ("blur",), _generator())

    torch.testing.assert_close(blurred.sum(dim=(2, 3)), images.sum(dim=(2, 3)))
    assert (blurred.std(dim=(2, 3)) < images.std(dim=(2, 3))).all()


def test_a_blur_leaves_a_flat_background_flat() -> None:
    images = torch.full((4, 2, 16, 20), 3.0)

    torch.testing.assert_close(strengthen(images, ("blur",), _generator()), images)


def test_a_blur_widens_a_source_by_its_own_width_in_quadrature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = _point_source(3)
    monkeypatch.setattr(module, "BLUR_SIGMA_PIX", (1.2, 1.2))

    once = strengthen(images, ("blur",), _generator())
    twice = strengthen(once, ("blur",), _generator())

    for axis in (2, 3):
        torch.testing.assert_close(_variance(once, axis), torch.full((3, 2), 1.2**2))
        torch.testing.assert_close(_variance(twice, axis), torch.full((3, 2), 2 * 1.2**2))


def test_every_cutout_has_a_blur_of_its_own_within_the_documented_limits() -> None:
    blurred = strengthen(_point_source(200), ("blur",), _generator())

    sigmas = _variance(blurred, 2).sqrt()
    assert torch.equal(sigmas[:, 0], sigmas[:, 1])  # one atmosphere for all bands
    assert sigmas.min() == pytest.approx(0.5, abs=0.1)
    assert sigmas.max() == pytest.approx(1.5, abs=0.02)


def test_the_gain_is_one_log_normal_factor_per_cutout_and_band() -> None:
    images = 1 + _cutouts(count=400)

    factors = strengthen(images, ("gain",), _generator()) / images

    gain = factors[:, :, :1, :1]
    torch.testing.assert_close(factors, gain.expand_as(factors))
    assert gain.log().std().item() == pytest.approx(0.3, rel=0.1)
    assert gain.log().mean().item() == pytest.approx(0, abs=0.05)
    assert abs(torch.corrcoef(gain[:, :2, 0, 0].T)[0, 1]) < 0.15


def test_the_background_is_one_offset_per_cutout_and_band() -> None:
    images = _cutouts(count=400)

    offsets = strengthen(images, ("background",), _generator()) - images

    offset = offsets[:, :, :1, :1]
    torch.testing.assert_close(offsets, offset.expand_as(offsets), atol=1e-5, rtol=0)
    expected = 0.3 * images.std()
    assert offset.std().item() == pytest.approx(expected.item(), rel=0.1)


def test_noise_has_the_documented_largest_width_and_no_structure() -> None:
    images = _cutouts(count=200)

    noise = strengthen(images, ("noise",), _generator()) - images

    widths = noise.std(dim=(1, 2, 3)) / images.std(dim=(1, 2, 3))
    assert widths.min() < 0.02
    assert widths.max() == pytest.approx(0.3, abs=0.03)
    neighbours = (noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean()
    assert abs(neighbours) < 0.02


def test_noise_and_background_follow_the_stretch() -> None:
    images = _cutouts()
    changes = ("background", "noise")

    changed = strengthen(images, changes, _generator())
    scaled = strengthen(4 * images - 2, changes, _generator())

    torch.testing.assert_close(scaled, 4 * changed - 2, atol=1e-5, rtol=1e-5)


def test_a_blank_cutout_stays_blank() -> None:
    blank = torch.zeros(2, 1, 16, 16)

    assert torch.equal(strengthen(blank, STRONG_CHANGES, _generator()), blank)


def test_a_square_of_the_documented_size_holds_the_level_of_the_border() -> None:
    images = 1 + _cutouts(count=300, channels=2)
    images[:, 0, 0], images[:, 0, -1] = -1, -1
    images[:, 0, :, 0], images[:, 0, :, -1] = -1, -1

    changed = strengthen(images, ("cutout",), _generator())

    is_covered = changed[:, 1] != images[:, 1]
    assert (changed[:, 0][is_covered] == -1).all()
    rows, columns = is_covered.any(dim=2).sum(dim=1), is_covered.any(dim=1).sum(dim=1)
    area = is_covered.sum(dim=(1, 2))
    # The second band's border is random: its median is one of its own pixels, and may be covered.
    assert ((rows * columns - area) <= 1).all()
    assert torch.equal(rows, columns)
    assert rows.min() == 4  # 20 % of 20 pixels
    assert rows.max() == 8
    # The square may be anywhere.
    assert is_covered.any(dim=0).all()


def test_a_quarter_turn_moves_pixels_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "uniform", lambda n, limit, _: torch.full((n,), limit / 2))
    images = _cutouts()

    turned = strengthen(images, ("rotate",), _generator())

    torch.testing.assert_close(turned, images.rot90(1, dims=(2, 3)), atol=1e-5, rtol=0)


def test_no_view_is_mirrored_so_that_handedness_stays() -> None:
    affine = module._affine(_cutouts(count=50), STRONG_CHANGES, _generator())

    torch.testing.assert_close(torch.linalg.det(affine[:, :, :2]), torch.ones(50))


def test_a_shift_is_at_most_a_tenth_of_the_side(monkeypatch: pytest.MonkeyPatch) -> None:
    pixel = torch.arange(41.0) - 20
    images = torch.exp(-(pixel[:, None] ** 2 + pixel**2) / 18).expand(200, 1, 41, 41).contiguous()

    moved = strengthen(images, ("shift",), _generator())

    shift = (moved.sum(dim=2) * pixel).sum(dim=-1) / moved.sum(dim=(2, 3))
    assert shift.abs().max() == pytest.approx(4.1, abs=0.2)
    # Turned and shifted together, pixels are interpolated once.
    calls = []
    monkeypatch.setattr(module, "resample", lambda x, affine: calls.append(affine) or x)
    strengthen(images, ("rotate", "shift"), _generator())
    assert len(calls) == 1
