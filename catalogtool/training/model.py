"""Trained models: weights as safetensors beside a run.json that says how they came about."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import safetensors
import safetensors.torch
import torch

from catalogtool import storage
from catalogtool.config._base import build_settings, canonical_json
from catalogtool.config.training import TrainingSpec
from catalogtool.errors import ConfigError, ModelError, StorageError
from catalogtool.networks import build_network, with_metadata
from catalogtool.networks._base import Network
from catalogtool.networks._domain_norm import split_norms
from catalogtool.training.calibration import Calibration
from catalogtool.training.neighbours import Neighbours

WEIGHTS_FILE = "weights.safetensors"
RECORD_FILE = "run.json"
_CALIBRATION, _NEIGHBOURS = "calibration.", "neighbours."
"""Begin the names of tensors among the weights that are not the network's."""


@dataclass(frozen=True)
class Model:
    """A trained network and its record.

    Attributes
    ----------
    uri : str
        Folder of the model.
    model_id : str
        Network, method and a hash of weights and specification.
    spec : TrainingSpec
        How it was trained.
    metrics : dict
        How well it does, and which labels it saw.
    network : Network
        Float32, in evaluation mode.
    calibration : Calibration or None
        What makes probabilities of its logits; None: the softmax alone.
    neighbours : Neighbours or None
        What tells objects of no known class; None: all are taken to be of a known one.
    """

    uri: str
    model_id: str
    spec: TrainingSpec
    metrics: dict[str, Any]
    network: Network
    calibration: Calibration | None = None
    neighbours: Neighbours | None = None


def save_model(
    uri: str,
    network: Network,
    spec: TrainingSpec,
    metrics: dict[str, Any],
    calibration: Calibration | None = None,
    neighbours: Neighbours | None = None,
) -> Model:
    """Write a model; the record is written last and makes it count.

    Parameters
    ----------
    uri : str
        Folder to write to.
    network : Network
        Trained network, on any device.
    spec : TrainingSpec
        What it was trained by.
    metrics : dict
        JSON values only.
    calibration : Calibration or None
    neighbours : Neighbours or None
        Stored with the weights.
    """
    state = network.state_dict()
    if calibration is not None:
        state |= {f"{_CALIBRATION}{name}": t for name, t in calibration.to_tensors().items()}
    if neighbours is not None:
        state |= {f"{_NEIGHBOURS}{name}": t for name, t in neighbours.to_tensors().items()}
    weights = safetensors.torch.save(
        {name: value.detach().cpu().contiguous() for name, value in state.items()}
    )
    weights_sha256 = hashlib.sha256(weights).hexdigest()
    record = {
        "model_id": _model_id(spec, weights_sha256),
        "weights_sha256": weights_sha256,
        "spec": spec.to_json(),
        "metrics": metrics,
    }
    storage.write_bytes(storage.join(uri, WEIGHTS_FILE), weights)
    storage.write_bytes(storage.join(uri, RECORD_FILE), canonical_json(record).encode())
    return load_model(uri)


def load_model(uri: str) -> Model:
    """Read a model and check it against its own record.

    Raises
    ------
    ModelError
        If there is none, or it is damaged.
    """
    record, spec = _read_record(uri)
    try:
        weights = storage.read_bytes(storage.join(uri, WEIGHTS_FILE))
    except StorageError as error:
        raise ModelError(f"{uri}: the weights cannot be read: {error}") from error
    weights_sha256 = hashlib.sha256(weights).hexdigest()
    if weights_sha256 != record["weights_sha256"]:
        raise _damaged(uri, "the weights are not those that run.json describes")
    if record["model_id"] != _model_id(spec, weights_sha256):
        raise _damaged(uri, "the model id does not follow from weights and specification")
    network = build_fresh_network(spec)
    try:
        state = safetensors.torch.load(weights)
        calibrating, known = _take(state, _CALIBRATION), _take(state, _NEIGHBOURS)
        network.load_state_dict(state)
        calibration = Calibration(**calibrating) if calibrating else None
        neighbours = Neighbours(**known) if known else None
    except (safetensors.SafetensorError, RuntimeError, TypeError) as error:
        raise _damaged(uri, f"the weights do not fit the network: {error}") from error
    names = (uri, record["model_id"], spec, record["metrics"])
    return Model(*names, network.eval(), calibration, neighbours)


def _take(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Take the tensors whose names begin so out of the others."""
    found = [name for name in sorted(state) if name.startswith(prefix)]
    return {name.removeprefix(prefix): state.pop(name) for name in found}


def read_trainings(uri: str) -> tuple[TrainingSpec, ...]:
    """How a model came about: the specifications of its trainings, first to last.

    Parameters
    ----------
    uri : str
        Folder of the model; the models from which its trainings started are beside it.

    Raises
    ------
    ModelError
        If there is no model, or one from which it started is not beside it.
    """
    folder, _, _ = uri.rstrip("/").rpartition("/")
    _, spec = _read_record(uri)
    specs = [spec]
    while (before := specs[0].starts_from) is not None:
        _, earlier = _read_record(storage.join(folder, before[:16]))
        specs.insert(0, earlier)
    return tuple(specs)


def find_model(uri: str) -> Model | None:
    """Read a model if there is one.

    Raises
    ------
    ModelError
        If there is one and it is damaged.
    """
    if not storage.exists(storage.join(uri, RECORD_FILE)):
        return None
    return load_model(uri)


def build_fresh_network(spec: TrainingSpec) -> Network:
    """Network of a specification with new weights."""
    network = build_network(
        spec.network,
        with_metadata(spec.network_options, spec.metadata),
        channels=spec.preparation.channels(spec.channels),
        classes=len(spec.classes),
        size_pix=spec.size_pix,
    )
    if spec.training.domain_norm:
        split_norms(network)
    return network


def _read_record(uri: str) -> tuple[dict[str, Any], TrainingSpec]:
    where = storage.join(uri, RECORD_FILE)
    try:
        record = json.loads(storage.read_bytes(where))
        spec = build_settings(TrainingSpec, record["spec"], where=where)
        record["model_id"], record["weights_sha256"], record["metrics"]
    except StorageError as error:
        raise ModelError(f"{uri}: holds no model: {error}") from error
    except (ValueError, KeyError, TypeError, ConfigError) as error:
        raise _damaged(uri, f"{RECORD_FILE} cannot be understood: {error}") from error
    return record, spec


def _model_id(spec: TrainingSpec, weights_sha256: str) -> str:
    digest = hashlib.sha256(f"{weights_sha256}{spec.identity}".encode()).hexdigest()
    return f"{spec.network}-{spec.method}-{digest[:12]}"


def _damaged(uri: str, reason: str) -> ModelError:
    return ModelError(f"{uri}: damaged model: {reason}; delete the folder to train again", uri=uri)
