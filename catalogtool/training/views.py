"""What a step sees of the examples: cutouts changed at random, labels that follow them."""

import torch

from catalogtool.adaptation._base import DomainBatch
from catalogtool.config.training import TrainingSpec
from catalogtool.preprocess.augment import augment
from catalogtool.preprocess.stretch import stretched_channels
from catalogtool.preprocess.strong import strengthen
from catalogtool.training.examples import Examples
from catalogtool.training.split import IntArray


class ViewMaker:
    """Makes batches of examples.

    Parameters
    ----------
    spec : TrainingSpec
        Weak and strong changes, and the classes of mirror images.
    wants_strong : bool
        Whether batches have strong views too.
    device : torch.device
        Where the changes are computed.
    """

    def __init__(self, spec: TrainingSpec, device: torch.device, *, wants_strong: bool) -> None:
        self._weak = spec.training.augment
        self._strong = spec.training.strong if wants_strong else None
        self._device = device
        self._bands = spec.channels
        self._pixel_channels = stretched_channels(spec.stretch, spec.channels)
        self._mirror_classes = torch.tensor(
            [spec.classes.index(spec.mirrored.get(name, name)) for name in spec.classes],
            device=device,
        )  # (K,)

    def make(
        self, examples: Examples, indices: IntArray, generator: torch.Generator
    ) -> DomainBatch:
        """Weak views of some examples, their labels if they have them, and strong views if wanted.

        The strong view is a changed weak view: both are mirrored or neither is.
        """
        images = torch.from_numpy(examples.images[indices]).to(self._device)
        images, is_mirrored = self._changed(images, generator)
        votes = strong = None
        if examples.is_labelled:
            votes = torch.from_numpy(examples.votes[indices]).to(self._device)
            mirror_image = votes[:, self._mirror_classes]
            votes = torch.where(is_mirrored[:, None], mirror_image, votes)
        if self._strong is not None:
            bands, rest = images[:, : self._bands], images[:, self._bands :]
            strong = _by_pixel(torch.cat([strengthen(bands, self._strong, generator), rest], dim=1))
        return DomainBatch(_by_pixel(images), votes, strong)

    def _changed(
        self, images: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Weak views; what is no pixel stays as it is, and what is no band keeps its values."""
        pixels, facts = images[:, : self._pixel_channels], images[:, self._pixel_channels :]
        pixels, is_mirrored = augment(pixels, self._weak, generator, self._bands)
        return (torch.cat([pixels, facts], dim=1) if facts.shape[1] else pixels), is_mirrored


def _by_pixel(images: torch.Tensor) -> torch.Tensor:
    return images.contiguous(memory_format=torch.channels_last)
