"""The simulated input as a format: listing, reading, and what it refuses."""

import hashlib
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from catalogtool.errors import ConfigError
from catalogtool.inputs import load_format, open_input_format
from catalogtool.inputs._base import MANIFEST_SCHEMA, votes_of
from catalogtool.inputs._simulation.render import resize
from catalogtool.inputs.simulated import Format
from catalogtool.surveys import load_survey, survey_names
from catalogtool.surveys._definition import Survey

SIMULATED = [name for name in survey_names() if load_survey(name).simulation is not None]


def listed(source: Format) -> pa.Table:
    return pa.concat_tables(source.list_objects())


def with_labels(survey: Survey, **labels: object) -> Survey:
    return survey.model_copy(update={"labels": survey.labels.model_copy(update=labels)})


@pytest.mark.parametrize("name", SIMULATED)
def test_every_survey_with_a_simulation_lists_and_draws_its_objects(name: str) -> None:
    survey = load_survey(name)
    source = Format(survey, "simulated:3")
    table = listed(source)
    assert table.schema == MANIFEST_SCHEMA
    assert table.column("source_id").to_pylist()[2] == f"sim-{name}-000002"
    cutouts = source.read(table)
    size = survey.cutout_size_pix
    assert cutouts.images.shape == (3, len(survey.bands), size, size)
    assert cutouts.images.dtype == np.float32
    assert np.isfinite(cutouts.images).all()
    assert not cutouts.mask.any()
    assert (cutouts.images.std(axis=(2, 3)) > 0).all()
    votes = votes_of(table, survey)
    labelled = np.isfinite(votes).all(axis=-1)
    np.testing.assert_allclose(votes[labelled].sum(axis=-1), 1, atol=1e-6)


def test_an_object_looks_the_same_alone_and_in_any_company() -> None:
    survey = load_survey("clash")
    table = listed(Format(survey, "simulated:520"))
    together = Format(survey, None).read(table.take([517, 3, 511, 4]))
    for position, row in enumerate((517, 3, 511, 4)):
        alone = Format(survey, None).read(table.slice(row, 1))
        np.testing.assert_array_equal(alone.images[0], together.images[position])


def test_an_object_looks_the_same_in_another_process() -> None:
    program = (
        "import hashlib, pyarrow as pa\n"
        "from catalogtool.inputs.simulated import Format\n"
        "from catalogtool.surveys import load_survey\n"
        "source = Format(load_survey('candels'), 'simulated:4')\n"
        "table = pa.concat_tables(source.list_objects())\n"
        "print(hashlib.sha256(source.read(table).images.tobytes()).hexdigest())\n"
    )
    there = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    source = Format(load_survey("candels"), "simulated:4")
    here = hashlib.sha256(source.read(listed(source)).images.tobytes()).hexdigest()
    assert there.stdout.strip() == here


def test_fewer_objects_are_the_first_of_more_objects() -> None:
    survey = load_survey("candels")
    few, many = (listed(Format(survey, f"simulated:{n}")) for n in (10, 600))
    assert many.slice(0, 10).equals(few)


def test_positions_lie_within_the_field() -> None:
    survey = load_survey("candels")
    simulation = survey.simulation
    assert simulation is not None
    table = listed(Format(survey, None))
    ra, dec = (np.radians(table.column(name).to_numpy()) for name in ("ra", "dec"))
    ra0, dec0 = simulation.ra.to_value("rad"), simulation.dec.to_value("rad")
    cosine = np.sin(dec) * np.sin(dec0) + np.cos(dec) * np.cos(dec0) * np.cos(ra - ra0)
    separation = np.arccos(np.clip(cosine, -1, 1))
    radius = simulation.radius.to_value("rad")
    assert separation.max() <= radius * (1 + 1e-6)
    assert (separation < radius / 2).mean() == pytest.approx(0.25, abs=0.05)


def test_corners_of_faint_cutouts_hold_the_noise_of_the_sky() -> None:
    survey = load_survey("candels")
    source = Format(survey, "simulated:400")
    galaxies = source._block(0)[0]
    sides = np.array([source._camera.native_side(r) for r in galaxies.radius_arcsec[:400]])
    faint = np.flatnonzero((np.abs(sides - 80) < 12) & (galaxies.mag_ab[:400] > 22.5))
    assert len(faint) > 3
    images = source.read(listed(source).take(faint)).images[:, 0]
    edge = np.concatenate([images[:, :8], images[:, -8:]], axis=1)
    weights = [_noise_kept(int(side), 80) for side in sides[faint]]
    measured = edge.std(axis=(1, 2)) / np.array(weights)
    assert np.median(measured) == pytest.approx(float(source._sigma[0]), rel=0.1)


def _noise_kept(side: int, size: int) -> float:
    """Standard deviation of unit noise after resizing."""
    noise = np.random.default_rng(5).standard_normal((8, side, side), dtype=np.float32)
    return float(resize(noise, size).std())


def test_display_images_of_class_surveys_are_whole_numbers_up_to_255() -> None:
    source = Format(load_survey("sdss"), "simulated:5")
    images = source.read(listed(source)).images
    assert images.min() >= 0
    assert images.max() <= 255
    np.testing.assert_array_equal(images, np.rint(images))


def test_another_seed_or_depth_has_another_identity() -> None:
    survey = load_survey("candels")
    assert survey.simulation is not None
    other = survey.simulation.model_copy(update={"seed": 99})
    changed = survey.model_copy(update={"simulation": other})
    identities = {
        listed(Format(s, "simulated:1")).column("identity")[0].as_py() for s in (survey, changed)
    }
    assert len(identities) == 2
    assert all(identity.startswith("simulated:") for identity in identities)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("simulated", True),
        ("simulated:25", True),
        ("simulated:0", False),
        ("simulated:x", False),
        ("/data/simulated", False),
        ("s3://bucket/simulated/", False),
    ],
)
def test_only_its_own_word_is_recognised(uri: str, expected: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert Format.recognises(uri) is expected


def test_the_survey_default_and_the_word_open_the_simulation() -> None:
    survey = load_survey("clash")
    assert open_input_format(survey, None).simulated
    assert open_input_format(survey, "simulated:7").simulated
    assert load_format("simulated") is Format


def test_classes_that_cannot_be_simulated_are_refused_with_those_that_can() -> None:
    survey = with_labels(load_survey("sdss"), classes=("elliptical", "lens"))
    with pytest.raises(ConfigError, match=r"cannot simulate the classes elliptical, lens.*spiral"):
        Format(survey, None)
    votes = with_labels(load_survey("clash"), classes=("smooth", "clumpy"))
    with pytest.raises(ConfigError, match=r"votes need exactly spheroid, disk"):
        Format(votes, None)


def test_a_survey_without_simulation_is_told_to_name_its_input() -> None:
    survey = load_survey("clash").model_copy(update={"simulation": None})
    with pytest.raises(ConfigError, match=r"--input"):
        Format(survey, None)


def test_labels_of_others_do_not_fit_simulated_objects() -> None:
    with pytest.raises(ConfigError, match="bring their labels"):
        Format(load_survey("clash"), None, "labels.csv")


def test_listing_does_not_load_galsim() -> None:
    program = (
        "import sys\n"
        "from catalogtool.inputs.simulated import Format\n"
        "from catalogtool.surveys import load_survey\n"
        "list(Format(load_survey('candels'), 'simulated:5').list_objects())\n"
        "assert 'galsim' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
