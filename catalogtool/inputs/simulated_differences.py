"""Simulated difference images: real and bogus candidates as a survey's pipeline would report them.

Nothing is stored: a manifest row names an index, and the index with the survey's name and seed
says everything about the candidate and its pixels.
"""

import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pyarrow as pa

from catalogtool.errors import ConfigError
from catalogtool.flags import Flag
from catalogtool.inputs._base import MANIFEST_SCHEMA, Cutouts
from catalogtool.inputs._base import Format as FormatBase
from catalogtool.inputs._simulation.camera import BANDS, Camera
from catalogtool.inputs._simulation.candidates import BLOCK, Candidates, draw_candidates
from catalogtool.inputs._simulation.differences import Difference, draw_difference
from catalogtool.inputs._simulation.field import observed_mjd, open_stream
from catalogtool.surveys._definition import DifferenceImaging, Survey

CLASSES = ("bogus", "real")

_VERSION = 1  # raised whenever the same settings give other pixels or labels
_URI = re.compile(r"simulated_differences(?::([1-9][0-9]*))?")


class Format(FormatBase):
    """Simulated candidates of a survey of difference images.

    Parameters
    ----------
    survey : Survey
        Needs a ``[difference_imaging]`` section, the bands ``science``, ``template`` and
        ``difference``, and the classes ``bogus`` and ``real``, in any order.
    uri : str or None
        ``"simulated_differences:N"`` asks for N candidates; None or ``"simulated_differences"``
        for the survey's number.
    labels_uri : str or None
        Must be None: simulated candidates bring their labels.

    Raises
    ------
    ConfigError
        If the survey cannot be simulated, or labels are given.

    Notes
    -----
    The candidate's kind is part of its ``source_id``. Half of the labelled candidates are real,
    whatever the share among the others.
    """

    simulated = True

    def __init__(self, survey: Survey, uri: str | None, labels_uri: str | None = None) -> None:
        super().__init__(survey, uri, labels_uri)
        self._settings = _check_settings(survey, labels_uri)
        asked = _URI.fullmatch(uri or "simulated_differences")
        if asked is None:
            raise ConfigError(
                f"{uri}: expected simulated_differences or simulated_differences:N with N "
                "candidates",
                uri=uri,
            )
        self._count = int(asked[1] or self._settings.candidates)
        self._camera = Camera.of(survey)
        self._block = lru_cache(maxsize=4)(self._draw_block)

    @staticmethod
    def recognises(uri: str) -> bool:
        """Whether the text is ``simulated_differences`` or ``simulated_differences:N``."""
        return _URI.fullmatch(uri) is not None

    def list_objects(self) -> Iterator[pa.Table]:
        """Yield the candidates; no pixels are drawn."""
        identity = self._identity()
        for block in range(-(-self._count // BLOCK)):
            index = np.arange(block * BLOCK, min((block + 1) * BLOCK, self._count))
            candidates, count = self._block(block), len(index)
            kinds = candidates.kind[:count].tolist()
            yield pa.table(
                {
                    "object_id": index,
                    "source_id": [
                        f"sim-{self.survey.name}-{kind}-{i:06d}"
                        for kind, i in zip(kinds, index, strict=True)
                    ],
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
            drawn = self.draw(index)
            cutouts.images[position] = drawn.images
            cutouts.mask[position] = drawn.mask
        partly = cutouts.mask.any(axis=(2, 3))
        cutouts.flags[partly] = Flag.PARTLY_MASKED
        return cutouts

    def draw(self, index: int) -> Difference:
        """Draw one candidate, with what a pipeline would measure of it."""
        candidates, place = self._block(index // BLOCK), index % BLOCK
        rng = open_stream(self.survey.name, self._settings.seed, "differences", index)
        return draw_difference(
            self._camera,
            candidates.kind[place],
            float(candidates.snr[place]),
            self.survey.cutout_size_pix,
            rng,
        )

    def _draw_block(self, block: int) -> Candidates:
        return draw_candidates(self.survey, block)

    def _votes(self, candidates: Candidates) -> list[list[float] | None]:
        classes = self.survey.labels.classes
        of_class = {name: [float(name == other) for other in classes] for name in classes}
        return [
            of_class["real" if real else "bogus"] if labelled else None
            for real, labelled in zip(candidates.is_real, candidates.is_labelled, strict=True)
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
        return f"simulated_differences:{self._settings.seed}:{_VERSION}:{digest}"


def _check_settings(survey: Survey, labels_uri: str | None) -> DifferenceImaging:
    if survey.difference_imaging is None:
        expected = "has no [difference_imaging] section; add it, or name the input with --input"
    elif labels_uri is not None:
        raise ConfigError(
            f"{labels_uri}: simulated candidates bring their labels; leave --labels out, or name "
            "real cutouts with --input"
        )
    elif survey.band_names != BANDS:
        expected = (
            f"has the bands {', '.join(survey.band_names)}; difference images need "
            f"{', '.join(BANDS)}, in this order"
        )
    elif sorted(survey.labels.classes) != sorted(CLASSES):
        expected = (
            f"has the classes {', '.join(survey.labels.classes)}; simulated candidates are "
            f"{' or '.join(CLASSES)}"
        )
    elif survey.cutout_size_pix % 2 == 0:
        expected = (
            f"has cutouts of {survey.cutout_size_pix} pixels; a candidate is on the central "
            "pixel, so their number must be odd"
        )
    else:
        return survey.difference_imaging
    raise ConfigError(f"survey {survey.name}: {expected}", survey=survey.name)
