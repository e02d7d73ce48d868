"""Which trainings a comparison needs, and what it refuses."""

from pathlib import Path

import pytest
from small_pair import write_pair
from small_survey import write_surveys

from catalogtool.config._base import build_settings
from catalogtool.config.compare import CompareConfig
from catalogtool.errors import ConfigError, LabelError, UnknownNameError
from catalogtool.production.trials import Trial, plan_trials
from catalogtool.progress import Progress


@pytest.fixture
def config(tmp_path: Path) -> CompareConfig:
    _, target = write_pair(tmp_path)
    return CompareConfig(
        surveys=(str(target),),
        output=str(tmp_path / "out"),
        methods=("source_only", "fine_tune", "mme"),
        shots=(0, 3),
        seeds=2,
        validation_shots=4,
    )


class Log(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def log(self, message: str) -> None:
        self.messages.append(message)


def plan(config: CompareConfig, **changes: object) -> tuple[Trial, ...]:
    return plan_trials(config.model_copy(update=changes), Progress())


def test_every_method_is_tried_with_all_labels_that_it_can_use(config: CompareConfig) -> None:
    trials = plan(config)
    found = sorted({(trial.method, trial.shots) for trial in trials})
    assert found == [
        ("fine_tune", 3),
        ("mme", 0),
        ("mme", 3),
        ("source_only", 0),
        ("source_only", 3),
    ]
    assert len(trials) == 2 * len(found)
    assert len({trial.identity for trial in trials}) == len(trials)


def test_methods_of_one_seed_start_from_the_same_weights(config: CompareConfig) -> None:
    trials = plan(config)
    starts = {(trial.seed, trial.trainings[0].identity) for trial in trials}
    assert len(starts) == 2
    for trial in trials:
        assert trial.trainings[0].method == "source_only"
        assert trial.trainings[0].target is None
        if len(trial.trainings) > 1:
            assert trial.trainings[1].starts_from == trial.trainings[0].identity


def test_all_shots_teach_and_others_choose_without_deciding_anything(
    config: CompareConfig,
) -> None:
    for trial in plan(config):
        spec = trial.measured
        assert (spec.shots, spec.validation_shots) == (trial.shots, 4)
        if spec.method != "source_only":
            assert spec.training.validation_share == 0
            assert spec.training.select == "unlabelled"
        assert spec.training.calibration == "none"


def test_the_source_of_a_pair_is_any_other_survey(tmp_path: Path) -> None:
    names = tuple(str(file) for file in write_pair(tmp_path))
    config = CompareConfig(
        surveys=names, all_pairs=True, output=str(tmp_path / "out"), methods=("mme",), shots=(0,)
    )
    pairs = {(trial.source, trial.target) for trial in plan(config)}
    assert pairs == {("shallow_mock", "deep_mock"), ("deep_mock", "shallow_mock")}


def test_methods_that_do_not_fit_are_left_out_unless_they_are_asked_for(
    config: CompareConfig,
) -> None:
    log = Log()
    everything = config.model_copy(update={"methods": None, "seeds": 1})
    methods = {trial.method for trial in plan_trials(everything, log)}
    assert "con2da" not in methods
    assert {"avda", "dann", "source_only"} <= methods
    assert "target_only" not in methods
    assert any("con2da is left out" in message for message in log.messages)
    with pytest.raises(ConfigError, match="weak and strong views"):
        plan(config, methods=("con2da",))


def test_a_method_gets_the_head_that_it_needs_and_so_does_the_network_it_starts_from(
    config: CompareConfig,
) -> None:
    for method, head in (("avda", "mixture"), ("mme", "cosine")):
        trainings = plan(config, methods=(method,))[0].trainings
        assert [spec.method for spec in trainings] == ["source_only", method]
        assert {spec.network for spec in trainings} == {"resnet"}
        assert {spec.network_options["head"] for spec in trainings} == {head}


def test_more_labels_than_there_are_is_refused_before_anything_runs(config: CompareConfig) -> None:
    with pytest.raises(LabelError, match=r"504 labels per class .*, 4 of them to choose"):
        plan(config, shots=(500,))


def test_a_survey_that_learns_from_itself_has_nothing_to_compare(
    config: CompareConfig, tmp_path: Path
) -> None:
    tiny, _ = write_surveys(tmp_path)
    with pytest.raises(ConfigError, match="learns from the survey itself"):
        plan(config, surveys=(str(tiny),))


def test_methods_that_need_labels_and_get_none_leave_no_trial(config: CompareConfig) -> None:
    with pytest.raises(ConfigError, match="no trial is left"):
        plan(config, methods=("fine_tune",), shots=(0,))


def test_a_misspelt_method_is_named(config: CompareConfig) -> None:
    with pytest.raises(UnknownNameError, match="mne"):
        plan(config, methods=("mne",))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"surveys": ["a", "b"], "input": "x"}, "belong to one survey"),
        ({"surveys": ["a"], "all_pairs": True}, "two or more different surveys"),
        ({"surveys": ["a"], "shots": ["many"]}, "shots.0"),
        ({"surveys": []}, "surveys"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    values: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        build_settings(CompareConfig, values | {"output": "out"}, where="compare")
