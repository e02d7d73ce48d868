"""Simulated difference images as a format: listing, reading, and what it refuses."""

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest

from catalogtool.errors import ConfigError
from catalogtool.flags import Flag
from catalogtool.inputs import open_input_format
from catalogtool.inputs._base import MANIFEST_SCHEMA, votes_of
from catalogtool.inputs._simulation.candidates import REAL_KINDS
from catalogtool.inputs.simulated_differences import Format
from catalogtool.surveys import load_survey
from catalogtool.surveys._definition import Survey

SURVEYS = ("mock_hits", "mock_des", "mock_atlas", "mock_ztf")


def listed(source: Format) -> pa.Table:
    return pa.concat_tables(source.list_objects())


def kinds_of(table: pa.Table) -> list[str]:
    return [name.split("-")[2] for name in table.column("source_id").to_pylist()]


def changed(name: str, **changes: object) -> Survey:
    return load_survey(name).model_copy(update=changes)


@pytest.mark.parametrize("name", SURVEYS)
def test_every_mock_survey_lists_and_draws_its_candidates(name: str) -> None:
    survey = load_survey(name)
    source = Format(survey, "simulated_differences:30")
    table = listed(source)
    assert table.schema == MANIFEST_SCHEMA
    cutouts = source.read(table)
    assert cutouts.images.shape == (30, 3, 21, 21)
    assert cutouts.images.dtype == np.float32
    assert np.isfinite(cutouts.images).all()
    assert (cutouts.images.std(axis=(2, 3)) > 0).all()
    assert table.column("observed_mjd").null_count == 0
    masked = cutouts.mask.any(axis=(2, 3))
    np.testing.assert_array_equal(cutouts.flags, np.where(masked, Flag.PARTLY_MASKED, 0))


def test_labels_agree_with_the_kinds_and_half_of_them_are_real() -> None:
    survey = load_survey("mock_ztf")
    table = listed(Format(survey, "simulated_differences:2048"))
    votes = votes_of(table, survey)[:, 0]
    labelled = np.isfinite(votes).all(axis=1)
    real = np.isin(kinds_of(table), REAL_KINDS)
    np.testing.assert_array_equal(votes[labelled, 1] == 1, real[labelled])
    np.testing.assert_allclose(votes[labelled].sum(axis=1), 1)
    assert labelled.mean() == pytest.approx(0.5)
    assert real[labelled].mean() == pytest.approx(0.5)
    assert real[~labelled].mean() == pytest.approx(0.05, abs=0.003)


def test_labels_follow_the_order_of_the_survey_s_classes() -> None:
    survey = load_survey("mock_ztf")
    turned = survey.labels.model_copy(update={"classes": ("real", "bogus")})
    votes, others = (
        votes_of(listed(Format(s, "simulated_differences:20")), s)[:, 0]
        for s in (survey, changed("mock_ztf", labels=turned))
    )
    np.testing.assert_array_equal(votes, others[:, ::-1])


def test_a_candidate_looks_the_same_alone_in_company_and_in_another_thread() -> None:
    survey = load_survey("mock_hits")
    table = listed(Format(survey, "simulated_differences:520"))
    rows = [517, 3, 511, 4]
    together = Format(survey, None).read(table.take(rows)).images
    shared = Format(survey, None)
    with ThreadPoolExecutor(3) as pool:
        apart = list(pool.map(lambda row: shared.read(table.slice(row, 1)).images[0], rows))
    np.testing.assert_array_equal(together, np.stack(apart))


def test_a_candidate_looks_the_same_in_another_process() -> None:
    program = (
        "import hashlib, pyarrow as pa\n"
        "from catalogtool.inputs.simulated_differences import Format\n"
        "from catalogtool.surveys import load_survey\n"
        "source = Format(load_survey('mock_des'), 'simulated_differences:6')\n"
        "table = pa.concat_tables(source.list_objects())\n"
        "print(hashlib.sha256(source.read(table).images.tobytes()).hexdigest())\n"
    )
    there = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    source = Format(load_survey("mock_des"), "simulated_differences:6")
    here = hashlib.sha256(source.read(listed(source)).images.tobytes()).hexdigest()
    assert there.stdout.strip() == here


def test_fewer_candidates_are_the_first_of_more() -> None:
    survey = load_survey("mock_atlas")
    few, many = (listed(Format(survey, f"simulated_differences:{n}")) for n in (10, 600))
    assert many.slice(0, 10).equals(few)
    assert listed(Format(survey, None)).num_rows == 4000


def test_another_seed_has_other_pixels_and_another_identity() -> None:
    survey = load_survey("mock_ztf")
    assert survey.difference_imaging is not None
    other = survey.difference_imaging.model_copy(update={"seed": 99})
    tables, images = [], []
    for one in (survey, changed("mock_ztf", difference_imaging=other)):
        source = Format(one, "simulated_differences:2")
        tables.append(listed(source))
        images.append(source.read(tables[-1]).images)
    assert not np.array_equal(*images)
    assert len({table.column("identity")[0].as_py() for table in tables}) == 2


def test_what_a_pipeline_would_measure_comes_with_a_candidate() -> None:
    survey = load_survey("mock_des")
    source = Format(survey, None)
    found = source.draw(7)
    np.testing.assert_array_equal(found.images, source.read(listed(source).slice(7, 1)).images[0])
    assert found.snr == pytest.approx(found.flux_counts / found.flux_error_counts)
    assert abs(found.snr) > 3


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("simulated_differences", True),
        ("simulated_differences:25", True),
        ("simulated_differences:0", False),
        ("simulated", False),
        ("/data/simulated_differences", False),
    ],
)
def test_only_its_own_word_is_recognised(uri: str, expected: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert Format.recognises(uri) is expected


def test_the_survey_default_and_the_word_open_the_simulation() -> None:
    survey = load_survey("mock_ztf")
    assert isinstance(open_input_format(survey, None), Format)
    assert isinstance(open_input_format(survey, "simulated_differences:7"), Format)


def test_surveys_that_cannot_be_simulated_are_refused_with_the_remedy() -> None:
    survey = load_survey("mock_ztf")
    classes = survey.labels.model_copy(update={"classes": ("bogus", "asteroid")})
    for broken, sentence in (
        (load_survey("sdss"), r"sdss: has no \[difference_imaging\] section; add it"),
        (changed("mock_ztf", bands=survey.bands[:2]), "need science, template, difference"),
        (changed("mock_ztf", labels=classes), "bogus, asteroid; simulated candidates are bogus or"),
        (changed("mock_ztf", cutout_size_pix=20), "their number must be odd"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            Format(broken, None)


def test_labels_of_others_do_not_fit_simulated_candidates() -> None:
    with pytest.raises(ConfigError, match="bring their labels"):
        Format(load_survey("mock_ztf"), None, "labels.csv")


def test_another_uri_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected simulated_differences or"):
        Format(load_survey("mock_ztf"), "simulated_differences:x")
