"""The objects whose labels nobody looks at."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_training import small_domain

from catalogtool.config.training import DomainData
from catalogtool.preprocess.preparation import Preparation
from catalogtool.training.examples import load_examples, open_domain
from catalogtool.training.unlabelled import draw_unlabelled

PREPARATION = Preparation(24, "minmax")


@pytest.fixture
def domain(tmp_path: Path) -> DomainData:
    return small_domain(tmp_path)


def _with_split(domain: DomainData, folder: Path, test: int) -> DomainData:
    """The same manifest, with its first objects for the test, in another order and other units."""
    table = pq.read_table(domain.manifest_uri)
    split = ["test"] * test + ["train"] * (table.num_rows - test)
    table = table.set_column(table.column_names.index("split"), "split", pa.array(split))
    table = table.take(np.random.default_rng(0).permutation(table.num_rows))
    path = folder / "again.parquet"
    pq.write_table(table, path, row_group_size=7)
    return domain.model_copy(update={"manifest_uri": str(path)})


def test_whole_objects_are_drawn_up_to_the_limit_without_their_labels(domain: DomainData) -> None:
    pool = draw_unlabelled(domain, 31, seed=1)

    assert pool.cutouts.shape == (10, 3)  # of three bands each
    assert pool.cutouts.all()
    assert np.isnan(pool.rows.labels.votes).all()
    assert pool.includes_test


def test_a_small_survey_is_drawn_whole(domain: DomainData) -> None:
    assert draw_unlabelled(domain, 5000, seed=1).cutouts.shape == (40, 3)


def test_the_seed_decides_and_neither_order_nor_units_do(
    domain: DomainData, tmp_path: Path
) -> None:
    again = _with_split(domain, tmp_path, test=0)

    draws = [
        set(draw_unlabelled(data, 30, seed).rows.labels.object_id.tolist())
        for data, seed in ((domain, 1), (again, 1), (domain, 2))
    ]

    assert draws[0] == draws[1] != draws[2]


def test_given_test_objects_are_left_out(domain: DomainData, tmp_path: Path) -> None:
    pool = draw_unlabelled(_with_split(domain, tmp_path, test=15), 5000, seed=1)

    assert len(pool.cutouts) == 25
    assert not pool.includes_test
    assert not (pool.rows.labels.given_split == "test").any()


def test_drawn_cutouts_are_read_like_any_other(domain: DomainData) -> None:
    pool = draw_unlabelled(domain, 12, seed=1)

    examples = load_examples(open_domain(domain), pool.rows, pool.cutouts, PREPARATION)

    assert examples.images.shape == (12, 1, 24, 24)
    assert not examples.is_labelled
