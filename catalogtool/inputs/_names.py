"""Names of cutouts and objects."""

import re
from collections.abc import Iterable
from typing import NamedTuple

_SHOWN = 5

FITS_ENDINGS = (".fits", ".fit", ".fits.gz", ".fit.gz", ".fits.fz", ".fit.fz")
TABLE_ENDINGS = (".parquet", ".pq")


class CutoutName(NamedTuple):
    """What a cutout's name says."""

    source_id: str
    """The survey's name of the object."""
    band: str | None
    """Band in lower case; None if the name does not tell."""


def parse_name(text: str, id_pattern: str) -> CutoutName | None:
    """Split a cutout's name into object and band.

    Parameters
    ----------
    text : str
        A file's name, with or without its endings, or an entry of an id column.
    id_pattern : str
        Regular expression with named groups: ``band`` is the band; all others that took part in
        the match, joined by ``_``, are the object's name.

    Returns
    -------
    CutoutName or None
        None if the pattern does not match the whole name, or leaves the object without a name.
    """
    match = re.fullmatch(id_pattern, without_endings(text))
    if match is None:
        return None
    groups = match.groupdict()
    band = groups.pop("band", None)
    source_id = "_".join(value for value in groups.values() if value)
    return CutoutName(source_id, band.lower() if band else None) if source_id else None


def without_endings(name: str) -> str:
    """Name of a FITS file without ``.fits``, ``.fits.gz`` and their like; other names unchanged."""
    lower = name.lower()
    for ending in sorted(FITS_ENDINGS, key=len, reverse=True):
        if lower.endswith(ending):
            return name[: -len(ending)]
    return name


def first_few(items: Iterable[object]) -> str:
    """The first few of some offenders, for an error's sentence."""
    shown = [str(item) for item in items]
    return ", ".join(shown[:_SHOWN]) + (", …" if len(shown) > _SHOWN else "")
