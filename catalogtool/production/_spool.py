"""What was read in the order of the input, kept on disk to be read again in another order."""

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from catalogtool.quality._sprites import Tones


class Spool:
    """Pictures and texts of so many places, which are filled in any order.

    Parameters
    ----------
    folder : Path
        Where the files are; they take a byte per pixel.
    places : int
        How many there are.
    shape : tuple of int
        Shape (C, H, W) of a picture.
    """

    def __init__(self, folder: Path, places: int, shape: tuple[int, int, int]) -> None:
        self._shape = shape
        self._bytes = int(np.prod(shape))
        self._spans = np.zeros((places, 2), dtype=np.int64)  # start and length of each text
        self._pictures = (folder / "pictures").open("w+b", buffering=0)
        self._texts = (folder / "texts").open("w+b")
        self._end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pictures.close()
        self._texts.close()

    def put(self, place: int, picture: Tones, text: str) -> None:
        """Fill one place."""
        data = text.encode()
        self._pictures.seek(place * self._bytes)
        self._pictures.write(picture.tobytes())
        self._texts.seek(self._end)
        self._texts.write(data)
        self._spans[place] = self._end, len(data)
        self._end += len(data)

    def read(self, start: int, stop: int) -> tuple[Tones, list[str]]:
        """Pictures, shape (N, C, H, W), and texts of the places from `start` to before `stop`."""
        self._pictures.seek(start * self._bytes)
        data = self._pictures.read((stop - start) * self._bytes)
        pictures = np.frombuffer(data, dtype=np.uint8).reshape(stop - start, *self._shape)
        return pictures, [self._text(*span) for span in self._spans[start:stop].tolist()]

    def _text(self, start: int, length: int) -> str:
        self._texts.seek(start)
        return self._texts.read(length).decode()
