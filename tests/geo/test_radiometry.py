"""Band statistics are those of the valid pixels."""

import numpy as np
import pytest

from landvisor.errors import SceneError
from landvisor.geo.radiometry import QUANTILES, measure_radiometry, measure_spread, robust_scale
from landvisor.geo.scene import scene_from_array


def test_statistics_of_a_small_scene_are_exact():
    data = np.random.default_rng(0).normal(100, 20, (3, 50, 60)).astype(np.float32)
    found = measure_radiometry([scene_from_array(data)])
    assert found.mean == pytest.approx(data.mean(axis=(1, 2)), rel=1e-5)
    assert found.std == pytest.approx(data.std(axis=(1, 2)), rel=1e-5)
    assert np.array(found.quantiles).shape == (3, QUANTILES)
    assert found.quantiles[1][0] == data[1].min()
    assert found.quantiles[1][-1] == data[1].max()


def test_only_valid_and_finite_pixels_count():
    data = np.full((1, 20, 20), 7.0, np.float32)
    data[0, :5], data[0, 5, 5] = -9999, np.inf
    found = measure_radiometry([scene_from_array(data, nodata=-9999)])
    assert (found.mean, found.std) == ((7.0,), (1.0,))


def test_all_scenes_count_and_a_seed_fixes_the_draw():
    scenes = [scene_from_array(np.full((1, 300, 300), value, np.uint8)) for value in (10, 30)]
    first = measure_radiometry(scenes, seed=3)
    assert first.mean == (20.0,)
    assert first == measure_radiometry(scenes, seed=3)


def test_values_of_a_large_type_do_not_overflow():
    found = measure_radiometry([scene_from_array(np.full((1, 9, 9), 65535, np.uint16))])
    assert found.mean == (65535.0,)


def test_a_small_valid_area_in_a_large_scene_is_found():
    data = np.zeros((1, 3072, 3072), np.uint8)
    data[0, 700:702, 300:302] = 9
    assert measure_radiometry([scene_from_array(data, nodata=0)]).mean == (9.0,)


def test_imagery_without_a_valid_pixel_is_refused():
    with pytest.raises(SceneError, match="no valid pixel was found in the imagery"):
        measure_radiometry([scene_from_array(np.zeros((1, 9, 9), np.uint8), nodata=0)])


def test_the_last_block_is_read_so_that_a_truncated_file_is_found(make_tif):
    from landvisor.geo.rasters import open_scene

    noise = np.random.default_rng(0).integers(0, 255, (1, 800, 800), dtype=np.uint8)
    path = make_tif("a.tif", noise)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SceneError, match="truncated"):
        measure_radiometry([open_scene(path)])


def test_the_robust_scale_is_the_deviation_of_a_gaussian_and_ignores_few_extremes():
    values = np.random.default_rng(0).normal(50, 4, (1, 256, 256)).astype(np.float32)
    values[0, :8] = 1e5
    scale = robust_scale(measure_radiometry([scene_from_array(values)]))
    assert scale == pytest.approx([4], rel=0.1)


def test_the_robust_scale_of_a_mostly_constant_band_is_not_zero():
    values = np.zeros((1, 64, 64), dtype=np.float32)
    values[0, :2] = 3
    assert (robust_scale(measure_radiometry([scene_from_array(values)])) > 0).all()


def test_spread_is_a_gaussians_deviation_and_falls_back_where_the_middle_is_one_value():
    values = np.random.default_rng(0).normal(5, 3, (1, 100_000))
    np.testing.assert_allclose(measure_spread(values, axis=1), 3, rtol=0.02)
    mostly = np.zeros((100, 2))
    mostly[0] = 10, 0
    np.testing.assert_allclose(measure_spread(mostly, axis=0), [mostly[:, 0].std(), 0])
