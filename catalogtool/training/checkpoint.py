"""Where training stands, as one safetensors file: tensors, and counters as JSON in its header."""

import json
from typing import Any

import safetensors
import safetensors.torch
import torch

from catalogtool.config._base import canonical_json
from catalogtool.errors import ModelError
from catalogtool.training.selection import Kept, Selection, State

_METHOD, _BEST, _OPTIMISER = "method.", "best.", "optimiser."


def pack(
    method: torch.nn.Module,
    selection: Selection,
    optimiser: torch.optim.Optimizer,
    counters: dict[str, Any],
) -> bytes:
    """Write a checkpoint.

    Parameters
    ----------
    method : Module
        Method with its network.
    selection : Selection
        The best epochs so far.
    optimiser : Optimizer
        Its state per parameter is kept; its settings are those of the next run.
    counters : dict
        JSON values: epochs done, history.
    """
    tensors = {f"{_METHOD}{name}": value for name, value in method.state_dict().items()}
    for criterion, kept in selection.kept.items():
        tensors |= {f"{_BEST}{criterion}.{name}": value for name, value in kept.state.items()}
    for index, values in optimiser.state_dict()["state"].items():
        tensors |= {f"{_OPTIMISER}{index}.{name}": value for name, value in values.items()}
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    facts = {"counters": counters, "kept": selection.counters()}
    return safetensors.torch.save(plain, metadata={"facts": canonical_json(facts)})


def unpack(
    data: bytes, method: torch.nn.Module, selection: Selection, optimiser: torch.optim.Optimizer
) -> dict[str, Any]:
    """Restore method, best epochs and optimiser in place.

    Returns
    -------
    dict
        The counters as they were packed.

    Raises
    ------
    ModelError
        If the checkpoint is damaged or of another network.
    """
    try:
        tensors = safetensors.torch.load(data)
        facts = json.loads(_header(data)["facts"])
        method.load_state_dict(_strip(tensors, _METHOD))
        optimiser.load_state_dict(_optimiser_state(_strip(tensors, _OPTIMISER), optimiser))
    except (safetensors.SafetensorError, RuntimeError, ValueError, KeyError) as error:
        raise ModelError(
            f"the training checkpoint is damaged or of another network: {error}; delete it to "
            "train from the start"
        ) from error
    for criterion, (epoch, *score) in facts["kept"].items():
        state = _strip(tensors, f"{_BEST}{criterion}.")
        selection.kept[criterion] = Kept(epoch, tuple(score), state)
    counters: dict[str, Any] = facts["counters"]
    return counters


def _header(data: bytes) -> dict[str, str]:
    length = int.from_bytes(data[:8], "little")
    metadata: dict[str, str] = json.loads(data[8 : 8 + length])["__metadata__"]
    return metadata


def _strip(tensors: State, prefix: str) -> State:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _optimiser_state(tensors: State, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    state: dict[int, State] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    return {"state": state, "param_groups": optimiser.state_dict()["param_groups"]}
