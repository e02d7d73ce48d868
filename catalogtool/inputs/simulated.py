"""Simulated surveys: galaxies from physical parameters, in a survey's bands, noise and resolution.

Nothing is stored: a manifest row names an index, and the index with the survey's name and seed
says everything about the object and its pixels.
"""

import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalogtool.errors import ConfigError
from catalogtool.flags import Flag
from catalogtool.inputs._base import MANIFEST_SCHEMA, Cutouts, FloatArray
from catalogtool.inputs._base import Format as FormatBase
from catalogtool.inputs._simulation.field import Floats, observed_mjd
from catalogtool.inputs._simulation.galaxies import (
    BLOCK,
    Galaxies,
    Kind,
    draw_block,
    random_stream,
)
from catalogtool.inputs._simulation.noise import sky_sigma
from catalogtool.inputs._simulation.raters import VOTE_CLASSES, draw_votes, opinions
from catalogtool.inputs._simulation.render import Camera, draw_parts, resize
from catalogtool.inputs._simulation.spectra import part_fluxes
from catalogtool.surveys._definition import Survey
from catalogtool.surveys._simulated import Simulation

_VERSION = 1  # raised whenever the same settings give other pixels or votes
_URI = re.compile(r"simulated(?::([1-9][0-9]*))?")
_KIND_OF_CLASS = {
    "elliptical": Kind.SPHEROID,
    "spheroid": Kind.SPHEROID,
    "spiral": Kind.DISK,
    "disk": Kind.DISK,
    "irregular": Kind.IRREGULAR,
    "point_source": Kind.POINT_SOURCE,
    "star": Kind.POINT_SOURCE,
    "lensed_arc": Kind.LENSED_ARC,
}
_UNKNOWN_KINDS = {"lensed_arc"}
"""Kinds that may be drawn without being a class: nobody has a label for them."""
_WHITE_SKY_SIGMAS = 400.0  # of display images, in units of the sky noise
_SOFT_SKY_SIGMAS = 4.0


class Format(FormatBase):
    """A simulated survey.

    Parameters
    ----------
    survey : Survey
        Needs a ``[simulation]`` section.
    uri : str or None
        ``"simulated:N"`` asks for N objects; None or ``"simulated"`` for the survey's number.
    labels_uri : str or None
        Must be None: simulated objects bring their labels.

    Raises
    ------
    ConfigError
        If the survey has no simulation, its classes cannot be simulated, or labels are given.

    Notes
    -----
    An object is drawn at the survey's own pixel scale on a square of four Petrosian radii, gets
    independent noise per native pixel, and is then resized linearly to the survey's cutout size,
    as the cutouts of the papers are. Neighbouring pixels of an enlarged cutout are therefore
    correlated, in signal and in noise alike. Noise is that of the sky.

    Surveys with one class per object look like display images: every band goes through an asinh
    stretch between sky and a white point, both in units of its noise, to values of 0 to 255.
    """

    simulated = True

    def __init__(self, survey: Survey, uri: str | None, labels_uri: str | None = None) -> None:
        super().__init__(survey, uri, labels_uri)
        self._simulation = _check_simulation(survey, labels_uri)
        asked = _URI.fullmatch(uri or "simulated")
        if asked is None:
            raise ConfigError(f"{uri}: expected simulated or simulated:N with N objects", uri=uri)
        self._objects = int(asked[1] or self._simulation.objects)
        self._camera = Camera(
            survey.pixel_scale_arcsec,
            tuple(float(band.psf_fwhm.to_value("arcsec")) for band in survey.bands),
        )
        self._sigma = sky_sigma(survey).astype(np.float32)
        self._block = lru_cache(maxsize=4)(self._draw_block)

    @staticmethod
    def recognises(uri: str) -> bool:
        """Whether the text is ``simulated`` or ``simulated:N``."""
        return _URI.fullmatch(uri) is not None

    def list_objects(self) -> Iterator[pa.Table]:
        """Yield the simulated objects; votes are drawn without drawing pixels."""
        labelled = self._labelled_slots()
        identity = self._identity()
        for block in range(-(-self._objects // BLOCK)):
            start = block * BLOCK
            index = np.arange(start, min(start + BLOCK, self._objects))
            galaxies, fluxes = self._block(block)
            votes = self._votes(block, galaxies, fluxes)[: len(index)]
            votes[~_slots_of(labelled, start, votes)] = np.nan
            yield pa.table(
                {
                    "object_id": index,
                    "source_id": [f"sim-{self.survey.name}-{i:06d}" for i in index],
                    "ra": galaxies.ra[: len(index)],
                    "dec": galaxies.dec[: len(index)],
                    "flags": np.zeros(len(index), dtype=np.int32),
                    "uris": [[]] * len(index),
                    "row": index,
                    "identity": [identity] * len(index),
                    "votes": _votes_column(votes),
                    "split": [""] * len(index),
                    "observed_mjd": observed_mjd(self._simulation, self.survey.timezone, index),
                },
                schema=MANIFEST_SCHEMA,
            )

    def read(self, rows: pa.Table) -> Cutouts:
        """Draw the cutouts of some manifest rows."""
        cutouts = self.empty_cutouts(rows.num_rows)
        cutouts.mask[:] = False
        cutouts.flags[:] = Flag.RESAMPLED
        for position, index in enumerate(rows.column("row").to_pylist()):
            cutouts.images[position] = self._draw(index)
        return cutouts

    def _draw(self, index: int) -> FloatArray:
        galaxies, fluxes = self._block(index // BLOCK)
        place = index % BLOCK
        rng = random_stream(self.survey, "pixels", index)
        galaxy = galaxies.take(slice(place, place + 1))
        image = draw_parts(galaxy, fluxes[place], self._camera, rng)
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        image += self._sigma[:, None, None] * noise
        resized = resize(image, self.survey.cutout_size_pix)
        if self.survey.labels.kind == "class":
            return _to_display(resized, self._sigma)
        return resized

    def _draw_block(self, block: int) -> tuple[Galaxies, Floats]:
        galaxies = draw_block(self.survey, block)
        return galaxies, part_fluxes(galaxies, self.survey)

    def _votes(self, block: int, galaxies: Galaxies, fluxes: Floats) -> FloatArray:
        """Votes in the order of the survey's classes: shape (BLOCK, rows_per_object, K)."""
        classes = self.survey.labels.classes
        if self.survey.labels.kind == "class":
            kinds = np.array([_KIND_OF_CLASS[name] for name in classes])
            one_hot: FloatArray = (galaxies.kind[:, None, None] == kinds).astype(np.float32)
            one_hot[~one_hot.any(axis=2)] = np.nan
            return one_hot
        rng = random_stream(self.survey, "votes", block)
        means = opinions(galaxies, fluxes, self.survey)
        if not self.survey.labels.per_band:
            means = means.mean(axis=1, keepdims=True)
        votes = draw_votes(means, self._simulation.raters, rng)
        ordered: FloatArray = votes[..., [VOTE_CLASSES.index(name) for name in classes]]
        return ordered

    def _labelled_slots(self) -> npt.NDArray[np.int64] | None:
        """Sorted numbers of the labelled cutouts, object by object; None for all of them."""
        slots = self._objects * self.survey.rows_per_object
        wanted = self._simulation.labelled_cutouts
        if wanted is None or wanted >= slots:
            return None
        rng = random_stream(self.survey, "labelled", 0)
        return np.sort(rng.choice(slots, wanted, replace=False))

    def _identity(self) -> str:
        settings = self.survey.model_dump_json(
            include={"name", "pixel_scale", "cutout_size_pix", "bands", "labels", "simulation"}
        )
        digest = hashlib.sha256(settings.encode()).hexdigest()[:12]
        return f"simulated:{self._simulation.seed}:{_VERSION}:{digest}"


def _check_simulation(survey: Survey, labels_uri: str | None) -> Simulation:
    if survey.simulation is None:
        raise ConfigError(
            f"survey {survey.name}: has no [simulation] section and no real input was given; "
            "name the input with --input or add the section"
        )
    if labels_uri is not None:
        raise ConfigError(
            f"{labels_uri}: simulated objects bring their labels; leave --labels out, or name "
            "real cutouts with --input"
        )
    labels = survey.labels
    can_vote = sorted(labels.classes) == sorted(VOTE_CLASSES)
    kinds = {_KIND_OF_CLASS[name].name.lower() for name in labels.classes if name in _KIND_OF_CLASS}
    drawn = {name for name, share in survey.simulation.shares.items() if share > 0}
    if labels.kind == "votes" and not can_vote:
        expected = f"votes need exactly {', '.join(VOTE_CLASSES)}"
    elif labels.kind == "class" and (
        len(kinds) < len(labels.classes) or drawn - kinds - _UNKNOWN_KINDS
    ):
        expected = (
            f"classes can be {', '.join(_KIND_OF_CLASS)}, one for each of the kinds in shares"
        )
    else:
        return survey.simulation
    raise ConfigError(
        f"survey {survey.name}: cannot simulate the classes {', '.join(labels.classes)}; "
        f"{expected}",
        classes=labels.classes,
    )


def _slots_of(
    labelled: npt.NDArray[np.int64] | None, first_object: int, votes: FloatArray
) -> npt.NDArray[np.bool_]:
    """Which cutouts of some consecutive objects are labelled: shape (N, rows_per_object)."""
    chosen = np.full(votes.shape[:2], labelled is None)
    if labelled is not None:
        first = first_object * votes.shape[1]
        here = slice(*np.searchsorted(labelled, (first, first + chosen.size)))
        chosen.reshape(-1)[labelled[here] - first] = True
    return chosen


def _votes_column(votes: FloatArray) -> pa.Array:
    flat = votes.reshape(len(votes), -1)
    offsets = np.arange(len(flat) + 1, dtype=np.int32) * flat.shape[1]
    without = np.isnan(flat).all(axis=1)
    return pa.ListArray.from_arrays(
        pa.array(offsets), pa.array(flat.reshape(-1)), mask=pa.array(without)
    )


def _to_display(image: FloatArray, sigma: FloatArray) -> FloatArray:
    """Stretch bands to 0..255: asinh(x / soft) / asinh(white / soft) above the sky."""
    scaled = image / (_SOFT_SKY_SIGMAS * sigma[:, None, None]) + 0.5
    bright = np.arcsinh(scaled) / np.arcsinh(_WHITE_SKY_SIGMAS / _SOFT_SKY_SIGMAS)
    display: FloatArray = np.rint(255 * np.clip(bright, 0, 1)).astype(np.float32)
    return display
