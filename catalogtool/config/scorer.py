"""Everything that decides what a scorer of unusual objects says; its hash finds it again."""

import hashlib
from typing import Any

from pydantic import PositiveInt

from catalogtool import __version__
from catalogtool.config._base import Name, Settings, canonical_json


class ScorerSpec(Settings):
    """A complete description of one scorer."""

    method: Name
    options: dict[str, Any]
    network: str
    """Identity of the training whose features it sees."""
    manifest_identity: str
    """Objects that say what is usual."""
    objects: PositiveInt
    """How many of them, drawn by seed."""
    seed: int
    code_version: str = __version__

    @property
    def identity(self) -> str:
        """SHA-256 over all of it."""
        return hashlib.sha256(canonical_json(self.to_json()).encode()).hexdigest()
