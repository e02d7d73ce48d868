"""Everything that decides what a scorer of unusual objects says; its hash finds it again."""

from typing import Any

from pydantic import PositiveInt

from catalogtool.config._base import Name, Specification


class ScorerSpec(Specification):
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
