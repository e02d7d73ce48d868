"""The tuner: when it moves boundary and margin, by how much, and what a checkpoint keeps."""

import math
from itertools import pairwise

import pytest
import torch

from catalogtool.adaptation._separation import entropy_separation
from catalogtool.adaptation._tuner import SeparationTuner

PARTS = 100


def _tuner(margin: float = 0.4) -> SeparationTuner:
    return SeparationTuner(classes=10, boundary=1.0, margin=margin, parts=PARTS)


def _observe(tuner: SeparationTuner, losses: list[float], first_part: int = 0) -> None:
    """One step per part."""
    for index, loss in enumerate(losses):
        tuner.observe(torch.tensor(loss), (first_part + index + 0.5) / PARTS)


def _settings(tuner: SeparationTuner) -> tuple[float, float]:
    return pytest.approx((float(tuner.boundary), float(tuner.margin)))  # type: ignore[return-value]


def test_nothing_moves_while_the_loss_falls() -> None:
    tuner = _tuner()

    _observe(tuner, [1 / (part + 1) for part in range(60)])

    assert _settings(tuner) == (1.0, 0.4)


# A part is judged when the next one begins; the first one sets the lowest loss.
@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (6, (1.0, 0.4)),
        (7, (1.3, 0.4)),
        (8, (1.3, 0.4)),
        (9, (1.3, 0.7)),
        (11, (1.3, 1.4)),
        (15, (1.3, 1.4)),
        (16, (1.0, 1.4)),
        (18, (1.0, 1.1)),
        (20, (1.0, 2.2)),
    ],
)
def test_a_loss_that_stands_still_moves_boundary_margin_and_doubles_it(
    parts: int, expected: tuple[float, float]
) -> None:
    tuner = _tuner()

    _observe(tuner, [1.0] * parts)

    assert _settings(tuner) == expected


def test_the_steps_take_turns() -> None:
    tuner, boundaries = _tuner(), []
    for part in range(46):
        _observe(tuner, [1.0], part)
        boundaries.append(round(float(tuner.boundary), 3))

    moves = [b - a for a, b in pairwise(boundaries) if a != b]
    assert moves == pytest.approx([0.3, -0.3, 0.5, -0.5, 0.3])


def test_a_lower_loss_restarts_the_count_and_keeps_the_turn() -> None:
    tuner = _tuner()

    _observe(tuner, [1.0] * 7)  # the boundary has moved
    _observe(tuner, [0.9, 0.95, 0.96], 7)

    assert _settings(tuner) == (1.3, 0.4)
    _observe(tuner, [0.97], 10)
    assert _settings(tuner) == (1.3, 0.7)


def test_parts_are_judged_by_the_mean_of_their_steps() -> None:
    tuner = _tuner()
    for part in range(10):
        # Steps go up and down, the mean of each part is lower than that of the one before.
        for loss in (2.0 - 0.1 * part, 0.0):
            tuner.observe(torch.tensor(loss), (part + 0.5) / PARTS)

    assert float(tuner.lowest) == pytest.approx(0.6)
    assert _settings(tuner) == (1.0, 0.4)


def test_the_boundary_stays_among_possible_entropies_and_the_margin_above_zero() -> None:
    tuner = SeparationTuner(classes=2, boundary=0.5, margin=0.0, parts=PARTS)

    _observe(tuner, [1.0] * 7)
    assert float(tuner.boundary) == pytest.approx(math.log(2))
    _observe(tuner, [1.0] * 30, 7)
    assert float(tuner.margin) >= 0


def test_its_first_move_ends_the_dead_zone_of_ten_classes() -> None:
    tuner = SeparationTuner(classes=10, boundary=math.log(10) / 2, margin=1.3, parts=PARTS)
    certain = torch.tensor([[50.0, *[0.0] * 9]])

    _, before = entropy_separation(certain, tuner.boundary, tuner.margin)
    _observe(tuner, [1.0] * 7)
    _, after = entropy_separation(certain, tuner.boundary, tuner.margin)

    assert (before.item(), after.item()) == (False, True)


@pytest.mark.parametrize("interrupted_after", [3, 7, 10])
def test_a_tuner_from_a_checkpoint_goes_on_as_if_nothing_had_been(interrupted_after: int) -> None:
    losses = [1.0, 0.8, *[0.9] * 20]
    through, before, after = _tuner(), _tuner(), _tuner(margin=9.0)
    _observe(through, losses)

    _observe(before, losses[:interrupted_after])
    after.load_state_dict(before.state_dict())
    _observe(after, losses[interrupted_after:], interrupted_after)

    assert {n: v.item() for n, v in after.state_dict().items()} == {
        n: v.item() for n, v in through.state_dict().items()
    }
