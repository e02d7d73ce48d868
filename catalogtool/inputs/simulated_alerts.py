"""Simulated alerts: what a survey's stream would hold, with pixels, facts and history.

Nothing is stored: a manifest row names an index, and the index with the survey's name and seed
says everything about the alert. `_simulation.packets` writes the same alerts as packets.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalogtool.inputs._base import Cutouts
from catalogtool.inputs._simulation.alert_records import Alert, Sighting, candid_of, make_alert
from catalogtool.inputs._simulation.alerts import CLASSES, class_of, draw_alerts, kinds_of
from catalogtool.inputs._simulation.camera import DIFFERENCE
from catalogtool.inputs._simulation.candidates import BLOCK, Candidates
from catalogtool.inputs._simulation.differences import Difference
from catalogtool.inputs._simulation.facts import facts_of, history_of
from catalogtool.inputs._simulation.field import observed_mjd, open_stream
from catalogtool.inputs._simulation.formats import SimulatedCandidates, parse_word, refuse


class Format(SimulatedCandidates):
    """Simulated alerts of a survey.

    Notes
    -----
    The survey has the classes agn, asteroid, bogus, satellite, sn and vs, in any order; without
    satellite, satellites are bogus. An alert's kind is part of its ``source_id``, and its
    ``object_id`` is the number that its packet has. What faded is positive in the difference
    image, as in packets; facts tell.
    """

    word = "simulated_alerts"
    stream = "alert-pixels"
    version = 1

    @staticmethod
    def recognises(uri: str) -> bool:
        """Whether the text is ``simulated_alerts`` or ``simulated_alerts:N``."""
        return parse_word(Format.word, uri) is not None

    def read(self, rows: pa.Table) -> Cutouts:
        """Draw the cutouts of some manifest rows, and their facts."""
        cutouts = self.empty_cutouts(rows.num_rows)
        alerts = self._alerts(rows)
        for position, alert in enumerate(alerts):
            self._fill(cutouts, position, alert.found)
        return replace(cutouts, facts=facts_of(alerts))

    def read_history(self, rows: pa.Table) -> pa.Table:
        """Light curves of some manifest rows.

        Returns
        -------
        Table
            One row per earlier exposure and one for the alert itself, in order of time:
            ``object_id``, ``mjd`` (UTC), ``band``, ``magnitude_ab`` and ``magnitude_error`` (null
            where nothing was detected), ``limit_mag_ab``, ``is_positive``.
        """
        return history_of(self._alerts(rows))

    def draw(self, index: int) -> Difference:
        """Draw the pixels of one alert."""
        drawn = super().draw(index)
        if drawn.flux_counts >= 0:
            return drawn
        images = drawn.images.copy()
        images[DIFFERENCE] = 0 - images[DIFFERENCE]
        return replace(drawn, images=images)

    def alert(self, index: int) -> Alert:
        """Draw one alert with all that its packet says."""
        rng = open_stream(self.survey.name, self._settings.seed, "alert-facts", index)
        return make_alert(self._camera, self.sighting(index), self.draw(index), rng)

    def sighting(self, index: int) -> Sighting:
        """What is known of an alert without drawing its pixels."""
        candidates, place = self._block(index // BLOCK), index % BLOCK
        return Sighting(
            index=index,
            kind=str(candidates.kind[place]),
            name=self._source_id(index),
            ra=float(candidates.ra[place]),
            dec=float(candidates.dec[place]),
            mjd=self._mjd(np.array([index]))[0],
        )

    def _alerts(self, rows: pa.Table) -> list[Alert]:
        return [self.alert(index) for index in rows.column("row").to_pylist()]

    def _draw_block(self, block: int) -> Candidates:
        return draw_alerts(self.survey, block)

    def class_of(self, kind: str) -> str:
        """Class of a kind of candidates."""
        return class_of(kind, self.survey.labels.classes)

    def _object_ids(self, index: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        numbers = zip(index.tolist(), self._mjd(index), strict=True)
        return np.array([candid_of(i, mjd) for i, mjd in numbers], dtype=np.int64)

    def _mjd(self, index: npt.NDArray[np.int64]) -> list[float]:
        times: list[float] = observed_mjd(self._settings, self.survey.timezone, index).to_pylist()
        return times

    def _check_classes(self) -> None:
        classes = self.survey.labels.classes
        if sorted(classes) not in (sorted(CLASSES), sorted({*CLASSES} - {"satellite"})):
            reason = (
                f"has the classes {', '.join(classes)}; simulated alerts are {', '.join(CLASSES)}, "
                "or the same without satellite"
            )
        elif self._settings.first_night is None:
            reason = "has no first_night in [difference_imaging]; alerts are numbered by night"
        elif missing := [name for name in classes if not self._share_of(name) > 0]:
            reason = (
                f"draws no candidates of the class {missing[0]}; give one of its kinds a share in "
                f"[difference_imaging.shares]: {', '.join(kinds_of(missing[0], classes))}"
            )
        else:
            return
        raise refuse(self.survey, reason)

    def _share_of(self, name: str) -> float:
        kinds = kinds_of(name, self.survey.labels.classes)
        return sum(self._settings.shares.get(kind, 0.0) for kind in kinds)
