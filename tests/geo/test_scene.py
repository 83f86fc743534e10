"""A scene gives windows of data in native type, and says where there is none."""

import numpy as np
import pytest
from affine import Affine

from landvisor.errors import SceneError
from landvisor.geo.scene import find_valid, scene_from_array
from landvisor.geo.tiling import Window, cover


def coordinates(rows: int, cols: int) -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(rows), np.arange(cols), indexing="ij")).astype(np.int16)


def test_windows_hold_the_pixels_they_name():
    scene = scene_from_array(coordinates(9, 7))
    for window in cover(scene.shape, size=4, overlap=1):
        data, valid = scene.read(window)
        assert data.dtype == np.int16
        assert data[:, 0, 0].tolist() == [window.row, window.col]
        assert data.shape[1:] == valid.shape == window.shape


@pytest.mark.parametrize("window", [Window(-1, 0, 2, 2), Window(0, 6, 2, 2), Window(0, 0, 0, 3)])
def test_windows_that_leave_the_grid_are_refused(window):
    with pytest.raises(SceneError, match="leaves scene"):
        scene_from_array(coordinates(9, 7)).read(window)


def test_single_pixels_are_read_across_blocks_and_off_the_grid_are_invalid():
    scene = scene_from_array(coordinates(600, 530))
    pixels = np.array([[0, 0], [599, 529], [511, 512], [512, 511], [-1, 3], [600, 0], [0, 530]])
    data, valid = scene.sample(pixels)
    assert valid.tolist() == [True] * 4 + [False] * 3
    assert data[:, :4].T.tolist() == pixels[:4].tolist()
    assert scene.valid_at(np.zeros((0, 2), dtype=np.int64)).shape == (0,)


def test_two_axes_make_one_band():
    scene = scene_from_array(np.ones((3, 4), np.float32))
    assert (scene.bands, scene.shape) == (("band 1",), (3, 4))
    assert not scene.georeferenced
    assert scene_from_array(np.ones((3, 4)), crs="EPSG:4326").georeferenced


def test_the_transform_and_crs_are_the_grids():
    scene = scene_from_array(np.ones((3, 4)), crs="EPSG:32633", transform=Affine.scale(2))
    assert scene.grid.affine == Affine.scale(2)
    assert scene.grid.crs.epsg == 32633


@pytest.mark.parametrize("shape", [(3,), (1, 1, 1, 1), (1, 0, 5)])
def test_arrays_of_another_shape_are_refused(shape):
    with pytest.raises(SceneError, match=r"need \[band, row, col\]"):
        scene_from_array(np.ones(shape))


def test_band_names_must_fit():
    with pytest.raises(SceneError, match="2 band names were given for 1 bands"):
        scene_from_array(np.ones((2, 2)), bands=["a", "b"])


def test_nan_in_any_band_is_no_data():
    data = np.ones((2, 1, 3), np.float32)
    data[1, 0, 1] = np.nan
    assert find_valid(data, None).tolist() == [[True, False, True]]
    assert find_valid(data, float("nan")).tolist() == [[True, False, True]]


def test_zero_is_no_data_only_where_all_bands_have_it():
    data = np.array([[[0, 0, 5]], [[0, 7, 5]]], np.uint8)
    assert find_valid(data, 0).tolist() == [[False, True, True]]


def test_any_other_nodata_counts_in_any_band():
    data = np.array([[[-9999, 3]], [[4, 3]]], np.int16)
    assert find_valid(data, -9999.0).tolist() == [[False, True]]


@pytest.mark.parametrize("nodata", [-9999.0, 256.0, 0.5, 1e300, float("inf")])
def test_a_nodata_value_that_the_type_lacks_occurs_nowhere(nodata):
    everything = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    assert find_valid(everything, nodata).all()


def test_float32_data_meet_a_nodata_value_declared_as_float64():
    data = np.array([[[-3.4e38, 1.1, np.float32(-9999.9)]]], np.float32)
    assert find_valid(data, -3.4e38).tolist() == [[False, True, True]]
    assert find_valid(data, -9999.9).tolist() == [[True, True, False]]
    assert find_valid(data, -1.7976931348623157e308).all()


def test_a_mask_takes_pixels_away_and_says_so():
    class Left:
        def read(self, window: Window) -> np.ndarray:
            return np.broadcast_to(np.arange(window.cols) + window.col < 2, window.shape)

    scene = scene_from_array(np.ones((1, 3, 4)), nodata=7).with_mask(Left(), "left only")
    assert scene.read().valid.tolist() == [[True, True, False, False]] * 3
    assert scene.read(Window(0, 1, 1, 2)).valid.tolist() == [[True, False]]
    assert scene.notes == ("left only",)
