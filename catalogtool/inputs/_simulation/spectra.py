"""How bright the parts of a simulated galaxy are in every band."""

import numpy as np
import numpy.typing as npt

from catalogtool.inputs._simulation.field import Floats
from catalogtool.inputs._simulation.galaxies import Galaxies, Kind
from catalogtool.surveys._definition import Survey

PARTS = ("bulge", "disk", "clumps")

# AB magnitudes relative to 0.62 micron: old stars with a break at 0.4 micron and a little late star
# formation, a disk that forms stars, young clumps, and (without redshift) a cool star. Below the
# Lyman limit at 0.0912 micron hydrogen takes everything.
_WAVELENGTHS_MICRON = np.array(
    [0.05, 0.0911, 0.0913, 0.12, 0.16, 0.23, 0.30, 0.36, 0.40, 0.41, 0.47, 0.62, 0.90, 1.6, 2.5]
)
_OLD = np.array([16, 14, 5.0, 4.2, 3.9, 3.6, 3.0, 2.2, 1.9, 1.2, 0.75, 0, -0.5, -1.0, -0.7])
_DISK = np.array([14, 12, 3.0, 2.5, 2.2, 2.0, 1.7, 1.4, 1.1, 0.8, 0.45, 0, -0.3, -0.6, -0.3])
_YOUNG = np.array([13, 11, 1.7, 1.1, 0.9, 0.8, 0.8, 0.7, 0.5, 0.35, 0.2, 0, -0.1, -0.2, 0.3])
_STAR = np.array([20, 20, 20, 16, 13, 8.0, 4.6, 2.9, 2.0, 1.7, 0.9, 0, -0.45, -0.5, 0.3])

_ATTENUATION_SLOPE = -0.7  # A(lambda) ~ lambda^-0.7, a starburst-like law


def part_fluxes(galaxies: Galaxies, survey: Survey) -> Floats:
    """Flux of every part of every object in every band.

    Parameters
    ----------
    galaxies : Galaxies
        N objects.
    survey : Survey
        C bands with pivot wavelength and zero point.

    Returns
    -------
    ndarray, shape (N, C, 3), float64
        Data units (counts per second) of bulge, disk and clumps, in the order of `PARTS`. The sum
        over parts in the reddest band is 10^(-0.4 (mag_ab - zeropoint)).
    """
    pivots = np.array([band.pivot_wavelength.to_value("micron") for band in survey.bands])
    zeropoints = np.array([float(band.zeropoint.value) for band in survey.bands])
    rest = np.log(pivots / (1 + galaxies.redshift[:, None]))
    colours = _part_magnitudes(galaxies, rest)
    colours -= colours[:, [int(np.argmax(pivots))]]
    shares = np.stack(
        [
            galaxies.bulge_share,
            1 - galaxies.bulge_share - galaxies.clump_share,
            galaxies.clump_share,
        ],
        axis=-1,
    )
    mag = galaxies.mag_ab[:, None, None] + colours - zeropoints[:, None]
    fluxes: Floats = shares[:, None, :] * 10 ** (-0.4 * mag)
    return fluxes


def _part_magnitudes(
    galaxies: Galaxies, log_rest_micron: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    nodes = np.log(_WAVELENGTHS_MICRON)
    old, disk, young, star = (
        np.interp(log_rest_micron, nodes, template) for template in (_OLD, _DISK, _YOUNG, _STAR)
    )
    is_star = (galaxies.kind == Kind.POINT_SOURCE)[:, None]
    dust = galaxies.dust_mag[:, None] * np.exp(
        _ATTENUATION_SLOPE * (log_rest_micron - np.log(0.55))
    )
    return np.stack([np.where(is_star, star, old), disk + dust, young + dust], axis=-1)
