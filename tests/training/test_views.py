"""What a step sees of the examples."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from catalogtool.config.training import TrainingSpec
from catalogtool.preprocess.metadata import pack, unpack
from catalogtool.training.examples import Examples
from catalogtool.training.views import ViewMaker

COUNT = 40


def _examples(*, labelled: bool = True) -> Examples:
    """Cutouts that are bright on the left; the class is the side."""
    images = np.zeros((COUNT, 1, 16, 16), dtype=np.float32)
    images[..., :8] = 1
    votes = np.tile(np.array([0.7, 0.2, 0.1], dtype=np.float32), (COUNT, 1))
    return Examples(
        images=images,
        votes=votes if labelled else np.full_like(votes, np.nan),
        object_id=np.arange(COUNT),
        band=np.zeros(COUNT, dtype=np.int64),
        flagged=0,
    )


def _maker(spec: TrainingSpec, *, wants_strong: bool = False, **options: object) -> ViewMaker:
    options = {"augment": ("flip",)} | options
    mirrored = {"round": "long", "long": "round"}
    training = spec.training.model_copy(update=options)
    spec = spec.model_copy(update={"training": training, "mirrored": mirrored})
    return ViewMaker(spec, torch.device("cpu"), wants_strong=wants_strong)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_votes_of_a_mirror_image_are_those_of_the_mirrored_classes(spec: TrainingSpec) -> None:
    batch = _maker(spec).make(_examples(), np.arange(COUNT), _generator())

    assert batch.votes is not None
    is_mirrored = batch.images[:, 0, 8, 0] < 0.5
    assert 0 < is_mirrored.sum() < COUNT
    for flipped, votes in zip(is_mirrored, batch.votes, strict=True):
        assert votes.tolist() == pytest.approx([0.2, 0.7, 0.1] if flipped else [0.7, 0.2, 0.1])


def test_unlabelled_cutouts_have_no_votes(spec: TrainingSpec) -> None:
    batch = _maker(spec).make(_examples(labelled=False), np.arange(COUNT), _generator())

    assert batch.votes is None
    assert batch.strong is None


def test_both_views_of_a_cutout_have_the_same_handedness(spec: TrainingSpec) -> None:
    maker = _maker(spec, wants_strong=True, strong=("gain", "background"))

    batch = maker.make(_examples(), np.arange(COUNT), _generator())

    assert batch.strong is not None
    assert not torch.allclose(batch.images, batch.strong)
    for view in (batch.images, batch.strong):
        is_mirrored = view[:, 0, 8, 0] < view[:, 0, 8, -1]
        assert torch.equal(is_mirrored, batch.images[:, 0, 8, 0] < 0.5)


def test_facts_and_validity_are_no_pixels_to_be_changed(spec: TrainingSpec) -> None:
    """Of one band under `percentile` and two facts, jitter changes the band alone."""
    changes = {"stretch": "percentile", "metadata": ("a", "b"), "size_pix": 16}
    spec = spec.model_copy(update=changes)
    examples = _examples()
    validity = np.ones_like(examples.images)
    facts = pack(np.concatenate([examples.images, validity], axis=1), np.full((COUNT, 2), np.nan))
    examples = replace(examples, images=facts)
    maker = _maker(spec, augment=("flip", "jitter"), wants_strong=True, strong=("noise",))

    batch = maker.make(examples, np.arange(COUNT), _generator())

    assert batch.strong is not None
    for view in (batch.images, batch.strong):
        assert view.shape == (COUNT, 3, 16, 16)
        assert torch.equal(view[:, 1], torch.ones(COUNT, 16, 16))
        assert unpack(view, 2)[1].isnan().all()
        assert not unpack(view, 2)[0].isnan().any()
    assert not torch.equal(batch.images[:, 0], batch.strong[:, 0])
