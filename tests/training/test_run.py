"""One training from labels to a stored model, on a small simulated survey."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from small_training import adapted_spec, model_uri, small_domain, source_spec, target_spec

from catalogtool.config.training import DomainData
from catalogtool.errors import ModelError
from catalogtool.flags import Flag
from catalogtool.inputs._base import Cutouts
from catalogtool.inputs.simulated import Format
from catalogtool.networks._domain_norm import has_domain_norm
from catalogtool.preprocess.preparation import Preparation
from catalogtool.training.context import SingleProcess
from catalogtool.training.examples import load_examples, open_domain, read_labelled_rows
from catalogtool.training.model import load_model
from catalogtool.training.run import run_training

PREPARATION = Preparation(24, "minmax")


@pytest.fixture
def domain(tmp_path: Path) -> DomainData:
    return small_domain(tmp_path)


def test_fine_tuning_follows_source_only_and_both_are_scored(
    domain: DomainData, tmp_path: Path
) -> None:
    source = source_spec(domain)
    target = target_spec(source)

    for spec in (source, target):
        run_training(spec, model_uri(tmp_path, spec), SingleProcess())

    before = load_model(model_uri(tmp_path, source)).metrics
    after = load_model(model_uri(tmp_path, target)).metrics
    assert before["source_test"] == before["test"]
    assert (
        after["initial_test"]["count"]
        == after["test"]["count"]
        == after["labels"]["target_labelled"]["test"]
    )
    assert (
        after["labels"]["target_labelled"]["train"]
        + after["labels"]["target_labelled"]["validation"]
        == 20
    )
    assert sum(band["count"] for band in after["test_by_band"].values()) == after["test"]["count"]
    assert list(after["test_by_band"]) == list(domain.survey.band_names)


def test_a_universal_method_remembers_the_labelled_objects_to_tell_others_by(
    domain: DomainData, tmp_path: Path
) -> None:
    source = source_spec(domain, max_epochs=1)
    changes = {
        "method": "deep_astro_uda",
        "method_options": {"tuner_parts": 1},  # too few for a move
        "source": domain,
        "shots": 0,
        "label_count": None,
    }
    target = target_spec(source).model_copy(update=changes)

    for spec in (source, target):
        run_training(spec, model_uri(tmp_path, spec), SingleProcess())

    before, model = (load_model(model_uri(tmp_path, spec)) for spec in (source, target))
    after = model.metrics
    assert before.neighbours is None
    assert model.neighbours is not None
    assert len(model.neighbours.directions) == after["labels"]["source"]["train"]
    assert after["neighbours"] == model.neighbours.describe()
    assert 0 < after["neighbours"]["threshold"] < 2
    assert 0 <= after["history"][0]["watch"]["active_fraction"] <= 1


@pytest.mark.parametrize("method", ["source_only", "fine_tune"])
def test_any_method_remembers_them_where_the_recipe_asks_for_it(
    domain: DomainData, tmp_path: Path, method: str
) -> None:
    plain = source_spec(domain, max_epochs=1)
    flagging = plain.training.model_copy(update={"flag_unknown": True})
    source = plain.model_copy(update={"training": flagging})
    specs = [source] if method == "source_only" else [source, target_spec(source)]

    for spec in specs:
        run_training(spec, model_uri(tmp_path, spec), SingleProcess())

    model = load_model(model_uri(tmp_path, specs[-1]))
    assert model.neighbours is not None
    (labels,) = model.metrics["labels"].values()
    assert len(model.neighbours.directions) == labels["train"]


@pytest.mark.parametrize("shots", [0, None])
def test_a_method_adapts_with_and_without_labels_of_the_target(
    domain: DomainData, tmp_path: Path, shots: int | None
) -> None:
    source = source_spec(domain)
    adapted = adapted_spec(source, shots)

    for spec in (source, adapted):
        run_training(spec, model_uri(tmp_path, spec), SingleProcess())

    model = load_model(model_uri(tmp_path, adapted))
    metrics = model.metrics
    assert has_domain_norm(model.network)
    assert metrics["unlabelled"] == {"count": 60, "includes_test_pixels": True}
    assert list(metrics["labels"]) == (["source"] if shots == 0 else ["source", "target_labelled"])
    used = "unlabelled" if shots == 0 else "labels"
    assert metrics["selection"] == {"asked": "labels", "used": used}
    assert set(metrics["selections"]) == {used, "unlabelled"}
    for name in ("test", "source_test", "validation"):
        assert metrics[name] == metrics["selections"][used][name]
    assert metrics["test"]["count"] == metrics["initial_test"]["count"] > 0
    assert metrics["source_test"]["count"] == metrics["labels"]["source"]["test"] > 0
    assert (metrics["validation"] is None) == (shots == 0)


def test_the_same_specification_gives_the_same_model(domain: DomainData, tmp_path: Path) -> None:
    spec = source_spec(domain)
    folders = [model_uri(tmp_path / name, spec) for name in ("one", "two")]

    for folder in folders:
        run_training(spec, folder, SingleProcess())

    first, second = (load_model(folder) for folder in folders)
    assert first.model_id == second.model_id


def test_a_missing_model_to_start_from_is_an_error(domain: DomainData, tmp_path: Path) -> None:
    spec = target_spec(source_spec(domain))

    with pytest.raises(ModelError, match="holds no model"):
        run_training(spec, model_uri(tmp_path, spec), SingleProcess())


def test_bands_become_cutouts_of_their_own(domain: DomainData) -> None:
    form, rows = open_domain(domain), read_labelled_rows(domain)

    examples = load_examples(form, rows, rows.labels.labelled, PREPARATION)

    assert len(examples) == rows.labels.labelled.sum() == 80
    assert examples.images.shape == (80, 1, 24, 24)
    objects, bands = np.nonzero(rows.labels.labelled)
    np.testing.assert_array_equal(examples.object_id, rows.labels.object_id[objects])
    np.testing.assert_array_equal(examples.band, bands)
    np.testing.assert_array_equal(examples.votes, rows.labels.votes[objects, bands])


def test_the_shards_of_workers_are_the_whole(domain: DomainData) -> None:
    form, rows = open_domain(domain), read_labelled_rows(domain)
    wanted = rows.labels.labelled

    shards = [load_examples(form, rows, wanted, PREPARATION, (rank, 3)) for rank in range(3)]

    ids = [set(shard.object_id.tolist()) for shard in shards]
    assert sum(len(shard) for shard in shards) == wanted.sum()
    assert not ids[0] & ids[1]
    assert not ids[1] & ids[2]


def test_flagged_cutouts_are_left_out_and_counted(domain: DomainData) -> None:
    class HalfBroken(Format):
        def read(self, rows: pa.Table) -> Cutouts:
            cutouts = super().read(rows)
            cutouts.flags[:, 0] |= Flag.UNREADABLE
            return cutouts

    rows = read_labelled_rows(domain)

    examples = load_examples(
        HalfBroken(domain.survey, None), rows, rows.labels.labelled, PREPARATION
    )

    assert examples.flagged == rows.labels.labelled[:, 0].sum() > 0
    assert len(examples) + examples.flagged == 80
    assert 0 not in examples.band
