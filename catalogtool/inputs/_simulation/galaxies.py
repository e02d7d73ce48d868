"""The simulated population: physical parameters of galaxies and stars, drawn block by block."""

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from catalogtool.inputs._simulation.field import Floats, draw_positions, open_stream
from catalogtool.surveys._definition import Survey

BLOCK = 512
"""Objects that are drawn together. A block is always drawn whole, so that what an object is
depends on its index alone and never on its company."""

_MAG_SCALE = 1.1  # exp(m / 1.1): counts that rise as 10^(0.4 m)
_RADIUS_SLOPE = -0.12  # d log10 radius / d mag
_RADIUS_SCATTER = 0.16  # dex
_DISK_THICKNESS = 0.15
_LENS_DIMMING = 0.8  # share of a lens's bulge that arcs leave it, relative to other spheroids
_ARC_SHARE = 0.95  # of what is not bulge


class Kind(IntEnum):
    """What a simulated object is."""

    SPHEROID = 0
    DISK = 1
    IRREGULAR = 2
    POINT_SOURCE = 3
    LENSED_ARC = 4
    """A spheroid that bends the light of a young galaxy behind it; the arcs are its clumps."""


@dataclass(frozen=True)
class Galaxies:
    """Physical parameters of N simulated objects, one array per parameter.

    Attributes
    ----------
    kind : ndarray, shape (N,), int64
        Values of `Kind`.
    ra, dec : ndarray, shape (N,)
        ICRS degrees.
    redshift : ndarray, shape (N,)
    mag_ab : ndarray, shape (N,)
        Total magnitude in the survey's reddest band.
    radius_arcsec : ndarray, shape (N,)
        Half-light radius along the major axis; 0 for point sources.
    bulge_share, clump_share : ndarray, shape (N,)
        Shares of the flux in the reddest band; the disk has the rest.
    axis_ratio, angle_rad : ndarray, shape (N,)
        Minor over major axis, and position angle of the major axis.
    dust_mag : ndarray, shape (N,)
        Attenuation of disk and clumps at 0.55 micron rest wavelength.
    """

    kind: npt.NDArray[np.int64]
    ra: Floats
    dec: Floats
    redshift: Floats
    mag_ab: Floats
    radius_arcsec: Floats
    bulge_share: Floats
    clump_share: Floats
    axis_ratio: Floats
    angle_rad: Floats
    dust_mag: Floats

    def take(self, chosen: npt.NDArray[np.int64] | slice) -> "Galaxies":
        """Choose some of the objects."""
        return Galaxies(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})


def random_stream(survey: Survey, purpose: str, index: int) -> np.random.Generator:
    """Open the random numbers of one purpose and one index.

    They depend on the survey's name and seed, the purpose and the index, and on nothing else.
    """
    simulation = survey.simulation
    assert simulation is not None
    return open_stream(survey.name, simulation.seed, purpose, index)


def draw_block(survey: Survey, block: int) -> Galaxies:
    """Draw the objects with indices ``block * BLOCK`` to ``(block + 1) * BLOCK - 1``.

    Notes
    -----
    Magnitudes follow number counts that rise as 10^(0.4 m) and thin out linearly towards the limit
    of visual inspection. Sizes are log-normal around a mean that falls with magnitude. Redshifts
    follow a gamma distribution with the survey's median. Disks are seen from random directions.
    """
    simulation = survey.simulation
    assert simulation is not None
    rng = random_stream(survey, "galaxies", block)
    share_of = {str(name): share for name, share in simulation.shares.items()}
    shares = np.array([share_of.get(kind.name.lower(), 0.0) for kind in Kind])
    kind = rng.choice(len(Kind), BLOCK, p=shares / shares.sum())
    limit = float(simulation.magnitude_limit.value)
    brighter = np.minimum(rng.gamma(2.0, _MAG_SCALE, BLOCK), 6.0)
    radius = simulation.radius_at_limit.to_value("arcsec") * 10 ** (
        -_RADIUS_SLOPE * brighter + _RADIUS_SCATTER * rng.standard_normal(BLOCK)
    )
    redshift = rng.gamma(4.0, simulation.median_redshift / 3.672, BLOCK)
    axis_ratio = _draw_axis_ratios(kind, rng)
    bulge, clumps = _draw_shares(kind, axis_ratio, rng)
    ra, dec = draw_positions(simulation, BLOCK, rng)
    is_point = kind == Kind.POINT_SOURCE
    is_old = np.isin(kind, (Kind.SPHEROID, Kind.POINT_SOURCE, Kind.LENSED_ARC))
    return Galaxies(
        kind=kind,
        ra=ra,
        dec=dec,
        redshift=np.where(is_point, 0.0, redshift),
        mag_ab=limit - brighter,
        radius_arcsec=np.where(is_point, 0.0, radius),
        bulge_share=bulge,
        clump_share=clumps,
        axis_ratio=axis_ratio,
        angle_rad=rng.uniform(0, np.pi, BLOCK),
        dust_mag=np.where(is_old, 0.05, rng.exponential(0.3, BLOCK) + 0.2 * (1 / axis_ratio - 1)),
    )


def _draw_shares(
    kind: npt.NDArray[np.int64], axis_ratio: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Shares of bulge and clumps; the arms of a disk hide when it is seen from its edge."""
    bulge_of_kind = [rng.beta(9.0, 1.5, BLOCK), rng.beta(1.6, 5.0, BLOCK), rng.beta(1.0, 15, BLOCK)]
    lens = _LENS_DIMMING * bulge_of_kind[0]
    clumps_of_kind = [
        np.zeros(BLOCK),
        axis_ratio * rng.beta(3.5, 4.5, BLOCK),
        rng.beta(5.0, 4.0, BLOCK),
    ]
    bulge = np.choose(kind, [*bulge_of_kind, np.ones(BLOCK), lens])
    clumps = np.choose(kind, [*clumps_of_kind, np.zeros(BLOCK), np.full(BLOCK, _ARC_SHARE)])
    return bulge, (1 - bulge) * clumps


def _draw_axis_ratios(kind: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats:
    cosine = rng.random(BLOCK)
    disk = np.sqrt(_DISK_THICKNESS**2 + (1 - _DISK_THICKNESS**2) * cosine**2)
    spheroid = rng.uniform(0.55, 1.0, BLOCK)
    irregular = rng.uniform(0.35, 0.9, BLOCK)
    return np.choose(kind, [spheroid, disk, irregular, np.ones(BLOCK), spheroid])
