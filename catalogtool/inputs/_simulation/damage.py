"""Packets as they should not be: damage that no reader can overlook."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from catalogtool.inputs._simulation.packets import PacketParts

_FLIPPED_BYTES = 8
_SCHEMA = slice(64, 4096)  # somewhere in the text of the schema
_NO_PACKET = b"<html><body><h1>503 Service Unavailable</h1></body></html>\n"

Maker = Callable[[PacketParts, np.random.Generator], bytes]


def damaged(kind: str, parts: PacketParts, rng: np.random.Generator) -> bytes:
    """Write a packet with damage of some kind, one of `DAMAGE`."""
    return _MAKERS[kind](parts, rng)


def _truncated(parts: PacketParts, rng: np.random.Generator) -> bytes:
    packet = parts.pack()
    return packet[: int(len(packet) * rng.uniform(0.05, 0.95))]


def _flipped(parts: PacketParts, rng: np.random.Generator) -> bytes:
    packet = bytearray(parts.pack())
    places = rng.choice(np.arange(_SCHEMA.start, _SCHEMA.stop), _FLIPPED_BYTES, replace=False)
    for place in places:
        packet[place] ^= 0xFF
    return bytes(packet)


def _not_avro(parts: PacketParts, rng: np.random.Generator) -> bytes:
    del parts, rng
    return _NO_PACKET


def _garbage_cutout(parts: PacketParts, rng: np.random.Generator) -> bytes:
    cutouts = list(parts.cutouts)
    victim = int(rng.integers(len(cutouts)))
    cutouts[victim] = rng.bytes(len(cutouts[victim]))
    return replace(parts, cutouts=tuple(cutouts)).pack()


_MAKERS: dict[str, Maker] = {
    "truncated": _truncated,
    "flipped": _flipped,
    "not_avro": _not_avro,
    "garbage_cutout": _garbage_cutout,
}
DAMAGE = tuple(_MAKERS)
"""Kinds of damage."""
