"""Trained models: weights as safetensors beside a run.json that says how they came about."""

from dataclasses import dataclass
from typing import Any

import safetensors
import safetensors.torch
import torch

from catalogtool import storage
from catalogtool.config.training import TrainingSpec
from catalogtool.networks import build_network, with_metadata
from catalogtool.networks._base import Network
from catalogtool.networks._domain_norm import split_norms
from catalogtool.training import stored
from catalogtool.training.calibration import Calibration
from catalogtool.training.neighbours import Neighbours

_WHAT = "model"
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
    stored.write(uri, _family(spec), spec, weights, {"metrics": metrics})
    return load_model(uri)


def load_model(uri: str) -> Model:
    """Read a model and check it against its own record.

    Raises
    ------
    ModelError
        If there is none, or it is damaged.
    """
    record = _read_record(uri)
    weights = stored.read_weights(record, _family(record.spec))
    network = build_fresh_network(record.spec)
    try:
        state = safetensors.torch.load(weights)
        calibrating, known = _take(state, _CALIBRATION), _take(state, _NEIGHBOURS)
        network.load_state_dict(state)
        calibration = Calibration(**calibrating) if calibrating else None
        neighbours = Neighbours(**known) if known else None
    except (safetensors.SafetensorError, RuntimeError, TypeError) as error:
        raise stored.damaged(uri, _WHAT, f"the weights do not fit the network: {error}") from error
    names = (uri, record.model_id, record.spec, record.facts["metrics"])
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
    specs = [_read_record(uri).spec]
    while (before := specs[0].starts_from) is not None:
        specs.insert(0, _read_record(storage.join(folder, before[:16])).spec)
    return tuple(specs)


def find_model(uri: str) -> Model | None:
    """Read a model if there is one.

    Raises
    ------
    ModelError
        If there is one and it is damaged.
    """
    return load_model(uri) if stored.is_stored(uri) else None


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


def _read_record(uri: str) -> stored.Record[TrainingSpec]:
    return stored.read_record(uri, TrainingSpec, ("metrics",), _WHAT)


def _family(spec: TrainingSpec) -> str:
    return f"{spec.network}-{spec.method}"
