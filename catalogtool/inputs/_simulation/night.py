"""A simulated night as a survey would hand it out: packets in an archive, a few of them broken."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from catalogtool import storage
from catalogtool.inputs._simulation.archive import Member, write_members
from catalogtool.inputs._simulation.damage import DAMAGE, damaged
from catalogtool.inputs._simulation.field import open_stream
from catalogtool.inputs._simulation.packets import PacketParts
from catalogtool.inputs.simulated_alerts import Format
from catalogtool.progress import Progress
from catalogtool.surveys._definition import Survey

_ADVANCE_EVERY = 500
_LABEL_COLUMNS = ("object_id", "candid", "class", "damage")


@dataclass(frozen=True)
class Night:
    """What to write.

    Attributes
    ----------
    survey : Survey
        One that `simulated_alerts` can simulate.
    count : int
        Alerts.
    distinct : int or None
        How many scenes to draw; later alerts show them again under numbers and positions of their
        own. None: as many as there are alerts.
    corrupt_share : float
        Share of the packets that are broken.
    """

    survey: Survey
    count: int
    distinct: int | None = None
    corrupt_share: float = 0.0

    def with_seed(self, seed: int) -> "Night":
        """Another night of the same survey."""
        settings = self.survey.difference_imaging
        if settings is None:
            return self
        other = settings.model_copy(update={"seed": seed})
        return replace(self, survey=self.survey.model_copy(update={"difference_imaging": other}))


@dataclass(frozen=True)
class Written:
    """What was written: how many packets, how many of every class, and how many broken how."""

    packets: int
    classes: dict[str, int]
    broken: dict[str, int]

    def to_json(self) -> dict[str, object]:
        """Counts for programs."""
        return {"packets": self.packets, "classes": self.classes, "broken": self.broken}


def write_night(
    night: Night, uri: str, progress: Progress, labels_uri: str | None = None
) -> Written:
    """Write a night of packets; the same night always gives the same bytes.

    Parameters
    ----------
    night : Night
    uri : str
        ``*.tar.gz``, ``*.tgz``, ``*.tar``, or a folder; a path or s3://.
    progress : Progress
    labels_uri : str or None
        CSV file to write beside: name, number and class of every alert, and its damage.

    Returns
    -------
    Written
        Classes count sound packets alone. A file is named by its alert's number, and by its
        damage where there is some: ``3302000000001015000-truncated.avro``.
    """
    source = Format(night.survey, f"{Format.word}:{night.count}")
    damage_of = _draw_damage(night)
    truth: list[tuple[str, int, str, str]] = []

    def members() -> Iterator[Member]:
        for index, parts in enumerate(_parts(source, night)):
            seen, damage = parts.sighting, damage_of.get(index, "")
            truth.append((seen.name, seen.candid, source.class_of(seen.kind), damage))
            yield _member(night, parts, damage)
            if len(truth) % _ADVANCE_EVERY == 0 or len(truth) == night.count:
                progress.advance(len(truth), night.count, "packets")

    with progress.stage("write packets"):
        write_members(members(), uri)
    if labels_uri is not None:
        lines = [_LABEL_COLUMNS, *truth]
        text = "".join(",".join(map(str, line)) + "\n" for line in lines)
        storage.write_bytes(labels_uri, text.encode())
    return Written(
        packets=len(truth),
        classes=dict(Counter(sorted(name for _, _, name, damage in truth if not damage))),
        broken=dict(Counter(sorted(damage for *_, damage in truth if damage))),
    )


def _member(night: Night, parts: PacketParts, damage: str) -> Member:
    name = str(parts.sighting.candid)
    if not damage:
        return Member(f"{name}.avro", parts.pack())
    rng = _stream(night, "damage", parts.sighting.index)
    return Member(f"{name}-{damage}.avro", damaged(damage, parts, rng))


def _parts(source: Format, night: Night) -> Iterator[PacketParts]:
    """Packets in order, all but put together."""
    distinct = min(night.distinct or night.count, night.count)
    kept: list[PacketParts] = []
    for index in range(distinct):
        parts = PacketParts.of(source.alert(index))
        if distinct < night.count:
            kept.append(parts)
        yield parts
    for index in range(distinct, night.count):
        again = kept[index % distinct]
        sighting = source.sighting(index)
        yield again.seen_as(
            replace(
                again.sighting,
                index=index,
                name=source.name_of(again.sighting.kind, index),
                ra=sighting.ra,
                dec=sighting.dec,
            )
        )


def _draw_damage(night: Night) -> dict[int, str]:
    """Which packets are broken, and how: as many of every kind as can be."""
    rng = _stream(night, "damaged", night.count)
    chosen = rng.choice(night.count, round(night.count * night.corrupt_share), replace=False)
    return {int(index): DAMAGE[turn % len(DAMAGE)] for turn, index in enumerate(chosen)}


def _stream(night: Night, purpose: str, index: int) -> np.random.Generator:
    settings = night.survey.difference_imaging
    assert settings is not None
    return open_stream(night.survey.name, settings.seed, purpose, index)
