"""What a production leaves, for the one who started it."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """The summary at the end.

    Attributes
    ----------
    places : tuple of (what, where)
        Catalogs, report, model and run folder.
    counts : tuple of (catalog, rows, flagged, in quarantine)
    timings : tuple of (stage, seconds)
    figures : dict
        Figures of merit by the name of the labelled set, as of
        `catalogtool.training.metrics.evaluate`.
    remarks : tuple of str
        What a reader must know: simulated data, what the figures are.
    """

    places: tuple[tuple[str, str], ...]
    counts: tuple[tuple[str, int, int, int], ...]
    timings: tuple[tuple[str, str], ...]
    figures: dict[str, dict[str, Any]]
    remarks: tuple[str, ...]

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Outcome":
        """Rebuild what `to_json` made."""
        return cls(
            places=tuple(tuple(place) for place in values["places"]),
            counts=tuple(tuple(count) for count in values["counts"]),
            timings=tuple(tuple(timing) for timing in values["timings"]),
            figures=values["figures"],
            remarks=tuple(values["remarks"]),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)
