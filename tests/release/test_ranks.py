"""Places of anomalies in a release."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from release_samples import make_info, manifest_rows, sky_positions

from catalogtool.catalogs import load_kind
from catalogtool.catalogs._base import Predictions
from catalogtool.catalogs.anomaly import FINDINGS
from catalogtool.flags import Flag
from catalogtool.layout import RunLayout
from catalogtool.release.assemble import assemble
from catalogtool.release.verify import verify

OBJECTS, UNITS = 240, 3


def write_part(run: RunLayout, unit: int, scores: np.ndarray) -> None:
    info = make_info()
    rows = manifest_rows(sky_positions(OBJECTS), 0).slice(unit * len(scores), len(scores))
    flags = np.where(np.isnan(scores), int(Flag.UNREADABLE), 0).astype(np.int32)
    found = [
        {} if np.isnan(score) else {"score": score, "p_value": 0.5, "nearest_class": "spiral"}
        for score in scores
    ]
    for row in found:
        if row:
            row["distances"] = [1.0] * len(info.context.classes)
    said = Predictions(
        np.zeros((len(scores), 1, 0), np.float32),
        flags[:, None],
        findings=pa.Table.from_pylist(found, schema=FINDINGS),
    )
    path = Path(run.part("anomaly", unit))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(load_kind("anomaly").finalize(info.context, rows, said), path)


def test_a_place_is_one_more_than_the_number_of_higher_scores_of_the_whole_release(
    tmp_path: Path,
) -> None:
    run = RunLayout(str(tmp_path / "run"))
    scores = np.random.default_rng(0).normal(size=OBJECTS).astype(np.float32).round(1)
    scores[::7] = np.nan
    for unit, some in enumerate(np.split(scores, UNITS)):
        write_part(run, unit, some)
    info = replace(make_info(), rows_per_partition=100)
    result = assemble(run, "anomaly", UNITS, info, run.catalog("toy", "anomaly"))
    assert verify(result.uri).passed
    files = sorted(Path(result.uri, "toy_anomaly", "dataset").rglob("N*.parquet"))
    rows = pa.concat_tables([pq.read_table(file) for file in files]).to_pylist()
    assert len(rows) == OBJECTS
    for row in rows:
        score = row["anomaly_score"]
        expected = 0 if score is None else 1 + int((scores > np.float32(score)).sum())
        assert row["anomaly_rank"] == expected
