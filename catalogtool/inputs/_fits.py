"""FITS files in memory: fitsio where it is installed and safe, astropy elsewhere."""

import io
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from catalogtool.inputs._planes import LARGEST_SIDE_PIX

FloatArray = npt.NDArray[np.float64]

_GZIP_MAGIC = b"\x1f\x8b"
_TILE_COMPRESSED = b"ZIMAGE  ="
_TAN = ("RA---TAN", "DEC--TAN")


class DamagedFitsError(Exception):
    """The bytes are not a FITS file that can be read. Never leaves this folder."""


class FitsImages(Protocol):
    """The images of an open FITS file, tile-compressed ones included."""

    names: tuple[str, ...]
    """EXTNAME of each image in lower case; empty where it has none."""

    def shape(self, index: int) -> tuple[int, ...]:
        """Shape of an image, slowest axis first."""

    def pixels(self, index: int) -> npt.NDArray[Any]:
        """Pixels of an image, scaled by BSCALE and BZERO."""

    def header(self, index: int) -> Mapping[str, Any]:
        """Keywords of an image."""

    def primary_header(self) -> Mapping[str, Any]:
        """Keywords of the whole file, which may stand in an HDU without an image."""


@contextmanager
def open_fits(data: bytes) -> Iterator[FitsImages]:
    """Open a FITS file that was read into memory, gzipped or not.

    Raises
    ------
    DamagedFitsError
        Also for trouble inside the ``with`` block: damaged bytes show wherever they are touched.
    """
    try:
        if data.startswith(_GZIP_MAGIC):
            data = isal_zlib.decompress(data, wbits=31)  # 31: with a gzip header
        # cfitsio ends the whole process on some damaged tile-compressed files; astropy does not.
        opener = open_with_astropy if _TILE_COMPRESSED in data else _opener()
        with opener(data) as images:
            yield images
    # Two libraries and a decompressor meet damaged bytes with nearly every kind of exception.
    except Exception as error:
        raise DamagedFitsError(f"{type(error).__name__}: {error}") from error


@cache
def _opener() -> Any:  # noqa: ANN401 - one of the two functions below
    try:
        import fitsio  # noqa: F401 - only whether it is there
    except ImportError:
        return open_with_astropy
    return open_with_fitsio if hasattr(os, "memfd_create") else open_with_astropy


@contextmanager
def open_with_fitsio(data: bytes) -> Iterator[FitsImages]:
    """Read through cfitsio, which knows files only: an anonymous one in memory."""
    import fitsio

    handle = os.memfd_create("cutout")
    try:
        with os.fdopen(handle, "wb", closefd=False) as stream:
            stream.write(data)
        with fitsio.FITS(f"/proc/self/fd/{handle}") as file:
            yield _FitsioImages(file, data)
    finally:
        os.close(handle)


class _FitsioImages:
    def __init__(self, file: Any, data: bytes) -> None:  # noqa: ANN401 - a fitsio.FITS
        self._data = data
        self._primary = file[0]
        self._hdus = [hdu for hdu in file if hdu.has_data() and hdu.get_exttype() == "IMAGE_HDU"]
        self.names = tuple(str(hdu.get_extname()).strip().lower() for hdu in self._hdus)

    def shape(self, index: int) -> tuple[int, ...]:
        return tuple(int(side) for side in self._hdus[index].get_dims())

    def pixels(self, index: int) -> npt.NDArray[Any]:
        hdu = self._hdus[index]
        _refuse_giants(self.shape(index))
        if "BLANK" in hdu.read_header():  # cfitsio leaves such pixels as numbers
            with open_with_astropy(self._data) as images:
                return images.pixels(index)
        pixels: npt.NDArray[Any] = hdu.read()
        return pixels

    def header(self, index: int) -> Mapping[str, Any]:
        return _fitsio_keywords(self._hdus[index])

    def primary_header(self) -> Mapping[str, Any]:
        return _fitsio_keywords(self._primary)


def _fitsio_keywords(hdu: Any) -> Mapping[str, Any]:  # noqa: ANN401 - a fitsio HDU
    return {str(r["name"]): r["value"] for r in hdu.read_header().records()}


@contextmanager
def open_with_astropy(data: bytes) -> Iterator[FitsImages]:
    """Read through astropy: slower, and needs nothing else."""
    from astropy.io import fits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is wrong with a file becomes a flag
        with fits.open(io.BytesIO(data), memmap=False) as file:
            yield _AstropyImages(file)


class _AstropyImages:
    def __init__(self, file: Any) -> None:  # noqa: ANN401 - an astropy HDUList
        self._primary = file[0]
        self._hdus = [hdu for hdu in file if hdu.is_image and hdu.header.get("NAXIS", 0) > 0]
        self.names = tuple(str(hdu.name).strip().lower() for hdu in self._hdus)

    def shape(self, index: int) -> tuple[int, ...]:
        return tuple(self._hdus[index].shape)

    def pixels(self, index: int) -> npt.NDArray[Any]:
        _refuse_giants(self.shape(index))
        pixels: npt.NDArray[Any] = np.asarray(self._hdus[index].data)
        return pixels

    def header(self, index: int) -> Mapping[str, Any]:
        return dict(self._hdus[index].header)

    def primary_header(self) -> Mapping[str, Any]:
        return dict(self._primary.header)


def _refuse_giants(shape: tuple[int, ...]) -> None:
    if any(side > LARGEST_SIDE_PIX for side in shape):
        raise DamagedFitsError(f"shape {shape} is no cutout")


def position_of(
    header: Mapping[str, Any], shape: tuple[int, ...], *, central_pixel: bool = False
) -> tuple[float, float] | None:
    """Position of the centre of an image.

    Parameters
    ----------
    header : mapping
        FITS keywords. Plain ``RA---TAN`` is solved here (Calabretta & Greisen 2002, A&A 395, 1077,
        section 5.1.3); astropy solves everything else.
    shape : tuple of int
        (h, w) in pixels.
    central_pixel : bool
        Whether the pixel (h // 2, w // 2) is meant, and not the point in the middle, which lies
        between two pixels where their number is even.

    Returns
    -------
    tuple of float or None
        ra and dec in degrees; None if the header has no celestial coordinates. FK5 at J2000 is
        taken for ICRS, which it is to 0.1 arcsec.
    """
    if "CRVAL1" not in header or "CTYPE1" not in header:
        return None
    plain = (str(header["CTYPE1"]).strip(), str(header.get("CTYPE2")).strip()) == _TAN
    sides = shape[:-3:-1]  # x, y; the first pixel is 1
    centre = np.array([side // 2 + 1 if central_pixel else (side + 1) / 2 for side in sides])
    position = _tan_to_sky(header, centre) if plain else _any_to_sky(header, centre)
    return position if np.isfinite(position).all() else None


def orientation_of(header: Mapping[str, Any]) -> FloatArray | None:
    """Arcsec to the east and to the north per pixel along columns and rows.

    Returns
    -------
    ndarray, shape (2, 2), or None
        None if the header has no celestial coordinates. Of projections other than the tangent
        plane it is exact at the reference pixel.
    """
    if "CRVAL1" not in header or not str(header.get("CTYPE1", "")).startswith("RA--"):
        return None
    matrix = _linear_part(header) * 3600
    return matrix if np.isfinite(matrix).all() and np.linalg.det(matrix) != 0 else None


def _tan_to_sky(header: Mapping[str, Any], pixel: FloatArray) -> tuple[float, float]:
    reference = np.array([header.get(f"CRPIX{axis}", 0.0) for axis in (1, 2)])
    xi, eta = np.radians(_linear_part(header) @ (pixel - reference))
    ra0, dec0 = np.radians([header["CRVAL1"], header["CRVAL2"]])
    down = np.cos(dec0) - eta * np.sin(dec0)
    ra = ra0 + np.arctan2(xi, down)
    dec = np.arctan2(np.sin(dec0) + eta * np.cos(dec0), np.hypot(xi, down))
    return float(np.degrees(ra) % 360), float(np.degrees(dec))


def _linear_part(header: Mapping[str, Any]) -> FloatArray:
    axes = (1, 2)
    if any(f"CD{i}_{j}" in header for i in axes for j in axes):
        return np.array([[header.get(f"CD{i}_{j}", 0.0) for j in axes] for i in axes])
    if not any(f"PC{i}_{j}" in header for i in axes for j in axes) and "CROTA2" in header:
        rotation = np.radians(header["CROTA2"])
        cosine, sine = np.cos(rotation), np.sin(rotation)
        scale = (header["CDELT1"], header["CDELT2"])
        return np.array(
            [[scale[0] * cosine, -scale[1] * sine], [scale[0] * sine, scale[1] * cosine]]
        )
    return np.array(
        [
            [header.get(f"CDELT{i}", 1.0) * header.get(f"PC{i}_{j}", float(i == j)) for j in axes]
            for i in axes
        ]
    )


def _any_to_sky(header: Mapping[str, Any], pixel: FloatArray) -> tuple[float, float]:
    from astropy.io import fits
    from astropy.wcs import WCS

    comments = ("", "COMMENT", "HISTORY")
    keywords = {key: value for key, value in header.items() if key not in comments}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy remarks on what it repairs
        wcs = WCS(fits.Header(keywords)).celestial
    ra, dec = wcs.all_pix2world([pixel], 1)[0]
    return float(ra), float(dec)
