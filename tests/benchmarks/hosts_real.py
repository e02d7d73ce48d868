"""Real transients whose host is known, one by one; none of them ever taught a network.

UGC 1333, host of SN 2006ob, in Pan-STARRS and DES, and the reference images of ZTF's alerts of the
few objects in the table of hosts, whose pixels of 1.01 arcsec are interpolated.
"""

import csv
import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales
from scipy.ndimage import map_coordinates

from catalogtool.hosts.association import Association
from catalogtool.hosts.candidates import weigh
from catalogtool.hosts.ellipses import best_ellipses
from catalogtool.hosts.sky import offsets_between
from catalogtool.hosts.sources import find_sources
from catalogtool.networks._delight import Delight
from catalogtool.preprocess.pyramid import FIELD_PIX, build_pyramid, centred
from catalogtool.training.hosts import CENTRE_PIX, vote

DATA = Path(os.environ.get("CATALOGTOOL_DATA", "../shared/data"))
SCALE_ARCSEC = 0.25
ZTF_SCALE_ARCSEC = 1.01
_SN_2006OB, _UGC_1333 = (27.95046, 0.26342), (27.95212, 0.26383)
_FILL = -32766  # quantised pixels below are not numbers


class Real(NamedTuple):
    """A real field: the transient at the central pixel, its host at an offset in pixels."""

    name: str
    image: np.ndarray
    host: np.ndarray
    scale_arcsec: float


def real_fields() -> Iterator[Real]:
    """All of them."""
    yield from _ugc_1333()
    yield from _ztf_references()


def _ugc_1333() -> Iterator[Real]:
    for path in sorted((DATA / "transient-hosts/ugc1333-images").glob("*.fits.gz")):
        with fits.open(path) as hdus:
            hdu = next(h for h in hdus if h.data is not None and h.data.ndim == 2)
            image, wcs = hdu.data.astype(np.float32), WCS(hdu.header)
        column, row = (round(float(v)) for v in wcs.all_world2pix(*_SN_2006OB, 0))
        padded = np.pad(image, CENTRE_PIX, constant_values=np.nan)
        cut = padded[row : row + FIELD_PIX, column : column + FIELD_PIX]
        x, y = wcs.all_world2pix(*_UGC_1333, 0)
        scale = 3600 * float(np.mean(proj_plane_pixel_scales(wcs)))
        host = np.array([float(x) - column, float(y) - row])
        yield Real(path.name.split(".")[0], centred(cut, np.nan), host, scale)


def _ztf_references() -> Iterator[Real]:
    """One reference per object and band; its lowest row is the northernmost one."""
    with gzip.open(DATA / "transient-hosts/delight_hosts.csv.gz", "rt") as file:
        known = {row["oid"]: row for row in csv.DictReader(file)}
    columns = ["row", "objectId", "fid", "ra", "dec"]
    table = pq.read_table(DATA / "ztf-alerts/candidates.parquet", columns=columns)
    seen = set()
    with h5py.File(DATA / "ztf-alerts/stamps.h5") as stamps:
        for alert in table.to_pylist():
            key = (alert["objectId"], alert["fid"])
            if alert["objectId"] not in known or key in seen:
                continue
            seen.add(key)
            row = alert["row"]
            counts = stamps["q"][row, 1]
            pixels = stamps["offset"][row, 1] + stamps["step"][row, 1] * counts.astype(np.float64)
            pixels[counts < _FILL] = np.nan
            truth = known[alert["objectId"]]
            places = (alert["ra"], alert["dec"], truth["host_ra"], truth["host_dec"])
            east, north = offsets_between(*(np.array([float(value)]) for value in places))[0]
            host = np.array([-east, north]) / SCALE_ARCSEC
            name = f"{alert['objectId']} {'gr'[alert['fid'] - 1]}"
            yield Real(name, _interpolated(np.flipud(pixels)), host, SCALE_ARCSEC)


def _interpolated(image: np.ndarray) -> np.ndarray:
    """Pixels as small as those that networks are trained on; NaN outside of the image."""
    steps = (np.arange(FIELD_PIX) - CENTRE_PIX) * SCALE_ARCSEC / ZTF_SCALE_ARCSEC
    rows, columns = (steps + length // 2 for length in image.shape)
    grid = np.meshgrid(rows, columns, indexing="ij")
    return map_coordinates(image, grid, order=1, cval=np.nan).astype(np.float32)


def report_real(network: Delight, association: Association) -> None:
    """Print what is found for each field."""
    for real in real_fields():
        detection = find_sources(real.image, np.zeros((FIELD_PIX, FIELD_PIX), dtype=bool))
        sources = best_ellipses(detection)
        away = np.hypot(*real.host) * real.scale_arcsec
        if not len(sources):
            print(f"{real.name}: host {away:.1f} arcsec away, no source", flush=True)
            continue
        votes = vote(network, build_pyramid(detection)[None])[0]
        found = weigh(sources, votes, association, CENTRE_PIX)
        answers = (found.host, found.network, found.nearest, found.lightest)
        errors = [np.hypot(*(place - real.host)) * real.scale_arcsec for place in answers]
        print(
            f"{real.name}: host {away:.1f} arcsec away; errors of the model {errors[0]:.2f}, the "
            f"network {errors[1]:.2f}, the nearest source {errors[2]:.2f}, the light radius "
            f"{errors[3]:.2f} arcsec; probability {found.p_host:.2f}, scatter "
            f"{found.scatter * real.scale_arcsec:.2f} arcsec",
            flush=True,
        )
