"""What the formats of simulated candidates share: listing and drawing them, all but their classes.

Nothing is stored: a manifest row names an index, and the index with the survey's name and seed
says everything about the candidate and its pixels.
"""

import hashlib
import re
from abc import abstractmethod
from collections.abc import Iterator
from functools import lru_cache
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalogtool.errors import ConfigError
from catalogtool.flags import Flag
from catalogtool.inputs._base import MANIFEST_SCHEMA, Cutouts, Format
from catalogtool.inputs._simulation.camera import BANDS, Camera
from catalogtool.inputs._simulation.candidates import BLOCK, Candidates
from catalogtool.inputs._simulation.differences import Difference, draw_difference
from catalogtool.inputs._simulation.field import observed_mjd, open_stream
from catalogtool.surveys._definition import Survey
from catalogtool.surveys._simulated import DifferenceImaging


class SimulatedCandidates(Format):
    """Simulated candidates of a survey of difference images.

    Parameters
    ----------
    survey : Survey
        Needs a ``[difference_imaging]`` section, the bands ``science``, ``template`` and
        ``difference``, and the classes of the format.
    uri : str or None
        ``"WORD:N"`` asks for N candidates; None or ``"WORD"`` for the survey's number.
    labels_uri : str or None
        Must be None: simulated candidates bring their labels.

    Raises
    ------
    ConfigError
        If the survey cannot be simulated, or labels are given.
    """

    simulated = True
    word: ClassVar[str]
    """How the format is called in a URI."""
    stream: ClassVar[str]
    """Purpose of the random numbers behind the pixels."""
    version: ClassVar[int]
    """Raised whenever the same settings give other pixels or labels."""

    def __init__(self, survey: Survey, uri: str | None, labels_uri: str | None = None) -> None:
        super().__init__(survey, uri, labels_uri)
        self._settings = _check_settings(survey, labels_uri)
        self._check_classes()
        asked = parse_word(self.word, uri or self.word)
        if asked is None:
            raise ConfigError(
                f"{uri}: expected {self.word} or {self.word}:N with N candidates", uri=uri
            )
        self._count = asked or self._settings.candidates
        self._camera = Camera.of(survey)
        self._block = lru_cache(maxsize=4)(self._draw_block)

    def list_objects(self) -> Iterator[pa.Table]:
        """Yield the candidates; no pixels are drawn."""
        identity = self._identity()
        for block in range(-(-self._count // BLOCK)):
            index = np.arange(block * BLOCK, min((block + 1) * BLOCK, self._count))
            candidates, count = self._block(block), len(index)
            yield pa.table(
                {
                    "object_id": self._object_ids(index),
                    "source_id": [self._source_id(i) for i in index.tolist()],
                    "ra": candidates.ra[:count],
                    "dec": candidates.dec[:count],
                    "flags": np.zeros(count, dtype=np.int32),
                    "uris": [[]] * count,
                    "row": index,
                    "identity": [identity] * count,
                    "votes": self._votes(candidates)[:count],
                    "split": [""] * count,
                    "observed_mjd": observed_mjd(self._settings, self.survey.timezone, index),
                },
                schema=MANIFEST_SCHEMA,
            )

    def read(self, rows: pa.Table) -> Cutouts:
        """Draw the cutouts of some manifest rows."""
        cutouts = self.empty_cutouts(rows.num_rows)
        for position, index in enumerate(rows.column("row").to_pylist()):
            self._fill(cutouts, position, self.draw(index))
        return cutouts

    def draw(self, index: int) -> Difference:
        """Draw one candidate, with what a pipeline would measure of it."""
        candidates, place = self._block(index // BLOCK), index % BLOCK
        rng = open_stream(self.survey.name, self._settings.seed, self.stream, index)
        return draw_difference(
            self._camera,
            candidates.kind[place],
            float(candidates.snr[place]),
            self.survey.cutout_size_pix,
            rng,
        )

    def name_of(self, kind: str, index: int) -> str:
        """Name that a candidate has in the survey; it tells the kind."""
        return f"sim-{self.survey.name}-{kind}-{index:06d}"

    @abstractmethod
    def _draw_block(self, block: int) -> Candidates:
        """Draw `BLOCK` candidates."""

    @abstractmethod
    def class_of(self, kind: str) -> str:
        """Class of a kind of candidates."""

    @abstractmethod
    def _check_classes(self) -> None:
        """Raise ConfigError where the survey's classes cannot be simulated."""

    def _object_ids(self, index: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return index

    def _source_id(self, index: int) -> str:
        return self.name_of(self._block(index // BLOCK).kind[index % BLOCK], index)

    @staticmethod
    def _fill(cutouts: Cutouts, position: int, drawn: Difference) -> None:
        cutouts.images[position] = drawn.images
        cutouts.mask[position] = drawn.mask
        cutouts.flags[position, drawn.mask.any(axis=(1, 2))] = Flag.PARTLY_MASKED

    def _votes(self, candidates: Candidates) -> list[list[float] | None]:
        classes = self.survey.labels.classes
        of_class = {name: [float(name == other) for other in classes] for name in classes}
        return [
            of_class[self.class_of(kind)] if labelled else None
            for kind, labelled in zip(candidates.kind.tolist(), candidates.is_labelled, strict=True)
        ]

    def _identity(self) -> str:
        settings = self.survey.model_dump_json(
            include={
                "name",
                "pixel_scale",
                "cutout_size_pix",
                "bands",
                "labels",
                "difference_imaging",
            }
        )
        digest = hashlib.sha256(settings.encode()).hexdigest()[:12]
        return f"{self.word}:{self._settings.seed}:{self.version}:{digest}"


def parse_word(word: str, uri: str) -> int | None:
    """Number N of ``word:N``; 0 for the word alone, None for anything else."""
    asked = re.fullmatch(rf"{word}(?::([1-9][0-9]*))?", uri)
    return None if asked is None else int(asked[1] or 0)


def refuse(survey: Survey, reason: str) -> ConfigError:
    """The error that says why a survey cannot be simulated."""
    return ConfigError(f"survey {survey.name}: {reason}", survey=survey.name)


def _check_settings(survey: Survey, labels_uri: str | None) -> DifferenceImaging:
    if survey.difference_imaging is None:
        reason = "has no [difference_imaging] section; add it, or name the input with --input"
    elif labels_uri is not None:
        raise ConfigError(
            f"{labels_uri}: simulated candidates bring their labels; leave --labels out, or name "
            "real cutouts with --input"
        )
    elif survey.band_names != BANDS:
        reason = (
            f"has the bands {', '.join(survey.band_names)}; difference images need "
            f"{', '.join(BANDS)}, in this order"
        )
    elif survey.cutout_size_pix % 2 == 0:
        reason = (
            f"has cutouts of {survey.cutout_size_pix} pixels; a candidate is on the central "
            "pixel, so their number must be odd"
        )
    else:
        return survey.difference_imaging
    raise refuse(survey, reason)
