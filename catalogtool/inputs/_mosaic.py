"""One large FITS image: where it is on the sky, and a section of it without reading the rest."""

from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt

from catalogtool import storage
from catalogtool.errors import StorageError
from catalogtool.inputs._fits import orientation_of

FloatArray = npt.NDArray[np.float64]

_SCALED = ("BSCALE", "BZERO", "BLANK")


class DamagedMosaicError(Exception):
    """The file is not an image that can be read. Never leaves this folder."""


class Mosaic:
    """An open image.

    Parameters
    ----------
    uri : str
        Of a FITS file, tile-compressed or not; on object storage only what is needed is read.
    hdu : str or None
        Name of the extension; None: the first one with an image.

    Raises
    ------
    DamagedMosaicError
        If it cannot be read.
    """

    def __init__(self, uri: str, hdu: str | None = None) -> None:
        from astropy.io import fits
        from astropy.wcs import WCS

        self.uri = uri
        self._open = ExitStack()
        try:
            where = storage.normalise(uri) if storage.is_local(uri) else storage.open_input(uri)
            hdus = self._open.enter_context(fits.open(where, lazy_load_hdus=True, memmap=True))
            self._hdu = _image(hdus, hdu)
            header = self._hdu.header
            self.shape: tuple[int, int] = tuple(self._hdu.shape)
            self.wcs = WCS(header).celestial
            self.orientation = orientation_of(header)
            # A section is read row by row; pixels that are stored as they are need no reading.
            is_plain = storage.is_local(uri) and not {"ZIMAGE", *_SCALED} & {*self._hdu.header}
            is_plain &= type(self._hdu) in {
                fits.PrimaryHDU,
                fits.ImageHDU,
            }  # compressed ones derive
            self._pixels = self._hdu.data if is_plain else self._hdu.section
        except StorageError:
            self._open.close()
            raise
        except Exception as error:  # codecs have exceptions of their own
            self._open.close()
            raise DamagedMosaicError(f"{uri}: {type(error).__name__}: {error}") from error
        if len(self.shape) != 2 or not self.wcs.has_celestial:
            self._open.close()
            raise DamagedMosaicError(f"{uri}: is no image with celestial coordinates")

    def __del__(self) -> None:
        self._open.close()

    def pixels(self, ra: FloatArray, dec: FloatArray) -> FloatArray:
        """Nearest pixels, column and row, of positions; shape (N, 2), NaN beyond the projection."""
        with np.errstate(all="ignore"):
            x, y = self.wcs.all_world2pix(ra, dec, 0, quiet=True)
        return np.round(np.stack([x, y], axis=1))

    def depth(self, pixels: FloatArray) -> FloatArray:
        """Distance of pixels from the nearest edge, negative outside; NaN counts as outside."""
        height, width = self.shape
        x, y = pixels.T
        depth = np.minimum.reduce([x, width - 1 - x, y, height - 1 - y])
        return np.where(np.isfinite(depth), depth, -np.inf)

    def cutout(self, column: int, row: int, size: int) -> tuple[npt.NDArray[Any], bool]:
        """Square around a pixel, which becomes ``(size // 2, size // 2)``; NaN beyond the edges.

        Returns
        -------
        pixels : ndarray, shape (size, size), float32
        is_padded : bool

        Raises
        ------
        DamagedMosaicError
            If this part of the file cannot be read.
        """
        height, width = self.shape
        left, top = column - size // 2, row - size // 2
        x0, x1 = max(left, 0), min(left + size, width)
        y0, y1 = max(top, 0), min(top + size, height)
        found = np.full((size, size), np.nan, dtype=np.float32)
        if x0 < x1 and y0 < y1:
            try:
                found[y0 - top : y1 - top, x0 - left : x1 - left] = self._pixels[y0:y1, x0:x1]
            except StorageError:
                raise
            except Exception as error:
                raise DamagedMosaicError(f"{self.uri}: {error}") from error
        return found, (x1 - x0, y1 - y0) != (size, size)


def _image(hdus: Any, name: str | None) -> Any:  # noqa: ANN401 - of astropy
    if name is not None:
        return hdus[name]
    for hdu in hdus:
        if getattr(hdu, "is_image", False) and hdu.header.get("NAXIS", 0) >= 2:
            return hdu
    raise ValueError("holds no image")
