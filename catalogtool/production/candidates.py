"""The best objects of a run, chosen from its parts in one pass that keeps no more than those."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.errors import ConfigError, DataError
from catalogtool.inputs.manifest import Manifest, read_footer
from catalogtool.layout import RunLayout
from catalogtool.surveys._definition import Survey

_FAVOURITE = "sn"
_OPTIONAL = (
    "night",
    "band",
    "magnitude_ab",
    "magnitude_error",
    "is_positive",
    "change_sign",
    "survey_score",
    "detections",
    "real_bogus",
)


@dataclass(frozen=True)
class Choice:
    """Which candidates are shown.

    Attributes
    ----------
    class_name : str or None
        Class whose probability ranks them; None: supernovae where there is such a class, else
        whichever class is the most probable.
    min_score : float
        Least probability.
    limit : int
        How many at most.
    """

    class_name: str | None = None
    min_score: float = 0.0
    limit: int = 10_000

    def ranking_class(self, survey: Survey) -> str | None:
        """The class that ranks the candidates of a survey; None: the most probable one.

        Raises
        ------
        ConfigError
            If the survey has no such class.
        """
        classes = survey.labels.classes
        if self.class_name is None:
            return _FAVOURITE if _FAVOURITE in classes else None
        if self.class_name not in classes:
            raise ConfigError(
                f"survey {survey.name}: has no class {self.class_name!r}; --class takes one of "
                f"{', '.join(classes)}"
            )
        return self.class_name


def choose_candidates(
    run: RunLayout, manifest: Manifest, kind: str, survey: Survey, choice: Choice
) -> pa.Table:
    """Choose the best rows of a kind, one per object of the survey, best first.

    Parameters
    ----------
    run : RunLayout
        A finished run.
    manifest : Manifest
        Its objects.
    kind : str
        Catalog kind with a probability per class.
    survey : Survey
        Its survey.
    choice : Choice
        What is asked.

    Returns
    -------
    pa.Table
        Columns of the parts, and ``score``, ``unit`` and ``place``: the row of the manifest's unit
        that holds the object.

    Raises
    ------
    DataError
        If nothing passes.
    """
    ranking = choice.ranking_class(survey)
    score = "confidence" if ranking is None else f"p_{ranking}"
    footer = read_footer(manifest.uri)
    best: list[pa.Table] = []
    count = 0
    for unit in range(manifest.units):
        rows = _read_part(run.part(kind, unit), survey, score)
        rows = rows.append_column("unit", pa.repeat(pa.scalar(unit), rows.num_rows))
        per_object = rows.num_rows // footer.row_group(unit).num_rows
        rows = rows.append_column("place", pa.array(np.arange(rows.num_rows) // per_object))
        rows = rows.filter(pc.greater_equal(rows.column("score"), choice.min_score))
        best.append(rows)
        count += rows.num_rows
        if count > 2 * choice.limit:
            best = [_best(best, choice.limit)]
            count = best[0].num_rows
    found = _best(best, choice.limit)
    if not found.num_rows:
        raise DataError(
            f"{run.uri}: no {kind} row has a {score} of {choice.min_score} or more; lower "
            "--min-score"
        )
    return found


def _read_part(uri: str, survey: Survey, score: str) -> pa.Table:
    with storage.open_input(uri) as source:
        file = pq.ParquetFile(source)
        names = file.schema_arrow.names
        if score not in names:
            raise ConfigError(
                f"{uri}: has no column {score}; vet takes catalogs of one row per object"
            )
        wanted = ["object_id", "source_id", "ra", "dec", "predicted_class", "flags", score]
        wanted += [f"p_{name}" for name in survey.labels.classes]
        wanted += [name for name in _OPTIONAL if name in names]
        rows = file.read(columns=list(dict.fromkeys(wanted)))
    return rows.append_column("score", rows.column(score))


def _best(tables: list[pa.Table], limit: int) -> pa.Table:
    rows = pa.concat_tables(tables)
    rows = rows.sort_by([("score", "descending"), ("object_id", "ascending")])
    codes = rows.column("source_id").combine_chunks().dictionary_encode().indices.to_numpy()
    _, first = np.unique(codes, return_index=True)  # the best row of each object
    return rows.take(pa.array(np.sort(first)[:limit]))
