"""What trials say of methods: means, paired differences, advice, page and table."""

import csv
import io
import itertools

import numpy as np
import pytest

from catalogtool.quality.comparison import (
    TrialFigures,
    advise,
    figures_of,
    paired_difference,
    rows_of,
    spread_text,
)
from catalogtool.quality.comparison_page import render_comparison, write_table


def trial(method: str, seed: int, value: float, **changes: object) -> TrialFigures:
    values: dict[str, object] = {
        "source": "old",
        "target": "new",
        "method": method,
        "shots": 5,
        "seed": seed,
        "classes": ("a", "b"),
        "identity": f"{method}{seed}",
        "model_id": "m",
        "accuracy": {"blind": value},
        "source_accuracy": {"blind": 0.9},
        "rmse": {"blind": 0.1},
        "test_count": 100,
        "seconds": 10.0 + seed,
    }
    return TrialFigures.model_validate(values | changes)


def trials(method: str, *accuracies: float, **changes: object) -> list[TrialFigures]:
    return [trial(method, seed, value, **changes) for seed, value in enumerate(accuracies)]


def test_a_row_has_the_figures_of_all_seeds_in_order() -> None:
    some = trials("mme", 0.9, 0.8, 0.94)
    (row,) = rows_of(reversed(some), "blind")
    assert row.accuracy.tolist() == [0.9, 0.8, 0.94]
    assert (row.method, row.shots, row.worst, row.seconds) == ("mme", 5, 0.8, 11.0)
    assert row.mean == pytest.approx(0.88)
    assert rows_of(some, "labels") == ()


def test_what_had_nothing_to_choose_by_is_a_yardstick_of_every_choice() -> None:
    chosen = trial("mme", 0, 0.5, accuracy={"blind": 0.5, "labels": 0.8})
    rows = rows_of([chosen, trial("source_only", 0, 0.7)], "labels")
    assert [(row.method, row.mean) for row in rows] == [("mme", 0.8), ("source_only", 0.7)]


def test_a_difference_is_paired_by_seed_and_pair_of_surveys() -> None:
    one, other = [0.9, 0.8, 0.97], [0.85, 0.79, 0.9]
    rows = rows_of(trials("mme", *one) + trials("dann", *other, 0.1), "blind")
    dann, mme = rows
    gaps = np.subtract(one, other)
    mean, error = paired_difference(mme, dann)
    assert mean == pytest.approx(gaps.mean())
    assert error == pytest.approx(np.sqrt(((gaps - gaps.mean()) ** 2).sum() / 2 / 3))
    elsewhere = rows_of(trials("avda", 0.5, target="other"), "blind")[0]
    assert np.isnan(paired_difference(mme, elsewhere)[0])


def test_a_method_that_is_clearly_best_is_recommended_with_its_gain() -> None:
    some = trials("mme", 0.95, 0.94, 0.96) + trials("source_only", 0.85, 0.84, 0.87)
    (advice,) = advise(rows_of(some, "blind"))
    assert (advice.shots, advice.method) == (5, "mme")
    assert "Against source_only: +9.7 ± 0.3." in advice.reason
    assert "95.0 ± 1.0 on the target, worst draw 94.0." in advice.reason
    assert "The source loses nothing." in advice.reason


def test_without_a_clear_gain_no_adaptation_is_recommended() -> None:
    some = trials("mme", 0.95, 0.90, 0.96) + trials("source_only", 0.93, 0.93, 0.93)
    (advice,) = advise(rows_of(some, "blind"))
    assert advice.method == "source_only"
    assert "mme is better by 0.7 ± 1.9, no more than a standard error" in advice.reason


def test_of_equally_good_methods_the_best_worst_draw_wins() -> None:
    some = trials("mme", 0.99, 0.90, 0.96) + trials("dann", 0.95, 0.94, 0.94)
    some += trials("source_only", 0.5, 0.5, 0.5)
    (advice,) = advise(rows_of(some, "blind"))
    assert advice.method == "dann"
    assert "dann has the best worst draw" in advice.reason


def test_every_number_of_labels_gets_its_own_advice() -> None:
    some = trials("mme", 0.8, 0.8, shots=0) + trials("dann", 0.9, 0.9, shots=0)
    some += trials("mme", 0.9, 0.9, shots=50) + trials("dann", 0.7, 0.7, shots=50)
    advice = advise(rows_of(some, "blind"))
    assert [(one.shots, one.method) for one in advice] == [(0, "dann"), (50, "mme")]


def test_one_trial_alone_has_no_spread() -> None:
    (advice,) = advise(rows_of(trials("mme", 0.5), "blind"))
    assert "One trial alone" in advice.reason
    assert spread_text(np.array([0.5])) == "50.0"
    assert spread_text(np.array([0.4, 0.6])) == "50.0 ± 14.1"


def test_figures_are_taken_from_what_was_measured() -> None:
    def some(accuracy: float) -> dict[str, float | int]:
        return {"balanced_accuracy": accuracy, "rmse": 0.2, "count": 7}

    measured = {
        "model_id": "net-1",
        "seconds": 3.0,
        "shares": [[0.5, 0.5], [0.9, 0.1]],
        "blind": {"target": some(0.8), "source": None},
        "labels": {"target": some(0.9), "source": some(0.7)},
    }
    names = ("source", "target", "method", "shots", "seed", "classes", "identity")
    record = trial("mme", 0, 0.0).to_json()
    found = figures_of({name: record[name] for name in names}, measured)
    assert found.accuracy == {"blind": 0.8, "labels": 0.9}
    assert found.source_accuracy == {"labels": 0.7}
    assert (found.test_count, found.seconds, found.shares[-1]) == (7, 3.0, (0.9, 0.1))


def test_the_page_has_advice_tables_and_figures_of_every_pair_and_of_all() -> None:
    some: list[TrialFigures] = []
    for target, shots in itertools.product(("new", "newer"), (0, 5)):
        choices = {"accuracy": {"blind": 0.8, "labels": 0.9}, "rmse": {"blind": 0.1, "labels": 0.1}}
        some += trials("mme", 0.8, 0.8, target=target, shots=shots, shares=((0.2, 0.8),), **choices)
        some += trials("source_only", 0.7, 0.75, target=target, shots=shots)
    text = render_comparison("<Methods>", some, ["Failed: <one>"])
    assert "&lt;Methods&gt;" in text
    assert "Failed: &lt;one&gt;" in text
    for heading in ("All 2 pairs of surveys", "old to new", "old to newer"):
        assert f"<h2>{heading}</h2>" in text
    assert text.count("<svg") == 3 * 2 * 2
    assert "80.0 ± 0.0" in text
    assert "a 20.0, b 80.0" in text
    assert "chosen by target validation labels" in text


def test_the_table_has_a_line_per_trial_and_choice_of_weights() -> None:
    some = [trial("mme", 3, 0.8, accuracy={"blind": 0.8, "labels": 0.9}, source_accuracy={})]
    some[0] = some[0].model_copy(update={"rmse": {"blind": 0.1, "labels": 0.2}})
    lines = list(csv.DictReader(io.StringIO(write_table(some))))
    assert [line["weights"] for line in lines] == ["blind", "labels"]
    assert [float(line["accuracy"]) for line in lines] == [0.8, 0.9]
    assert lines[0]["source_accuracy"] == ""
    assert lines[0]["seed"] == "3"
