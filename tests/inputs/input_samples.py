"""Small surveys, FITS files and tables for tests of inputs."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from astropy.io import fits
from PIL import Image

from catalogtool.config._base import build_settings
from catalogtool.inputs._base import Format
from catalogtool.surveys import Survey

SIZE_PIX = 16
CLASSES = ("round", "flat", "odd")
COLUMNS = tuple(f"p_{name}" for name in CLASSES)


def small_survey(
    bands: str = "g r", labels: Mapping[str, object] | None = None, **source: str | None
) -> Survey:
    """A survey of 16 pixel cutouts; ``source`` sets keys of its input."""
    band = {"pivot_wavelength": "0.5 micron", "zeropoint": "25 mag", "psf_fwhm": "0.1 arcsec"}
    values = {
        "name": "small",
        "title": "Small",
        "description": "For tests",
        "reference": "none",
        "pixel_scale": "0.1 arcsec",
        "cutout_size_pix": SIZE_PIX,
        "bands": [{"name": name, "depth": "27 mag", **band} for name in bands.split()],
        "labels": labels or {"kind": "votes", "classes": CLASSES, "columns": COLUMNS},
        "input": {"format": "fits_cutouts", **source},
        "recipes": [
            {
                "kinds": ["morphology"],
                "network": "resnet",
                "method": "source_only",
                "source_survey": "small",
                "stretch": "minmax",
            }
        ],
    }
    return build_settings(Survey, values, where="test")


PER_BAND = {"kind": "votes", "classes": CLASSES, "columns": COLUMNS, "per_band": True}


def listed(source: Format) -> pa.Table:
    """All objects of an input."""
    return pa.concat_tables(source.list_objects())


def pixels(seed: int, size_pix: int = SIZE_PIX) -> npt.NDArray[np.float32]:
    """Noise."""
    return np.random.default_rng(seed).normal(size=(size_pix, size_pix)).astype(np.float32)


def tan_header(ra: float = 150.0, dec: float = 2.0) -> fits.Header:
    """A header whose image centre (16 pixels) is the given position."""
    header = fits.Header()
    header.update(
        CTYPE1="RA---TAN",
        CTYPE2="DEC--TAN",
        CRVAL1=ra,
        CRVAL2=dec,
        CRPIX1=8.5,
        CRPIX2=8.5,
        CD1_1=-1e-5,
        CD1_2=0.0,
        CD2_1=0.0,
        CD2_2=1e-5,
    )
    return header


def write_fits(
    path: Path, images: Mapping[str, npt.NDArray[Any]], header: fits.Header | None = None
) -> None:
    """A file with one named extension per image."""
    hdus = [fits.ImageHDU(data, header, name=name) for name, data in images.items()]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)


def jpeg(image: npt.NDArray[np.uint8], kind: str = "JPEG") -> bytes:
    """Encoded picture of shape (H, W, 3) or (H, W)."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return buffer.getvalue()


def picture(seed: int, size_pix: int = SIZE_PIX) -> npt.NDArray[np.uint8]:
    """Smooth colours, shape (H, W, 3)."""
    phases = np.random.default_rng(seed).uniform(0, 6, size=3)
    y, x = np.mgrid[:size_pix, :size_pix][..., None]
    waves = 127 + 100 * np.sin(x / 5 + y / 7 + phases)
    return waves.astype(np.uint8)
