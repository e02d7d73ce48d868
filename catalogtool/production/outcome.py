"""What a production leaves, for the one who started it."""

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from catalogtool.release.append import AppendedCatalog


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

    def with_series(self, catalogs: tuple["AppendedCatalog", ...]) -> Self:
        """The outcome of a run that was appended to growing catalogs."""
        places = tuple((f"series {c.uri.rsplit('/', 1)[-1]}", c.uri) for c in catalogs)
        remarks = tuple(
            f"{c.uri.rsplit('/', 1)[-1]} grew by {c.rows} rows to {c.total_rows}." for c in catalogs
        )
        return replace(self, places=(*places, *self.places), remarks=(*remarks, *self.remarks))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def small_outcome(what: str, where: str) -> Outcome:
    """The outcome of a run that had nothing to do."""
    return Outcome(places=((what, where),), counts=(), timings=(), figures={}, remarks=())
