"""What a training leaves beside its model while it runs: its state, and how far it is."""

import json
import math
import shutil
import time
from collections.abc import Callable
from typing import Any

from catalogtool import storage
from catalogtool.config._base import canonical_json

_SECONDS_BETWEEN = 5.0


class CheckpointFolder:
    """Whole files under one name each: whoever starts again finds the newest.

    Parameters
    ----------
    model_uri : str
        Folder of the model that the training leads to.
    """

    def __init__(self, model_uri: str) -> None:
        self.uri = storage.join(model_uri, "checkpoints")
        self._state = storage.join(self.uri, "training.safetensors")
        self._progress = storage.join(self.uri, "progress.json")
        self._saved_at = -math.inf

    def read_state(self) -> bytes | None:
        """The state that was saved last, if there is any."""
        return storage.read_bytes(self._state) if storage.exists(self._state) else None

    def offer_state(self, state: Callable[[], bytes]) -> None:
        """Save a state, if the last one is some seconds old."""
        if time.monotonic() - self._saved_at >= _SECONDS_BETWEEN:
            storage.write_bytes(self._state, state())
            self._saved_at = time.monotonic()

    def tell(self, progress: dict[str, Any]) -> None:
        """Leave word of how far the training is."""
        storage.write_bytes(self._progress, canonical_json(progress).encode())

    def listen(self) -> dict[str, Any] | None:
        """The newest word, if there is any."""
        if not storage.exists(self._progress):
            return None
        news: dict[str, Any] = json.loads(storage.read_bytes(self._progress))
        return news

    def delete(self) -> None:
        """Remove everything."""
        if storage.is_local(self.uri):
            shutil.rmtree(self.uri, ignore_errors=True)
            return
        for info in list(storage.list_files(self.uri)):
            storage.delete(info.uri)
