"""Quality flags: one table of bits from which constants, decoder and catalog columns follow."""

from dataclasses import dataclass
from enum import IntFlag


class Flag(IntFlag):
    """Bits of the ``flags`` column; 0 means nothing to report."""

    UNREADABLE = 1
    MISSING_FILE = 2
    MISSING_BAND = 4
    WRONG_SHAPE = 8
    NO_VALID_PIXELS = 16
    NO_SIGNAL = 32
    NO_POSITION = 64
    PARTLY_MASKED = 128
    RESAMPLED = 256
    UNKNOWN_CLASS = 512
    PADDED = 1024
    DUPLICATE = 2048
    NO_SOURCE = 4096


@dataclass(frozen=True)
class FlagMeaning:
    """What one bit says about a row."""

    flag: Flag
    fatal: bool
    """A fatal flag means that the row has no prediction."""
    description: str


MEANINGS = (
    FlagMeaning(Flag.UNREADABLE, True, "the cutout could not be decoded"),
    FlagMeaning(Flag.MISSING_FILE, True, "the cutout's file or object does not exist"),
    FlagMeaning(Flag.MISSING_BAND, True, "the object has no pixels in this band"),
    FlagMeaning(Flag.WRONG_SHAPE, True, "the pixels are not a two-dimensional image of the bands"),
    FlagMeaning(Flag.NO_VALID_PIXELS, True, "every pixel is masked, NaN or infinite"),
    FlagMeaning(Flag.NO_SIGNAL, True, "all valid pixels have one value"),
    FlagMeaning(Flag.NO_POSITION, False, "no right ascension and declination are known"),
    FlagMeaning(Flag.PARTLY_MASKED, False, "some pixels are masked and were filled"),
    FlagMeaning(Flag.RESAMPLED, False, "the cutout was resized to the survey's cutout size"),
    FlagMeaning(
        Flag.UNKNOWN_CLASS,
        False,
        "it is so unlike the labelled objects that no class may fit",
    ),
    FlagMeaning(Flag.PADDED, False, "the cutout was padded or cropped to the survey's cutout size"),
    FlagMeaning(Flag.NO_SOURCE, True, "nothing stands out in the wide cutout, so no host can"),
    FlagMeaning(Flag.DUPLICATE, True, "another alert of the same id came before this one"),
)

FATAL = Flag(sum(meaning.flag for meaning in MEANINGS if meaning.fatal))


def names(flags: int) -> tuple[str, ...]:
    """Name the bits that are set, in lower case, lowest bit first."""
    return tuple(str(f.name).lower() for f in Flag if flags & f)
