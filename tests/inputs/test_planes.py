import numpy as np
import pytest
from input_samples import pixels

from catalogtool.errors import StorageError
from catalogtool.flags import Flag
from catalogtool.inputs._planes import Plane, fit_plane, storage_flag


def test_an_image_of_the_right_size_is_copied_in_native_order() -> None:
    image = pixels(1).astype(">f8")
    plane = fit_plane(image, 16)
    assert isinstance(plane, Plane)
    np.testing.assert_array_equal(plane.image, pixels(1))
    assert plane.image.dtype == np.float32
    plane.image[:] = 0
    assert image.any()


def test_shrinking_by_whole_factors_weights_neighbours_as_a_triangle() -> None:
    impulse = np.zeros((32, 32), np.float32)
    impulse[16, 16] = 1
    plane = fit_plane(impulse, 16)
    assert isinstance(plane, Plane)
    # A triangle of half-width two sampled at 0.25 and 0.75 of it: weights 3/8 and 1/8 per axis.
    expected = np.outer([1 / 8, 3 / 8], [1 / 8, 3 / 8])
    np.testing.assert_allclose(plane.image[7:9, 7:9], expected, atol=1e-6)
    assert plane.flags == Flag.RESAMPLED


def test_values_beyond_float32_are_masked() -> None:
    image = pixels(1).astype(np.float64)
    image[0, 0] = 1e300
    plane = fit_plane(image, 16)
    assert isinstance(plane, Plane)
    assert plane.mask.sum() == 1
    assert plane.image[0, 0] == 0
    assert plane.flags == Flag.PARTLY_MASKED


def test_holes_do_not_spread_when_resized() -> None:
    image = np.full((32, 32), 5.0, np.float32)
    image[:4] = 6
    image[16:20, 16:20] = np.nan
    plane = fit_plane(image, 16)
    assert isinstance(plane, Plane)
    assert plane.mask.sum() == 4
    np.testing.assert_allclose(plane.image[6:][~plane.mask[6:]], 5)


@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 4), (0, 5), (5, 9000)])
def test_what_is_no_cutout_has_the_wrong_shape(shape: tuple[int, ...]) -> None:
    assert fit_plane(np.ones(shape), 16) == Flag.WRONG_SHAPE


def test_storage_that_may_come_back_is_no_flag_of_an_object() -> None:
    assert storage_flag(StorageError("x", missing=True)) == Flag.MISSING_FILE
    assert storage_flag(StorageError("x", missing=False)) == Flag.UNREADABLE
    with pytest.raises(StorageError, match="away"):
        storage_flag(StorageError("away", transient=True))
