"""Files of small per-band surveys, simulated or of FITS cutouts, that learn in seconds."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.io import fits

SIZE_PIX = 32
CLASSES = ("spheroid", "disk", "irregular", "point_source", "unclassifiable")
VOTES = ("p_smooth", "p_features", "p_irregular", "p_point_source", "p_unclassifiable")

_SURVEY = """
name = "{name}"
title = "{name}"
description = "For tests"
reference = "none"
pixel_scale = "{pixel_scale}"
cutout_size_pix = {size_pix}

[labels]
kind = "votes"
per_band = true
classes = {classes}
columns = {votes}

[input]
format = "simulated"
id_column = "{id_column}"
ra_column = "{ra_column}"
dec_column = "{dec_column}"
id_pattern = '(?P<object_id>[A-Za-z0-9_.]+?)(_(?P<band>f\\d{{3}}w))?'

[simulation]
objects = {objects}
seed = 1
ra = "150 deg"
dec = "2 deg"
radius = "0.2 deg"
{simulation}

[[recipes]]
kinds = {kinds}
network = "resnet"
network_options = {{ widths = [8, 16], blocks = [1, 1] }}
method = "source_only"
source_survey = "{source}"
stretch = "minmax"
source_training = {{ max_epochs = 2, batch_size = 16 }}
"""
_BAND = """
[[bands]]
name = "{band}"
pivot_wavelength = "1 micron"
zeropoint = "26 mag"
psf_fwhm = "0.15 arcsec"
depth = "27.5 mag"
"""
_DEFAULTS = {
    "pixel_scale": "0.06 arcsec",
    "size_pix": SIZE_PIX,
    "classes": list(CLASSES),
    "votes": list(VOTES),
    "id_column": "object_id",
    "ra_column": "ra",
    "dec_column": "dec",
    "objects": 48,
    "simulation": "",
    "kinds": ["morphology", "morphology_wide"],
}


def write_survey(
    folder: Path,
    name: str,
    source: str,
    bands: tuple[str, ...] = ("f814w", "f160w"),
    **changes: object,
) -> Path:
    """Write a survey file that learns from another one, or from itself."""
    text = _SURVEY.format(name=name, source=source, **(_DEFAULTS | changes))
    file = folder / f"{name}.toml"
    file.write_text(text + "".join(_BAND.format(band=band) for band in bands))
    return file


def write_surveys(folder: Path) -> tuple[Path, Path]:
    """Two survey files: ``tiny``, which is simulated, and ``real``, which learns from it."""
    tiny = write_survey(folder, "tiny", "tiny")
    return tiny, write_survey(folder, "real", str(tiny))


def write_cutouts(folder: Path, count: int) -> list[str]:
    """Write FITS files of noise in both bands; returns the names of the objects."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    names = [f"gal{index:05d}" for index in range(count)]
    for name in names:
        first, second = rng.normal(size=(2, SIZE_PIX, SIZE_PIX)).astype(np.float32)
        write_cutout(folder / f"{name}.fits", {"F814W": first, "F160W": second})
    return names


def write_cutout(file: Path, bands: Mapping[str, npt.NDArray[np.float32]]) -> None:
    """Write one FITS file with an extension per band."""
    images = [fits.ImageHDU(image, name=name) for name, image in bands.items()]
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(file, overwrite=True)


def write_positions(names: list[str], file: Path) -> None:
    """Write a table of positions alone."""
    lines = [f"{name},{150 + 0.001 * index:.4f},2.0" for index, name in enumerate(names)]
    file.write_text("\n".join(["object_id,ra,dec", *lines]) + "\n")


def write_votes(names: list[str], file: Path) -> None:
    """Write a table of positions and of votes of the first band, all for one class in turn."""
    lines = [",".join(("object_id", "ra", "dec", *VOTES))]
    for index, name in enumerate(names):
        votes = ["1" if index % len(VOTES) == k else "0" for k in range(len(VOTES))]
        lines.append(",".join((f"{name}_f814w", f"{150 + 0.001 * index:.4f}", "2.0", *votes)))
    file.write_text("\n".join(lines) + "\n")
