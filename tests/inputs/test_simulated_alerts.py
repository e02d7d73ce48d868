"""Simulated alerts as a format: classes, pixels, facts and light curves, and what it refuses."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from catalogtool.errors import ConfigError
from catalogtool.inputs import open_input_format
from catalogtool.inputs._alerts import HISTORY_SCHEMA
from catalogtool.inputs._base import MANIFEST_SCHEMA, votes_of
from catalogtool.inputs._simulation.alerts import CLASSES, class_of
from catalogtool.inputs._simulation.camera import DIFFERENCE, SCIENCE
from catalogtool.inputs.simulated_alerts import Format
from catalogtool.surveys import load_survey
from catalogtool.surveys._definition import Survey


@pytest.fixture(scope="module")
def source() -> Format:
    return Format(load_survey("mock_alerts"), "simulated_alerts:1100")


@pytest.fixture(scope="module")
def table(source: Format) -> pa.Table:
    return pa.concat_tables(source.list_objects())


def kinds_of(table: pa.Table) -> np.ndarray:
    return np.array([name.split("-")[2] for name in table.column("source_id").to_pylist()])


def rows_of(table: pa.Table, kind: str, count: int) -> pa.Table:
    return table.take(np.flatnonzero(kinds_of(table) == kind)[:count])


def changed(**settings: object) -> Survey:
    survey = load_survey("mock_alerts")
    assert survey.difference_imaging is not None
    imaging = survey.difference_imaging.model_copy(update=settings)
    return survey.model_copy(update={"difference_imaging": imaging})


def with_classes(*classes: str) -> Survey:
    survey = load_survey("mock_alerts")
    labels = survey.labels.model_copy(update={"classes": classes})
    return survey.model_copy(update={"labels": labels})


def test_alerts_are_listed_with_the_numbers_of_their_packets(table: pa.Table) -> None:
    assert table.schema == MANIFEST_SCHEMA
    numbers = table.column("object_id").to_numpy()
    assert len(set(numbers)) == 1100
    nights = np.floor(table.column("observed_mjd").to_numpy()) - 57754
    np.testing.assert_array_equal(numbers // 10**15, nights)


def test_labels_are_those_of_the_kinds_and_evenly_divided(source: Format, table: pa.Table) -> None:
    votes = votes_of(table, source.survey)[:, 0]
    labelled = np.isfinite(votes).all(axis=1)
    expected = [CLASSES.index(class_of(kind, CLASSES)) for kind in kinds_of(table)[labelled]]
    np.testing.assert_array_equal(votes[labelled].argmax(axis=1), expected)
    assert labelled[:1024].mean() == pytest.approx(0.5)
    np.testing.assert_allclose(np.bincount(expected) / len(expected), 1 / 6, atol=0.02)


def test_alerts_without_labels_come_in_the_shares_of_the_survey() -> None:
    shares = {"agn": 1.0, "asteroid": 0.0, "bogus": 6.0, "satellite": 0.01, "sn": 1.0, "vs": 2.0}
    source = Format(changed(labelled_share=0.0, classes=shares), "simulated_alerts:20480")
    kinds = kinds_of(pa.concat_tables(source.list_objects()))
    counts = Counter(class_of(kind, CLASSES) for kind in kinds)
    for name, share in shares.items():
        assert counts[name] / 20480 == pytest.approx(share / 10.01, rel=0.02, abs=0.0005)


def test_without_a_class_of_their_own_satellites_are_bogus() -> None:
    five = with_classes("sn", "vs", "bogus", "agn", "asteroid")
    table = pa.concat_tables(Format(five, "simulated_alerts:512").list_objects())
    satellites = np.isin(kinds_of(table), ("glints", "satellite"))
    assert satellites.any()
    votes = votes_of(table, five)[satellites, 0]
    assert set(votes[np.isfinite(votes).all(axis=1)].argmax(axis=1)) == {2}


def test_an_alert_depends_on_its_index_alone(source: Format, table: pa.Table) -> None:
    rows = table.take([517, 3, 511])
    together = source.read(rows)
    alone = Format(load_survey("mock_alerts"), None)
    for place in range(3):
        one = alone.read(rows.slice(place, 1))
        np.testing.assert_array_equal(one.images[0], together.images[place])
        np.testing.assert_array_equal(one.mask[0], together.mask[place])
        assert one.facts.equals(together.facts.slice(place, 1))
    few = pa.concat_tables(Format(load_survey("mock_alerts"), "simulated_alerts:40").list_objects())
    assert few.equals(table.slice(0, 40))


def test_another_seed_has_other_alerts(table: pa.Table) -> None:
    other = Format(changed(seed=1), "simulated_alerts:40")
    listed = pa.concat_tables(other.list_objects())
    assert listed.column("ra") != table.column("ra").slice(0, 40)
    assert listed.column("identity")[0] != table.column("identity")[0]


def bright_places(image: np.ndarray) -> np.ndarray:
    """Local maxima well above the noise: shape (N, 2), pixels right and up of the centre."""
    noise = 1.4826 * np.median(np.abs(image - np.median(image)))
    padded = np.pad(image, 2, constant_values=-np.inf)
    size = len(image)
    shifted = [padded[i : i + size, j : j + size] for i in range(5) for j in range(5)]
    up, right = np.nonzero((image == np.max(shifted, axis=0)) & (image > 12 * noise))
    return np.stack([right, up], axis=1) - size // 2


def test_glints_are_in_line_with_one_on_the_central_pixel() -> None:
    source = Format(changed(star_density=0.0, snr_limit=40.0), "simulated_alerts:2000")
    rows = rows_of(pa.concat_tables(source.list_objects()), "glints", 24)
    second, in_line = [], []
    for image in source.read(rows).images[:, DIFFERENCE]:
        places = bright_places(image)
        distance = np.hypot(*places.T)
        assert distance.min() <= 1.5
        others = places[distance > 4]
        if len(others):
            second.append(np.hypot(*others.T).min())
            farthest = others[np.hypot(*others.T).argmax()]
            across = (others[:, 0] * farthest[1] - others[:, 1] * farthest[0]) / np.hypot(*farthest)
            in_line.append(np.abs(across).max())
    assert np.count_nonzero((np.array(second) > 7) & (np.array(second) < 31)) > 12
    # Chance galaxies leave residuals that are no glints.
    assert np.mean(np.array(in_line) < 2) > 0.7


def test_satellites_are_absent_from_the_template(source: Format, table: pa.Table) -> None:
    alert = source.alert(int(rows_of(table, "glints", 1).column("row")[0].as_py()))
    centre = np.s_[30:33, 30:33]
    science, template, difference = alert.found.images
    assert difference[centre].mean() > 0.5 * (science[centre] - template[centre]).mean()


def test_what_faded_is_positive_in_the_difference_and_the_facts_tell(
    source: Format, table: pa.Table
) -> None:
    rows = rows_of(table, "variable_star", 20)
    cutouts = source.read(rows)
    is_positive = np.array(cutouts.facts.column("is_positive").to_pylist())
    assert 0 < is_positive.sum() < 20
    assert (cutouts.images[:, DIFFERENCE, 31, 31] > 0).all()
    encoded = cutouts.facts.column("isdiffpos").to_numpy()
    np.testing.assert_array_equal(encoded, np.where(is_positive, 0, 1))
    brighter = cutouts.images[:, SCIENCE, 31, 31] > cutouts.images[:, 1, 31, 31]
    assert np.mean(brighter == is_positive) > 0.8


def test_facts_fit_the_pixels(source: Format, table: pa.Table) -> None:
    rows = table.slice(0, 60)
    facts = source.read(rows).facts
    assert facts.num_rows == 60
    drawn = source.draw(7)
    magnitude = 26.2 - 2.5 * np.log10(abs(drawn.flux_counts))
    assert facts.column("magnitude_ab")[7].as_py() == pytest.approx(magnitude, abs=1e-4)
    error = 2.5 / np.log(10) * drawn.flux_error_counts / abs(drawn.flux_counts)
    assert facts.column("magnitude_error")[7].as_py() == pytest.approx(error, rel=1e-4)
    for name in ("ra", "dec"):
        np.testing.assert_allclose(facts.column(name), rows.column(name), rtol=1e-6)
    detections = facts.column("detections").to_numpy()
    missed = facts.column("non_detections").to_numpy()
    assert (detections >= 1).all()
    np.testing.assert_allclose(facts.column("ncovhist").to_numpy() - detections, missed)


def test_facts_tell_the_classes_apart(source: Format, table: pa.Table) -> None:
    kinds = ("variable_star", "moving", "transient", "dipole")
    facts = {kind: source.read(rows_of(table, kind, 20)).facts for kind in kinds}

    def median(kind: str, name: str) -> float:
        return float(np.nanmedian(np.array(facts[kind].column(name).to_pylist(), dtype=float)))

    assert median("variable_star", "sgscore1") > 0.9
    assert median("transient", "sgscore1") < 0.3
    assert median("variable_star", "distpsnr1") < 0.7
    assert median("moving", "distpsnr1") > 4
    assert median("moving", "detections") == 1
    assert median("variable_star", "detections") > 50
    assert median("variable_star", "survey_score") > 0.9
    assert median("dipole", "survey_score") < 0.3
    assert abs(median("moving", "ecl_lat")) < 8


def test_light_curves_rise_vary_or_are_empty(source: Format, table: pa.Table) -> None:
    for kind, least, most in (("moving", 0, 0), ("transient", 1, 60), ("nuclear", 1, 60)):
        rows = rows_of(table, kind, 6)
        history = source.read_history(rows)
        assert history.schema == HISTORY_SCHEMA
        earlier = 0
        for number, mjd in zip(
            rows.column("object_id").to_pylist(),
            rows.column("observed_mjd").to_pylist(),
            strict=True,
        ):
            one = history.filter(pa.compute.equal(history.column("object_id"), number))
            times = one.column("mjd").to_numpy()
            assert (np.diff(times) > 0).all()
            assert times[-1] == pytest.approx(mjd, abs=1e-6)
            assert one.column("magnitude_ab")[-1].as_py() is not None
            earlier += len(one) - one.column("magnitude_ab").null_count - 1
        assert least <= earlier / 6 <= most


def test_only_its_own_word_is_recognised() -> None:
    assert Format.recognises("simulated_alerts")
    assert Format.recognises("simulated_alerts:25")
    for uri in ("simulated_alerts:0", "simulated_differences", "/data/simulated_alerts"):
        assert not Format.recognises(uri)
    assert isinstance(open_input_format(load_survey("mock_alerts"), "simulated_alerts:7"), Format)


def test_surveys_that_cannot_be_simulated_are_refused_with_the_remedy() -> None:
    for broken, sentence in (
        (load_survey("mock_ztf"), "simulated alerts are agn, asteroid"),
        (with_classes("bogus", "sn"), "or the same without satellite"),
        (changed(first_night=None), "has no first_night"),
        (changed(shares={"dipole": 1.0}), "draws no candidates of the class agn; .* nuclear"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            Format(broken, None)


def test_a_simulation_that_is_asked_for_by_its_word_is_no_path() -> None:
    opened = open_input_format(load_survey("mock_alerts"), "simulated_alerts:7")

    assert opened.uri == "simulated_alerts:7"
