"""Simulated wide fields around transients, with the truth about their hosts.

Nothing is stored: a manifest row names an index, and the index with the survey's name and seed
says everything about the field.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa

from catalogtool.errors import ConfigError
from catalogtool.hosts.sky import shifted
from catalogtool.inputs._base import MANIFEST_SCHEMA, Cutouts
from catalogtool.inputs._base import Format as BaseFormat
from catalogtool.inputs._host_facts import HOST_FACTS
from catalogtool.inputs._simulation.field import draw_positions, observed_mjd, open_stream
from catalogtool.inputs._simulation.formats import parse_word, refuse
from catalogtool.inputs._simulation.host_pixels import render
from catalogtool.inputs._simulation.host_scenes import (
    KINDS,
    LIGHT_RADII,
    Scene,
    draw_scene,
)
from catalogtool.surveys._definition import Survey
from catalogtool.surveys._simulated import HostField

_VERSION = 2
"""Raised whenever the same settings give other pixels or labels."""
_BLOCK = 1000
HOSTLESS = "hostless"


class Format(BaseFormat):
    """Simulated fields around transients.

    Parameters
    ----------
    survey : Survey
        Needs a ``[host_field]`` section, one band, and the classes spheroid, disk, irregular and
        hostless.
    uri : str or None
        ``"simulated_hosts:N"`` asks for N transients; None or ``"simulated_hosts"`` for the
        survey's number.
    labels_uri : str or None
        Must be None: simulated fields bring their labels.

    Raises
    ------
    ConfigError
        If the survey cannot be simulated, or labels are given.
    """

    simulated = True

    def __init__(self, survey: Survey, uri: str | None, labels_uri: str | None = None) -> None:
        super().__init__(survey, uri, labels_uri)
        self._field = _check_settings(survey, labels_uri)
        asked = parse_word("simulated_hosts", uri or "simulated_hosts")
        if asked is None:
            raise ConfigError(
                f"{uri}: expected simulated_hosts or simulated_hosts:N with N transients", uri=uri
            )
        self.count = asked or self._field.transients

    def with_seed(self, seed: int | None) -> "Format":
        """As many transients of another sky; None: of the same."""
        if seed is None:
            return self
        field = self._field.model_copy(update={"seed": seed})
        survey = self.survey.model_copy(update={"host_field": field})
        return Format(survey, f"simulated_hosts:{self.count}")

    @staticmethod
    def recognises(uri: str) -> bool:
        """Whether the text is ``simulated_hosts`` or ``simulated_hosts:N``."""
        return parse_word("simulated_hosts", uri) is not None

    def list_objects(self) -> Iterator[pa.Table]:
        """Yield the transients; no pixels are drawn."""
        identity = self._identity()
        for block in range(-(-self.count // _BLOCK)):
            rng = open_stream(self.survey.name, self._field.seed, "host-positions", block)
            ra, dec = draw_positions(self._field, _BLOCK, rng)
            is_labelled = rng.random(_BLOCK) < self._field.labelled_share
            index = np.arange(block * _BLOCK, min((block + 1) * _BLOCK, self.count))
            scenes = [self.scene(i) for i in index.tolist()]
            votes = [
                self._votes(scene) if labelled else None
                for scene, labelled in zip(scenes, is_labelled.tolist(), strict=False)
            ]
            yield pa.table(
                {
                    "object_id": index,
                    "source_id": [self.name_of(i) for i in index.tolist()],
                    "ra": ra[: len(index)],
                    "dec": dec[: len(index)],
                    "flags": np.zeros(len(index), dtype=np.int32),
                    "uris": [[]] * len(index),
                    "row": index,
                    "identity": [identity] * len(index),
                    "votes": votes,
                    "split": [""] * len(index),
                    "observed_mjd": observed_mjd(self._field, self.survey.timezone, index),
                },
                schema=MANIFEST_SCHEMA,
            )

    def read(self, rows: pa.Table) -> Cutouts:
        """Draw the cutouts of some manifest rows, and what is known of their hosts."""
        cutouts = self.empty_cutouts(rows.num_rows)
        facts = []
        for position, row in enumerate(rows.select(["row", "ra", "dec", "votes"]).to_pylist()):
            scene = self.scene(row["row"])
            stream = (self.survey.name, self._field.seed, "host-pixels", row["row"])
            cutouts.images[position, 0] = render(self.survey, scene, open_stream(*stream))
            known = row["votes"] is not None
            facts.append(self._facts(scene, row["ra"], row["dec"]) if known else {})
        cutouts.mask[:] = False
        return replace(cutouts, facts=pa.Table.from_pylist(facts, schema=HOST_FACTS))

    def scene(self, index: int) -> Scene:
        """What is in the field of one transient."""
        return draw_scene(self.survey, self._field, index)

    def sky_position(self, x: float, y: float, ra: float, dec: float) -> tuple[float, float]:
        """Position of a pixel of a cutout around a transient; north is up, east is left."""
        centre = self.survey.cutout_size_pix // 2
        offset = np.array([[centre - x, y - centre]]) * self.survey.pixel_scale_arcsec
        found_ra, found_dec = shifted(np.array([ra]), np.array([dec]), offset)
        return float(found_ra[0]), float(found_dec[0])

    def _facts(self, scene: Scene, ra: float, dec: float) -> dict[str, object]:
        if scene.host is None:
            return {"is_hostless": True}
        host_ra, host_dec = self.sky_position(scene.host.x, scene.host.y, ra, dec)
        return {
            "host_ra": host_ra,
            "host_dec": host_dec,
            "is_hostless": False,
            "host_radius_arcsec": LIGHT_RADII * scene.host.radius_arcsec,
        }

    def name_of(self, index: int) -> str:
        """The survey's name of a transient."""
        return f"sim-{self.survey.name}-{index:06d}"

    @staticmethod
    def class_of(scene: Scene) -> str:
        """Class of the transient's host."""
        return HOSTLESS if scene.host is None else scene.host.kind

    def _votes(self, scene: Scene) -> list[float]:
        name = self.class_of(scene)
        return [float(name == other) for other in self.survey.labels.classes]

    def _identity(self) -> str:
        settings = self.survey.model_dump_json(
            include={"name", "pixel_scale", "cutout_size_pix", "bands", "labels", "host_field"}
        )
        digest = hashlib.sha256(settings.encode()).hexdigest()[:12]
        return f"simulated_hosts:{self._field.seed}:{_VERSION}:{digest}"


def _check_settings(survey: Survey, labels_uri: str | None) -> HostField:
    if survey.host_field is None:
        reason = "has no [host_field] section; add it, or name the input with --input"
    elif labels_uri is not None:
        raise ConfigError(
            f"{labels_uri}: simulated fields bring their labels; leave --labels out, or name real "
            "cutouts with --input"
        )
    elif len(survey.bands) != 1:
        reason = f"has {len(survey.bands)} bands; simulated fields have one"
    elif {*survey.labels.classes} != {*KINDS, HOSTLESS}:
        reason = (
            f"has the classes {', '.join(survey.labels.classes)}; simulated hosts are "
            f"{', '.join((*KINDS, HOSTLESS))}"
        )
    else:
        return survey.host_field
    raise refuse(survey, reason)
