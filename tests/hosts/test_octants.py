"""From pixels through pyramid, variants and votes: a blob is found where it is, all around."""

import numpy as np
import pytest
import torch

from catalogtool.hosts.sources import find_sources
from catalogtool.networks._delight import VARIANTS, Delight, DelightOptions
from catalogtool.preprocess.pyramid import FIELD_PIX, SIDE, build_pyramid
from catalogtool.training.hosts import CENTRE_PIX, vote

LEVEL = 2
"""Shows 120 pixels in blocks of 4."""
OCTANTS = ((41, 12), (12, 41), (-12, 41), (-41, 12), (-41, -12), (-12, -41), (12, -41), (41, -12))


class Centroid(Delight):
    """A network that needs no training: the centre of light of one level, along x, then y."""

    def forward(self, pyramids: torch.Tensor) -> torch.Tensor:
        light = pyramids[:, LEVEL]
        place = (torch.arange(SIDE) - (SIDE - 1) / 2) * 2**LEVEL
        x = (light.sum(dim=2) * place).sum(dim=1)
        y = (light.sum(dim=1) * place).sum(dim=1)
        return torch.stack([x, y], dim=1) / light.sum(dim=(1, 2))[:, None]


@pytest.mark.parametrize(("dx", "dy"), OCTANTS)
def test_every_vote_for_a_blob_in_any_octant_is_within_half_a_pixel(dx: int, dy: int) -> None:
    y, x = np.mgrid[:FIELD_PIX, :FIELD_PIX] - CENTRE_PIX
    noise = np.random.default_rng(0).normal(0, 1, x.shape)
    image = noise + 80 * np.exp(-((x - dx) ** 2 + (y - dy) ** 2) / (2 * 4**2))
    found = find_sources(image.astype(np.float32), np.zeros(image.shape, dtype=np.bool_))

    votes = vote(Centroid(DelightOptions()).eval(), build_pyramid(found)[None])

    assert votes.shape == (1, VARIANTS, 2)
    np.testing.assert_allclose(votes[0] - CENTRE_PIX, [(dx, dy)] * VARIANTS, atol=0.5)
