"""Circles on the sky against astropy."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from catalogtool.errors import ConfigError
from catalogtool.release._cone import Cone
from catalogtool.release._tiling import cells_of

_cones = st.builds(
    lambda ra, dec, radius: Cone.parse(f"{ra},{dec},{radius} deg"),
    st.floats(-360, 720),
    st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, 90.0, 0.0, 89.9999])),
    st.one_of(st.floats(0.001, 180), st.floats(0.0001, 0.01)),
)


def test_a_cone_needs_three_parts_a_place_on_the_sky_and_a_unit() -> None:
    assert Cone.parse("150.1, -2.2, 30 arcmin").radius_deg == pytest.approx(0.5)
    for text, reason in (
        ("1,2", "expected '150.1,2.2,10 arcmin'"),
        ("1,2,3", "radius: needs a unit"),
        ("1,2,3 mag", "radius: needs a unit like"),
        ("1,91,3 deg", "dec: Input should be less than or equal to 90"),
        ("nan,0,3 deg", "ra: Input should be a finite number"),
        ("0,nan,3 deg", "dec: "),
        ("1,0,0 deg", "radius: is not between 0 and 180 deg"),
        ("1,0,nan deg", "radius: is not between 0 and 180 deg"),
        ("1,0,181 deg", "radius: is not between 0 and 180 deg"),
        ("x,0,1 deg", "ra: Input should be a valid number"),
    ):
        with pytest.raises(ConfigError, match=reason):
            Cone.parse(text)


@given(_cones, st.integers(0, 2**32 - 1))
def test_rows_inside_are_those_within_the_separation(cone: Cone, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 360, 50), np.degrees(np.arcsin(rng.uniform(-1, 1, 50)))
    centre = SkyCoord(cone.ra % 360, cone.dec, unit="deg")
    separation = centre.separation(SkyCoord(ra, dec, unit="deg")).to_value(u.deg)
    clear = np.abs(separation - cone.radius_deg) > 1e-9
    np.testing.assert_array_equal(
        cone.contains(ra, dec)[clear], (separation <= cone.radius_deg)[clear]
    )


@given(_cones, st.integers(0, 2**32 - 1), st.integers(0, 14))
def test_no_partition_with_a_row_inside_is_left_out(cone: Cone, seed: int, order: int) -> None:
    rng = np.random.default_rng(seed)
    centre = SkyCoord(cone.ra % 360, cone.dec, unit="deg")
    inside = centre.directional_offset_by(
        rng.uniform(0, 360, 20) * u.deg, cone.radius_deg * np.sqrt(rng.uniform(0, 1, 20)) * u.deg
    )
    cells = cells_of(inside.ra.deg, inside.dec.deg, order)
    assert cone.touches(np.full(20, order), cells).all()


def test_far_partitions_are_not_touched() -> None:
    cone = Cone.parse("10,20,1 arcmin")
    pixels = np.arange(12 * 4**6)
    touched = np.flatnonzero(cone.touches(np.full(len(pixels), 6), pixels))
    assert len(touched) <= 4
    assert cells_of(np.array([10.0]), np.array([20.0]), 6)[0] in touched
