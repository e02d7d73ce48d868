"""One pass over the pixels gives several catalogs, and parts that are still good are kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_run import RunShape, make_small_run, part_contents, read_parts

from catalogtool.config.scorer import ScorerSpec
from catalogtool.config.training import DomainData
from catalogtool.errors import DataError, ModelError
from catalogtool.inference import local
from catalogtool.inference.models import load_models, model_ids
from catalogtool.inference.scorers import StoredScorer, fit_scorer, load_scorer
from catalogtool.inference.unit import UnitTask
from catalogtool.inputs import load_format
from catalogtool.layout import RunLayout
from catalogtool.ledger import finished_units, read_ledger, totals
from catalogtool.training.model import load_model

KINDS = ("morphology", "embedding", "anomaly")


def fitted(task: UnitTask, uri: str) -> StoredScorer:
    domain = DomainData(
        survey=task.survey,
        input_format=task.input_format,
        input_uri=task.input_uri,
        labels_uri=None,
        manifest_uri=task.manifest.uri,
        manifest_identity=task.manifest.identity,
    )
    assert task.model_uri is not None
    spec = ScorerSpec(
        method="mahalanobis",
        options={},
        network=load_model(task.model_uri).spec.identity,
        manifest_identity=domain.manifest_identity,
        objects=96,
        seed=0,
    )
    return fit_scorer(spec, task.model_uri, domain, uri)


@pytest.fixture(scope="module", params=[False, True], ids=["all_bands", "per_band"])
def task(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> UnitTask:
    folder = tmp_path_factory.mktemp("products")
    made = make_small_run(folder, RunShape(per_band=request.param))
    scorer = fitted(made, str(folder / "scorer"))
    made = replace(made, kinds=KINDS, scorer_uri=scorer.uri)
    local.run_units(made, range(made.manifest.units), lambda _: None)
    return made


def test_every_kind_has_its_rows_and_its_model(task: UnitTask) -> None:
    assert task.scorer_uri is not None
    ids = model_ids(load_models(task.model_uri, task.scorer_uri), KINDS)
    assert ids["morphology"] == ids["embedding"] != ids["anomaly"]
    for kind in KINDS:
        rows = read_parts(task, kind)
        assert set(rows.column("model_id").to_pylist()) == {ids[kind]}
        total = totals(read_ledger(task.run).values(), kind)
        assert total.rows_in == total.rows_written == rows.num_rows
    assert read_parts(task, "anomaly").num_rows == task.manifest.objects


def test_an_embedding_is_the_mean_of_the_features_of_an_object_s_bands(task: UnitTask) -> None:
    import torch

    assert task.model_uri is not None
    model = load_model(task.model_uri)
    rows = task.manifest.read_unit(1)
    cutouts = load_format("image_table")(task.survey, task.input_uri).read(rows)
    spec = model.spec
    shape = (-1, spec.channels, spec.size_pix, spec.size_pix)
    prepared = spec.preparation.apply(
        cutouts.images.reshape(shape), cutouts.mask.reshape(shape), None
    )
    with torch.no_grad():
        features = model.network.features(torch.from_numpy(prepared)).numpy()
    expected = features.reshape(rows.num_rows, -1, features.shape[1]).mean(axis=1)
    part = pq.read_table(task.run.part("embedding", 1))
    found = np.stack(part.column("embedding").to_pylist())
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_scores_are_those_of_the_scorer_for_the_embedding(task: UnitTask) -> None:
    assert task.scorer_uri is not None
    embeddings = np.stack(read_parts(task, "embedding").column("embedding").to_pylist())
    table = load_scorer(task.scorer_uri).apply(embeddings.astype(np.float32))
    rows = read_parts(task, "anomaly")
    for name, column in (("anomaly_score", "score"), ("anomaly_p_value", "p_value")):
        np.testing.assert_allclose(rows.column(name), table.column(column), rtol=1e-5)
    assert rows.column("nearest_class").to_pylist() == table.column("nearest_class").to_pylist()


def test_parts_that_are_kept_are_the_same_bytes_and_the_others_are_made(
    task: UnitTask, tmp_path: Path
) -> None:
    later = replace(
        task, run_uri=str(tmp_path / "later"), kept_run_uri=task.run_uri, kept=("morphology",)
    )
    local.run_units(later, range(later.manifest.units), lambda _: None)
    assert len(finished_units(later.run, KINDS)) == task.manifest.units
    assert part_contents(later) == part_contents(task)


def test_a_damaged_part_is_not_kept(task: UnitTask, tmp_path: Path) -> None:
    import shutil

    damaged = RunLayout(str(shutil.copytree(task.run_uri, tmp_path / "damaged")))
    path = Path(damaged.part("morphology", 0))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    later = replace(
        task, run_uri=str(tmp_path / "later"), kept_run_uri=damaged.uri, kept=("morphology",)
    )
    with pytest.raises(DataError, match="not what the ledger"):
        local.run_units(later, [0], lambda _: None)


def test_a_damaged_scorer_is_refused(task: UnitTask, tmp_path: Path) -> None:
    import shutil

    assert task.scorer_uri is not None
    folder = Path(shutil.copytree(task.scorer_uri, tmp_path / "scorer"))
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"oops")
    with pytest.raises(ModelError, match="damaged scorer"):
        load_scorer(str(folder))
    weights.unlink()
    with pytest.raises(ModelError, match="the weights cannot be read"):
        load_scorer(str(folder))
    (folder / "run.json").unlink()
    with pytest.raises(ModelError, match="holds no scorer"):
        load_scorer(str(folder))


def test_fitting_twice_gives_the_same_scorer(task: UnitTask, tmp_path: Path) -> None:
    assert task.scorer_uri is not None
    again = fitted(replace(task, scorer_uri=None), str(tmp_path / "again"))
    assert again.model_id == load_scorer(task.scorer_uri).model_id
