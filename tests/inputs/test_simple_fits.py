import gzip
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from alert_samples import fits_bytes, noise
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from catalogtool.inputs._alerts import simple_fits
from catalogtool.inputs._alerts.byte_source import DamagedError
from catalogtool.inputs._alerts.simple_fits import decode_image


def by_astropy(data: bytes) -> Any:  # noqa: ANN401
    raw = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    with fits.open(io.BytesIO(raw), ignore_missing_simple=True) as file:
        return np.asarray(file[0].data)


@pytest.fixture
def no_astropy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: bytes) -> None:
        pytest.fail("astropy was asked about a plain image")

    monkeypatch.setattr(simple_fits, "_decode_with_astropy", refuse)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("shape", [(63, 63), (63, 48), (1, 102), (30, 30)])
@pytest.mark.usefixtures("no_astropy")
def test_plain_images_are_decoded_as_astropy_does(zipped: bool, shape: tuple[int, int]) -> None:  # noqa: FBT001
    pixels = noise(1, shape)
    pixels[0, :5] = np.nan, np.inf, -np.inf, -3.4028235e38, 0
    data = fits_bytes(pixels, zipped=zipped)
    np.testing.assert_array_equal(decode_image(data), by_astropy(data))


@pytest.mark.usefixtures("no_astropy")
def test_a_header_of_several_blocks_is_plain_too() -> None:
    hdu = fits.PrimaryHDU(noise(2))
    for number in range(60):
        hdu.header[f"KEY{number}"] = "END     " * (number % 3)
    stream = io.BytesIO()
    hdu.writeto(stream)
    np.testing.assert_array_equal(decode_image(stream.getvalue()), noise(2))


@pytest.mark.usefixtures("no_astropy")
def test_values_may_stand_anywhere_in_their_card() -> None:
    data = fits_bytes(noise(2), zipped=False)
    shifted = data.replace(b"SIMPLE  =                    T", b"SIMPLE  =  T" + b" " * 18)
    np.testing.assert_array_equal(decode_image(shifted), noise(2))


def scaled() -> fits.PrimaryHDU:
    hdu = fits.PrimaryHDU(np.arange(12, dtype=np.int16).reshape(3, 4))
    hdu.header["BSCALE"], hdu.header["BZERO"] = 2.0, 100.0
    return hdu


def float_with_zero() -> fits.PrimaryHDU:
    hdu = fits.PrimaryHDU(noise(3))
    hdu.header["BZERO"] = 5.0
    return hdu


@pytest.mark.parametrize(
    "make",
    [scaled, float_with_zero, lambda: fits.PrimaryHDU(noise(4).astype(np.float64))],
    ids=["integers", "float with zero point", "float64"],
)
def test_anything_unusual_is_left_to_astropy(make: Callable[[], fits.PrimaryHDU]) -> None:
    stream = io.BytesIO()
    make().writeto(stream)
    np.testing.assert_array_equal(decode_image(stream.getvalue()), by_astropy(stream.getvalue()))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no FITS",
        fits_bytes(noise(1), zipped=False)[:9000],
        fits_bytes(noise(1))[:-20],
        fits_bytes(noise(1))[:-1] + b"x",
        fits_bytes(np.zeros((2, 3, 4), dtype=np.float32)),
        fits_bytes(noise(1, (1, 2000))),
        gzip.compress(bytes(1 << 25)),
        fits_bytes(noise(1), zipped=False).replace(b"  63  ", b"9999  "),
    ],
    ids=["empty", "text", "cut", "zip cut", "zip end", "cube", "wide", "bomb", "lie"],
)
def test_what_is_no_cutout_is_refused(data: bytes) -> None:
    with pytest.raises(DamagedError):
        decode_image(data)


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
@settings(max_examples=60)
@given(
    position=st.integers(0, 3000),
    byte=st.integers(0, 255),
    length=st.integers(0, 20_000),
    zipped=st.booleans(),
)
def test_damaged_files_are_decoded_as_astropy_does_or_refused(
    position: int,
    byte: int,
    length: int,
    zipped: bool,  # noqa: FBT001
) -> None:
    data = bytearray(fits_bytes(noise(1, (30, 30)), zipped=zipped))
    data[position % len(data)] = byte
    damaged = bytes(data[: max(length, 1)])
    try:
        pixels = decode_image(damaged)
    except DamagedError:
        return
    np.testing.assert_array_equal(pixels, by_astropy(damaged))
