import astropy.units as u
import numpy as np
from astropy.coordinates import BarycentricMeanEcliptic, SkyCoord

from catalogtool.quality._sky import ecliptic, galactic_plane


def test_the_galactic_plane_is_where_astropy_has_it() -> None:
    ra, dec = galactic_plane().T
    galactic = SkyCoord(ra * u.deg, dec * u.deg).galactic
    assert np.abs(galactic.b.deg).max() < 1e-5
    assert np.ptp(galactic.l.deg) > 350


def test_the_ecliptic_is_where_astropy_has_it() -> None:
    ra, dec = ecliptic().T
    latitude = SkyCoord(ra * u.deg, dec * u.deg).transform_to(BarycentricMeanEcliptic()).lat.deg
    assert np.abs(latitude).max() < 1e-4  # the frames differ by a few hundredths of an arcsecond


def test_circles_close_and_have_even_steps() -> None:
    for circle in (galactic_plane(91), ecliptic(91)):
        assert circle.shape == (91, 2)
        points = SkyCoord(circle * u.deg)
        assert points[0].separation(points[-1]).deg < 1e-9
        np.testing.assert_allclose(points[:-1].separation(points[1:]).deg, 4, atol=1e-9)
