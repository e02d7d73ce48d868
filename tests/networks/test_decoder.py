"""Decoders of latent spaces."""

import pytest
import torch

from catalogtool.networks._decoder import Decoder


@pytest.mark.parametrize("size_pix", [8, 12, 28, 32, 45])
@pytest.mark.parametrize("channels", [1, 3])
def test_cutouts_have_the_survey_s_size_and_bands(size_pix: int, channels: int) -> None:
    decoder = Decoder(5, (8, 6, 4), channels, size_pix)

    assert decoder(torch.randn(2, 5)).shape == (2, channels, size_pix, size_pix)


def test_every_pixel_depends_on_the_latents() -> None:
    decoder = Decoder(5, (8, 6, 4), 1, 12).eval()

    spread = decoder(torch.randn(50, 5)).std(dim=0)

    assert (spread > 0).all()


def test_it_learns_to_tell_two_cutouts_apart() -> None:
    torch.manual_seed(0)
    decoder, latents = Decoder(2, (8, 8, 8), 1, 12), torch.eye(2)
    images = torch.rand(2, 1, 12, 12)
    optimiser = torch.optim.Adam(decoder.parameters(), 0.01)

    for _ in range(200):
        optimiser.zero_grad()
        loss = (decoder(latents) - images).square().mean()
        loss.backward()
        optimiser.step()

    assert loss.item() < 0.1 * images.var()
