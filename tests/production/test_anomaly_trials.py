"""Comparisons of anomaly methods: their tables, trials and page."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from catalogtool.config.anomaly import AnomalyCompareConfig
from catalogtool.errors import DataError, LabelError, UnknownNameError
from catalogtool.production.anomaly_trials import plan_anomaly_trials, read_objects
from catalogtool.quality.anomaly_page import Line, best_method, render_anomalies, write_lines


def write(path: Path, columns: dict[str, object]) -> str:
    pyarrow.csv.write_csv(pa.table(columns), path)
    return str(path)


def features(count: int = 60) -> dict[str, object]:
    rng = np.random.default_rng(0)
    return {
        "name": [f"o{i}" for i in range(count)],
        "a": rng.normal(size=count),
        "b": [None if i % 7 == 0 else float(i) for i in range(count)],
        "object_id": list(range(count)),
    }


def config(uri: str, **changes: object) -> AnomalyCompareConfig:
    return AnomalyCompareConfig.model_validate({"input": uri, "output": "out", **changes})


def test_classes_come_from_a_second_table_and_gaps_are_filled(tmp_path: Path) -> None:
    table = write(tmp_path / "features.csv", features())
    classes = ["sn", "agn", "few"]
    names = [f"o{i}" for i in range(50)]
    labels = {"name": names, "class": [classes[i % 2] if i < 45 else "few" for i in range(50)]}
    objects = read_objects(config(table, labels=write(tmp_path / "labels.csv", labels)))
    assert objects.labelled.classes == ("agn", "sn")
    assert objects.labelled.features.shape == (45, 2)
    assert np.isfinite(objects.labelled.features).all()


def test_a_seed_draws_the_test_and_every_class_gives_its_share(tmp_path: Path) -> None:
    columns = features() | {"class": ["sn", "agn"] * 30}
    objects = read_objects(config(write(tmp_path / "f.csv", columns)))
    first, again, other = (objects.of_seed(seed, 0.3).is_test for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
    assert np.bincount(objects.labelled.class_index[first]).tolist() == [9, 9]


def test_trials_are_every_method_class_and_seed(tmp_path: Path) -> None:
    columns = features() | {"class": ["sn", "agn"] * 30}
    asked = config(write(tmp_path / "f.csv", columns), methods=("mahalanobis",), seeds=3)
    trials = plan_anomaly_trials(asked, read_objects(asked))
    assert len(trials) == len({trial.identity for trial in trials}) == 6
    with pytest.raises(UnknownNameError, match="mahalanobis"):
        plan_anomaly_trials(
            asked.model_copy(update={"methods": ("mahalanobi",)}), read_objects(asked)
        )


def test_tables_that_cannot_be_compared_say_why(tmp_path: Path) -> None:
    bare = write(tmp_path / "bare.csv", features())
    with pytest.raises(LabelError, match="no column of classes"):
        read_objects(config(bare))
    one = write(tmp_path / "one.csv", features() | {"class": ["sn"] * 60})
    with pytest.raises(DataError, match="found: sn 60"):
        read_objects(config(one))
    texts = write(tmp_path / "texts.csv", {"name": ["a"], "class": ["sn"]})
    with pytest.raises(DataError, match="no columns of numbers"):
        read_objects(config(texts))
    strangers = write(tmp_path / "strangers.csv", {"id": ["a"], "class": ["sn"]})
    with pytest.raises(LabelError, match="shares no column"):
        read_objects(config(bare, labels=strangers))


def lines() -> list[Line]:
    precise = ({10: 0.5, 50: 0.3},) * 2
    return [
        Line("good", "sn", (0.9, 0.92), precise, 0.1, 1.0),
        Line("good", "agn", (0.8, 0.8), precise, 0.2, 1.0),
        Line("bad", "sn", (0.5, 0.5), precise, 0.1, 2.0),
        Line("bad", "agn", (0.95, 0.95), precise, 0.2, 2.0),
    ]


def test_the_page_names_the_method_with_the_best_mean_and_its_worst_class() -> None:
    name, mean, worst = best_method(lines())
    assert (name, round(mean, 3), worst) == ("good", 0.855, 0.8)
    page = render_anomalies("Methods", lines(), ["one failed"])
    assert "Take good" in page
    assert "0.910 ± 0.014" in page
    assert "one failed" in page


def test_the_table_has_a_line_per_trial() -> None:
    text = write_lines(lines()).splitlines()
    assert len(text) == 1 + 8
    assert text[1] == "good,sn,0,0.900000,0.500000,0.300000"
