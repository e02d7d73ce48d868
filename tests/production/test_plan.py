"""Bad settings and bad input are refused before any work, in words that help."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_survey import write_cutout, write_survey

from catalogtool.config.run import RunConfig
from catalogtool.errors import (
    CatalogtoolError,
    ConfigError,
    FlaggedShareError,
    LabelError,
    ManifestError,
    StorageError,
)
from catalogtool.production.plan import make_plan
from catalogtool.training.labelled import label_domains, training_domains


def changed(config: RunConfig, **changes: object) -> RunConfig:
    return config.model_copy(update=changes)


def test_a_survey_learns_from_itself_where_it_has_labels(simulated_config: RunConfig) -> None:
    plan = make_plan(simulated_config)
    (spec,) = plan.trainings
    assert plan.simulated
    assert spec.source is not None
    assert spec.source.manifest_identity == plan.target.manifest.identity


def test_real_cutouts_without_labels_learn_from_the_simulated_survey(
    real_config: RunConfig, surveys: tuple[Path, Path]
) -> None:
    plan = make_plan(changed(real_config, survey=str(surveys[0])))
    assert not plan.simulated
    assert plan.target.manifest.objects == 10
    assert plan.trainings[0].simulated


def test_real_cutouts_with_labels_learn_from_those(
    real_config: RunConfig, surveys: tuple[Path, Path], tmp_path: Path
) -> None:
    votes = str(tmp_path / "votes.csv")
    plan = make_plan(changed(real_config, survey=str(surveys[0]), labels=votes))
    assert not plan.trainings[0].simulated


def test_models_do_not_depend_on_the_target_unless_they_learn_from_it(
    real_config: RunConfig, simulated_config: RunConfig
) -> None:
    source, real = make_plan(simulated_config), make_plan(real_config)
    assert real.trainings == source.trainings
    assert [spec.identity for spec in real.trainings] == [source.trainings[0].identity]


def test_a_method_that_needs_labels_says_which_option_gives_them(real_config: RunConfig) -> None:
    sentence = r"no object has a label, .* with --labels, or choose --method source_only"
    with pytest.raises(LabelError, match=sentence) as caught:
        make_plan(changed(real_config, method="fine_tune"))
    assert caught.value.exit_code == 3


def test_more_labels_than_there_are_means_all_of_them(
    real_config: RunConfig, tmp_path: Path
) -> None:
    votes = str(tmp_path / "votes.csv")
    config = changed(real_config, method="fine_tune", labels=votes, label_count=1000)
    *_, spec = make_plan(config).trainings
    split = label_domains(spec)["target_labelled"].split
    assert split.train.sum() + split.validation.sum() + split.test.sum() == 10
    assert split.test.sum() == 4  # the test share stays apart


def test_fewer_labels_of_a_class_than_shots_are_refused(
    real_config: RunConfig, tmp_path: Path
) -> None:
    votes = str(tmp_path / "votes.csv")
    with pytest.raises(LabelError, match=r"5 labels per class were asked for, .* of spheroid \("):
        make_plan(changed(real_config, method="fine_tune", labels=votes, shots=5))


@pytest.mark.parametrize("limit", ["shots", "label_count"])
def test_no_labels_mean_no_adaptation_by_a_method_that_needs_them(
    real_config: RunConfig, limit: str
) -> None:
    plan = make_plan(changed(real_config, method="fine_tune", **{limit: 0}))
    assert [spec.method for spec in plan.trainings] == ["source_only"]


@pytest.mark.parametrize("limit", ["shots", "label_count"])
def test_a_method_whose_labels_are_optional_adapts_without_them(
    real_config: RunConfig, tmp_path: Path, limit: str
) -> None:
    votes = str(tmp_path / "votes.csv")
    plan = make_plan(changed(real_config, method="mme", labels=votes, **{limit: 0}))
    assert [spec.method for spec in plan.trainings] == ["source_only", "mme"]
    assert training_domains(plan.trainings[-1]) == ("source", "target_unlabelled")


def test_a_target_without_labels_is_adapted_to_by_its_pixels(real_config: RunConfig) -> None:
    *_, spec = make_plan(changed(real_config, method="mme")).trainings
    assert training_domains(spec) == ("source", "target_unlabelled")
    assert not spec.uses_target_labels


def test_a_target_with_labels_lends_them_to_the_method(
    real_config: RunConfig, tmp_path: Path
) -> None:
    votes = str(tmp_path / "votes.csv")
    *_, spec = make_plan(changed(real_config, method="mme", labels=votes)).trainings
    assert training_domains(spec) == ("source", "target_labelled", "target_unlabelled")


@pytest.fixture
def calibrated_config(
    real_config: RunConfig, surveys: tuple[Path, Path], tmp_path: Path
) -> RunConfig:
    """A training by the source alone, whose probabilities are to be made honest."""
    file, asked = surveys[1], 'batch_size = 16, calibration = "temperature" }'
    file.write_text(file.read_text().replace("batch_size = 16 }", asked))
    return changed(real_config, labels=str(tmp_path / "votes.csv"), label_count=6)


def test_labels_of_the_target_calibrate_what_the_source_alone_taught(
    calibrated_config: RunConfig,
) -> None:
    (spec,) = make_plan(calibrated_config).trainings
    assert spec.source is not None
    assert spec.target is not None
    assert spec.source.survey.name != spec.target.survey.name
    assert spec.label_count == 6
    assert list(label_domains(spec)) == ["source"]


@pytest.mark.parametrize("changes", [{"label_count": 0}, {"survey": "itself"}])
def test_labels_that_may_not_be_used_or_may_have_taught_calibrate_nothing(
    calibrated_config: RunConfig, surveys: tuple[Path, Path], changes: dict[str, object]
) -> None:
    if "survey" in changes:
        text = surveys[1].read_text()
        surveys[1].write_text(text.replace(str(surveys[0]), str(surveys[1])))
        changes = {}
    (spec,) = make_plan(changed(calibrated_config, **changes)).trainings
    assert spec.target is None


def test_a_training_that_others_start_from_is_not_calibrated(
    calibrated_config: RunConfig,
) -> None:
    start, _ = make_plan(changed(calibrated_config, method="mme")).trainings
    assert start.target is None


def test_fewer_labels_to_calibrate_by_than_shots_are_refused(calibrated_config: RunConfig) -> None:
    with pytest.raises(LabelError, match=r"5 labels per class were asked for, .* of spheroid \("):
        make_plan(changed(calibrated_config, label_count=None, shots=5))


def test_options_of_a_method_are_checked_and_left_behind_by_another_method(
    real_config: RunConfig, surveys: tuple[Path, Path]
) -> None:
    file = surveys[1]
    recipe = 'method = "mme"\nmethod_options = { trade_of = 1 }'
    file.write_text(file.read_text().replace('method = "source_only"', recipe))
    with pytest.raises(ConfigError, match="method mme: trade_of: is not a known key"):
        make_plan(real_config)
    (spec,) = make_plan(changed(real_config, method="source_only")).trainings
    assert spec.method_options == {}


def test_surveys_of_other_pixels_are_refused_before_training(
    real_config: RunConfig, surveys: tuple[Path, Path], tmp_path: Path
) -> None:
    coarse = write_survey(tmp_path, "coarse", str(surveys[0]), pixel_scale="0.1 arcsec")
    with pytest.raises(ConfigError, match="pixel scales differ by more than 25%"):
        make_plan(changed(real_config, survey=str(coarse)))


def test_objects_without_positions_are_refused_with_the_remedy(real_config: RunConfig) -> None:
    sentence = "10 of 10 objects have no position.* object_id, ra and dec in degrees, or .* WCS"
    for allowed in (0.05, 1.0):
        with pytest.raises(FlaggedShareError, match=sentence) as caught:
            make_plan(changed(real_config, labels=None, max_flagged_share=allowed))
        assert caught.value.exit_code == 3


def test_a_few_objects_without_positions_are_no_reason_to_refuse(
    real_config: RunConfig, tmp_path: Path
) -> None:
    lines = (tmp_path / "positions.csv").read_text().splitlines()
    (tmp_path / "positions.csv").write_text("\n".join(lines[:-1]) + "\n")
    assert make_plan(changed(real_config, max_flagged_share=0.1)).target.manifest.objects == 10
    with pytest.raises(FlaggedShareError, match="1 of 10 objects have no position"):
        make_plan(changed(real_config, max_flagged_share=0.05))


def test_two_cutouts_of_one_object_are_refused(real_config: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "cutouts/more").mkdir()
    copy = tmp_path / "cutouts/more/gal00003.fits"
    copy.write_bytes((tmp_path / "cutouts/gal00003.fits").read_bytes())
    with pytest.raises(ManifestError, match=r"1 files repeat a band .*more/gal00003\.fits"):
        make_plan(real_config)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("elsewhere_f814w,1,2,1,0,0,0,0", "1 of 11 labelled objects are not in the input"),
        ("gal00001_f160w,1,2,1.5,0,0,0,0", r"1 rows have vote fractions outside \[0, 1\]"),
        ("gal00001_f160w,1,2,0.5,0.1,0,0,0", "1 rows have vote fractions that do not sum to 1"),
        ("gal00001_f814w,1,2,1,0,0,0,0", "1 names occur more than once"),
        ("gal00001,1,2,1,0,0,0,0", "1 labels name no band of real: gal00001"),
    ],
)
def test_a_wrong_label_is_refused(
    real_config: RunConfig, tmp_path: Path, row: str, sentence: str
) -> None:
    votes = tmp_path / "votes.csv"
    votes.write_text(votes.read_text() + row + "\n")
    with pytest.raises(LabelError, match=sentence) as caught:
        make_plan(changed(real_config, labels=str(votes)))
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("option", ["input", "labels", "output"])
def test_a_wrong_scheme_is_refused(real_config: RunConfig, option: str) -> None:
    with pytest.raises(StorageError, match="the scheme gs:// is not supported; use a path"):
        make_plan(changed(real_config, **{option: "gs://bucket/folder"}))


@pytest.mark.parametrize("option", ["input", "labels"])
def test_input_that_is_not_there_is_named(real_config: RunConfig, option: str) -> None:
    with pytest.raises(CatalogtoolError, match="/nowhere/at/all"):
        make_plan(changed(real_config, **{option: "/nowhere/at/all"}))


def test_a_folder_of_other_bands_says_which_are_expected(
    real_config: RunConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    write_cutout(folder / "gal1_f999w.fits", {})
    with pytest.raises(ManifestError, match="no FITS cutouts in the bands f814w, f160w"):
        make_plan(changed(real_config, input=str(folder)))


def test_surveys_of_different_shape_do_not_learn_from_each_other(
    real_config: RunConfig, surveys: tuple[Path, Path], tmp_path: Path
) -> None:
    large = write_survey(tmp_path, "large", str(surveys[0]), size_pix=48)
    with pytest.raises(ConfigError, match="tiny and large do not fit together") as caught:
        make_plan(changed(real_config, survey=str(large)))
    assert caught.value.exit_code == 2


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a tiny disk needs root and the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_named(simulated_config: RunConfig, tiny_disk: Path) -> None:
    with pytest.raises(StorageError, match="the disk is full; free space") as caught:
        make_plan(changed(simulated_config, output=str(tiny_disk / "out")))
    assert caught.value.exit_code == 3


def test_a_read_only_disk_is_named(simulated_config: RunConfig, tiny_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    with pytest.raises(StorageError, match="read-only; choose another --output"):
        make_plan(changed(simulated_config, output=str(tiny_disk / "out")))


@pytest.mark.data
def test_candels_cutouts_and_their_votes_fit_the_survey_as_it_ships(
    data_folder: Path, tmp_path: Path
) -> None:
    data = data_folder / "galaxy-candels-clash"
    config = RunConfig(
        survey="candels", input=str(data / "candels_fits"), output=str(tmp_path / "out")
    )
    plan = make_plan(config)
    assert plan.target.manifest.objects == 18
    assert plan.trainings[0].simulated
    labelled = make_plan(changed(config, labels=str(data / "candels_fits_index.csv")))
    assert not labelled.trainings[0].simulated
    (rows,) = labelled.target.manifest.iter_units()
    assert rows.column("votes").null_count == rows.column("ra").null_count == 0
