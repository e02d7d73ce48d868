"""Models on disk."""

import json
from pathlib import Path

import pytest
import torch

from catalogtool.config.training import TrainingSpec
from catalogtool.errors import ModelError
from catalogtool.training.calibration import Calibration
from catalogtool.training.model import (
    Model,
    build_fresh_network,
    find_model,
    load_model,
    save_model,
)


@pytest.fixture
def saved(spec: TrainingSpec, tmp_path: Path) -> Model:
    return save_model(str(tmp_path / "model"), build_fresh_network(spec), spec, {"rmse": 0.1})


def test_a_model_comes_back_as_it_was_written(saved: Model, spec: TrainingSpec) -> None:
    loaded = load_model(saved.uri)

    assert loaded.spec == spec
    assert loaded.metrics == {"rmse": 0.1}
    assert not loaded.network.training
    expected = saved.network.state_dict()
    for name, value in loaded.network.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0)


def test_the_model_id_names_network_method_and_weights(
    saved: Model, spec: TrainingSpec, tmp_path: Path
) -> None:
    other = save_model(str(tmp_path / "other"), build_fresh_network(spec), spec, {})
    again = save_model(str(tmp_path / "again"), saved.network, spec, {})

    assert saved.model_id.startswith("resnet-source_only-")
    assert len(saved.model_id) == len("resnet-source_only-") + 12
    assert saved.model_id == again.model_id != other.model_id


def test_weights_without_a_record_are_no_model(saved: Model) -> None:
    Path(saved.uri, "run.json").unlink()

    assert find_model(saved.uri) is None
    with pytest.raises(ModelError, match="holds no model"):
        load_model(saved.uri)


def test_a_flipped_byte_of_the_weights_is_noticed(saved: Model) -> None:
    path = Path(saved.uri, "weights.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    with pytest.raises(ModelError, match=r"weights are not those that run\.json describes"):
        find_model(saved.uri)


@pytest.mark.parametrize("damage", ["{", "{}", '{"spec": {}}', "[]"])
def test_a_damaged_record_is_named(saved: Model, damage: str) -> None:
    Path(saved.uri, "run.json").write_text(damage)

    with pytest.raises(ModelError, match=r"damaged model: run\.json cannot be understood"):
        load_model(saved.uri)


def test_a_changed_specification_is_noticed(saved: Model) -> None:
    path = Path(saved.uri, "run.json")
    record = json.loads(path.read_text())
    record["spec"]["seed"] = 8
    path.write_text(json.dumps(record))

    with pytest.raises(ModelError, match="model id does not follow"):
        load_model(saved.uri)


def test_a_calibration_comes_back_and_is_part_of_the_identity(
    saved: Model, spec: TrainingSpec, tmp_path: Path
) -> None:
    calibration = Calibration(torch.eye(3) / 2, torch.zeros(3))
    calibrated = save_model(str(tmp_path / "calibrated"), saved.network, spec, {}, calibration)

    assert saved.calibration is None
    assert calibrated.calibration is not None
    torch.testing.assert_close(calibrated.calibration.weight, calibration.weight, rtol=0, atol=0)
    assert calibrated.model_id != saved.model_id
    expected = saved.network.state_dict()
    assert calibrated.network.state_dict().keys() == expected.keys()
