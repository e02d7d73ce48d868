import numpy as np
from astropy import units as u
from astropy.coordinates import BarycentricMeanEcliptic, SkyCoord

from catalogtool.inputs._alerts.sky import ecliptic, galactic


def test_rotations_are_those_of_astropy() -> None:
    rng = np.random.default_rng(5)
    ra, dec = rng.uniform(0, 360, 500), rng.uniform(-90, 90, 500)
    dec[:2] = 90, -90
    sky = SkyCoord(ra, dec, unit="deg")
    for (longitude, latitude), frame in (
        (galactic(ra, dec), sky.galactic),
        (ecliptic(ra, dec), sky.transform_to(BarycentricMeanEcliptic())),
    ):
        here = SkyCoord(longitude, latitude, unit="deg")
        there = SkyCoord(frame.spherical.lon, frame.spherical.lat)
        assert here.separation(there).max() < 0.1 * u.arcsec  # the bias of the mean equator


def test_unknown_positions_stay_unknown() -> None:
    assert np.isnan(galactic(np.array([np.nan]), np.array([1.0]))).all()
    assert ecliptic(np.zeros(0), np.zeros(0))[0].shape == (0,)
