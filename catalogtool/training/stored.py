"""What was trained: weights as safetensors beside a run.json that says how they came about.

The record is written last and makes the weights count. Its ``model_id`` follows from weights and
specification, so that neither can be changed unnoticed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from catalogtool import storage
from catalogtool.config._base import Specification, build_settings, canonical_json
from catalogtool.errors import ConfigError, ModelError, StorageError

WEIGHTS_FILE = "weights.safetensors"
RECORD_FILE = "run.json"

S = TypeVar("S", bound=Specification)


@dataclass(frozen=True)
class Record(Generic[S]):
    """What run.json says.

    Attributes
    ----------
    uri, what : str
        Folder, and what it is said to hold.
    model_id, weights_sha256 : str
    spec : Specification
        How the weights came about.
    facts : dict
        What else is known of them, JSON values.
    """

    uri: str
    what: str
    model_id: str
    weights_sha256: str
    spec: S
    facts: dict[str, Any]


def is_stored(uri: str) -> bool:
    """Whether a folder holds weights that count."""
    return storage.exists(storage.join(uri, RECORD_FILE))


def write(
    uri: str, family: str, spec: Specification, weights: bytes, facts: Mapping[str, object]
) -> None:
    """Store weights and their record.

    Parameters
    ----------
    uri : str
        Folder to write to.
    family : str
        First part of the ``model_id``.
    spec : Specification
    weights : bytes
        A safetensors file.
    facts : dict
        JSON values to remember.
    """
    weights_sha256 = hashlib.sha256(weights).hexdigest()
    record = {
        "model_id": _model_id(family, spec, weights_sha256),
        "weights_sha256": weights_sha256,
        "spec": spec.to_json(),
        **facts,
    }
    storage.write_bytes(storage.join(uri, WEIGHTS_FILE), weights)
    storage.write_bytes(storage.join(uri, RECORD_FILE), canonical_json(record).encode())


def read_record(uri: str, spec: type[S], facts: tuple[str, ...], what: str) -> Record[S]:
    """Read a record alone.

    Parameters
    ----------
    uri : str
        Folder of the weights.
    spec : type
        What specification they have.
    facts : tuple of str
        Names of the facts that must be there.
    what : str
        What they are, for messages.

    Raises
    ------
    ModelError
        If there is none, or it cannot be understood.
    """
    where = storage.join(uri, RECORD_FILE)
    try:
        values = json.loads(storage.read_bytes(where))
        found = build_settings(spec, values["spec"], where=where)
        names = (values["model_id"], values["weights_sha256"])
        return Record(uri, what, *names, found, {name: values[name] for name in facts})
    except StorageError as error:
        raise ModelError(f"{uri}: holds no {what}: {error}") from error
    except (ValueError, KeyError, TypeError, ConfigError) as error:
        reason = f"{RECORD_FILE} cannot be understood: {error}"
        raise damaged(uri, what, reason) from error


def read_weights(record: Record[S], family: str) -> bytes:
    """Read the weights of a record, and check them against it.

    Raises
    ------
    ModelError
        If they cannot be read, or are others.
    """
    uri, what = record.uri, record.what
    try:
        weights = storage.read_bytes(storage.join(uri, WEIGHTS_FILE))
    except StorageError as error:
        raise ModelError(f"{uri}: the weights cannot be read: {error}") from error
    weights_sha256 = hashlib.sha256(weights).hexdigest()
    if weights_sha256 != record.weights_sha256:
        raise damaged(uri, what, f"the weights are not those that {RECORD_FILE} describes")
    if record.model_id != _model_id(family, record.spec, weights_sha256):
        reason = "the model id does not follow from weights and specification"
        raise damaged(uri, what, reason)
    return weights


def damaged(uri: str, what: str, reason: str) -> ModelError:
    """What to raise where something that was stored is of no use."""
    return ModelError(f"{uri}: damaged {what}: {reason}; delete the folder to train again", uri=uri)


def _model_id(family: str, spec: Specification, weights_sha256: str) -> str:
    digest = hashlib.sha256(f"{weights_sha256}{spec.identity}".encode()).hexdigest()
    return f"{family}-{digest[:12]}"
