"""Simulated difference images: real and bogus candidates as a pipeline would report them."""

from catalogtool.inputs._simulation.candidates import Candidates, draw_candidates, is_real
from catalogtool.inputs._simulation.formats import SimulatedCandidates, parse_word, refuse

CLASSES = ("bogus", "real")


class Format(SimulatedCandidates):
    """Simulated candidates that are real or bogus.

    Notes
    -----
    The survey has the classes ``bogus`` and ``real``, in any order. The candidate's kind is part
    of its ``source_id``. Half of the labelled candidates are real, whatever the share among the
    others.
    """

    word = "simulated_differences"
    stream = "differences"
    version = 1

    @staticmethod
    def recognises(uri: str) -> bool:
        """Whether the text is ``simulated_differences`` or ``simulated_differences:N``."""
        return parse_word(Format.word, uri) is not None

    def _draw_block(self, block: int) -> Candidates:
        return draw_candidates(self.survey, block)

    def class_of(self, kind: str) -> str:
        """Class of a kind of candidates."""
        return "real" if is_real(kind) else "bogus"

    def _check_classes(self) -> None:
        classes = self.survey.labels.classes
        if sorted(classes) != sorted(CLASSES):
            raise refuse(
                self.survey,
                f"has the classes {', '.join(classes)}; simulated candidates are "
                f"{' or '.join(CLASSES)}",
            )
