"""Objects of the target survey whose pixels a method sees, and whose labels nobody looks at."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.config.training import DomainData
from catalogtool.inputs.manifest import read_footer
from catalogtool.training.examples import DomainRows
from catalogtool.training.split import BoolArray, IntArray, Labels

_STREAM = 3  # of random numbers, beside those of the split


@dataclass(frozen=True)
class UnlabelledPool:
    """Objects that were drawn.

    Attributes
    ----------
    rows : DomainRows
        Their manifest rows; their labels are NaN.
    includes_test : bool
        Whether objects of the test may be among them: the survey names none that could have been
        left out.
    """

    rows: DomainRows
    includes_test: bool

    @property
    def cutouts(self) -> BoolArray:
        """All of their cutouts, shape (N, R)."""
        return np.ones(self.rows.labels.votes.shape[:2], dtype=np.bool_)


def draw_unlabelled(domain: DomainData, limit: int, seed: int) -> UnlabelledPool:
    """Draw objects at random, however common each class is; given test objects are left out.

    Parameters
    ----------
    domain : DomainData
        Any survey.
    limit : int
        Most cutouts to draw; an object comes with those of all its bands.
    seed : int
        Equal objects and seeds give the same draw, in whatever order the manifest has them.
    """
    survey = domain.survey
    footer = read_footer(domain.manifest_uri)
    with storage.open_input(domain.manifest_uri) as source:
        file = pq.ParquetFile(source, metadata=footer)
        ids, has_test = _candidates(file)
        everybody = np.sort(np.concatenate(ids))
        count = max(1, limit // survey.rows_per_object)
        chosen = np.random.default_rng((seed, _STREAM)).permutation(everybody)[:count]
        wanted = [unit for unit, group in enumerate(ids) if np.isin(group, chosen).any()]
        units = [_rows_of(file.read_row_group(unit), chosen) for unit in wanted or [0]]
    table = pa.concat_tables(units).combine_chunks()
    shape = (table.num_rows, survey.rows_per_object, len(survey.labels.classes))
    labels = Labels(
        object_id=table.column("object_id").to_numpy(),
        votes=np.full(shape, np.nan, dtype=np.float32),
        given_split=np.array(table.column("split").to_pylist(), dtype=np.str_),
    )
    return UnlabelledPool(DomainRows(table, labels), includes_test=not has_test)


def _candidates(file: pq.ParquetFile) -> tuple[list[IntArray], bool]:
    """Ids of each unit's objects that are not for the test, and whether any object is."""
    ids: list[IntArray] = []
    has_test = False
    for unit in range(file.num_row_groups):
        rows = file.read_row_group(unit, columns=["object_id", "split"])
        is_test = pc.equal(rows.column("split"), "test").to_numpy()
        has_test |= bool(is_test.any())
        ids.append(rows.column("object_id").to_numpy()[~is_test])
    return ids, has_test


def _rows_of(rows: pa.Table, chosen: IntArray) -> pa.Table:
    return rows.filter(pa.array(np.isin(rows.column("object_id").to_numpy(), chosen)))
