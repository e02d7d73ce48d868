"""Pyramids of hosts from a mosaic, and what the usual recipe makes per second of the same pixels.

``python tests/benchmarks/host_pyramids.py [--side 6000] [--transients 120] [--rounds 5]``

writes a simulated mosaic and prints, medians over interleaved rounds on one core, the pyramids per
CPU second of this package (mosaic to 5 x 30 x 30 and the table of sources) over those of the usual
recipe: astropy's Cutout2D of the memory-mapped image, background, detection and ellipses by SEP,
and scipy's median filter sampled at every block of every level.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import sep
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.wcs import WCS
from scipy.ndimage import median_filter

from catalogtool.hosts.sources import find_sources
from catalogtool.inputs._simulation.host_scenes import draw_scene, render
from catalogtool.inputs.mosaics import Format
from catalogtool.preprocess.pyramid import FIELD_PIX, build_pyramid
from catalogtool.surveys import load_survey

_TILE = 480


def write_mosaic(folder: Path, side: int) -> WCS:
    """A mosaic of simulated fields, side by side."""
    survey = load_survey("mock_hosts")
    assert survey.host_field is not None
    tiles = side // _TILE
    rows = []
    for row in range(tiles):
        fields = []
        for column in range(tiles):
            scene = draw_scene(survey, survey.host_field, row * tiles + column)
            fields.append(render(survey, scene, np.random.default_rng(row * tiles + column)))
        rows.append(np.concatenate(fields, axis=1))
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [185.0, 12.0]
    wcs.wcs.crpix = [side / 2, side / 2]
    wcs.wcs.cdelt = [-0.25 / 3600, 0.25 / 3600]
    fits.PrimaryHDU(np.concatenate(rows), wcs.to_header()).writeto(folder / "mosaic.fits")
    return wcs


def ours(source: Format, rows: pa.Table) -> int:
    """Mosaic to pyramids."""
    cutouts = source.read(rows)
    return sum(
        build_pyramid(find_sources(image[0], mask[0])).shape[0] > 0
        for image, mask in zip(cutouts.images, cutouts.mask, strict=True)
    )


def usual(data: np.ndarray, wcs: WCS, pixels: list[tuple[float, float]]) -> None:
    """The recipe that a reader of the paper would write down."""
    for place in pixels:
        cutout = Cutout2D(data, place, (FIELD_PIX, FIELD_PIX), wcs=wcs, mode="partial")
        image = np.ascontiguousarray(cutout.data, dtype=np.float32)
        background = sep.Background(image, bw=128, bh=128, fw=3, fh=3)
        flat = image - background
        found = sep.extract(flat, 1.5, err=background.globalrms)
        inside = np.zeros(flat.shape, dtype=bool)
        sep.mask_ellipse(
            inside, found["x"], found["y"], found["a"], found["b"], found["theta"], r=3
        )
        scaled = np.where(inside, flat, 0)
        for level in range(5):
            block = 2**level
            smooth = scaled if block == 1 else median_filter(scaled, size=block)
            whole = smooth[block // 2 :: block, block // 2 :: block]
            middle = len(whole) // 2
            window = whole[middle - 15 : middle + 15, middle - 15 : middle + 15]
            window = window / (window.max() or 1)


def frugal(data: np.ndarray, wcs: WCS, pixels: list[tuple[float, float]]) -> None:
    """The same with medians of blocks by reshaping, over the whole image."""
    for place in pixels:
        cutout = Cutout2D(data, place, (FIELD_PIX, FIELD_PIX), wcs=wcs, mode="partial")
        image = np.ascontiguousarray(cutout.data, dtype=np.float32)
        background = sep.Background(image, bw=128, bh=128, fw=3, fh=3)
        flat = image - background
        found = sep.extract(flat, 1.5, err=background.globalrms)
        inside = np.zeros(flat.shape, dtype=bool)
        sep.mask_ellipse(
            inside, found["x"], found["y"], found["a"], found["b"], found["theta"], r=3
        )
        scaled = np.where(inside, flat, 0)
        for level in range(5):
            block = 2**level
            count = FIELD_PIX // block
            np.median(scaled.reshape(count, block, count, block), axis=(1, 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=4800)
    parser.add_argument("--transients", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "sky"
        folder.mkdir()
        wcs = write_mosaic(folder, arguments.side)
        rng = np.random.default_rng(0)
        pixels = [
            tuple(p) for p in rng.uniform(300, arguments.side - 300, (arguments.transients, 2))
        ]
        sky = [wcs.all_pix2world(*place, 0) for place in pixels]
        table = Path(scratch) / "transients.csv"
        names = [f"t{index}" for index in range(len(sky))]
        ra, dec = (np.array([float(p[axis]) for p in sky]) for axis in (0, 1))
        pyarrow.csv.write_csv(pa.table({"name": names, "ra": ra, "dec": dec}), table)
        survey = load_survey("mock_hosts")
        source = survey.input.model_copy(update={"format": "mosaics", "id_column": "name"})
        survey = survey.model_copy(update={"input": source, "host_field": None})
        opened = Format(survey, str(folder), str(table))
        rows = pa.concat_tables(opened.list_objects())
        with fits.open(folder / "mosaic.fits", memmap=True) as hdus:
            data = hdus[0].data
            ways = {
                "this package": lambda: ours(opened, rows),
                "usual recipe": lambda: usual(data, wcs, pixels),
                "block medians by reshaping": lambda: frugal(data, wcs, pixels),
            }
            seconds: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(arguments.rounds):
                for name, way in ways.items():
                    begin = time.process_time()
                    way()
                    seconds[name].append(time.process_time() - begin)
    rates = {name: len(sky) / np.median(values) for name, values in seconds.items()}
    for name, rate in rates.items():
        print(
            f"{name}: {rate:.1f} pyramids per CPU second, ours {rates['this package'] / rate:.2f}"
        )


if __name__ == "__main__":
    main()
