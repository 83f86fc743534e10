"""A scene is matched as it is read, and a scene that is far from a reference is told apart."""

from dataclasses import replace

import numpy as np
import pytest

from landvisor.errors import SceneError
from landvisor.geo.matching import describe_shift, match_scenes, measure_quantiles
from landvisor.geo.radiometry import measure_radiometry
from landvisor.geo.scene import scene_from_array
from landvisor.geo.tiling import Window, split_blocks

SHARES = np.linspace(0, 1, 256)


def match_scene(scene, reference, **choices):
    (matched,) = match_scenes([scene], reference, **choices)
    return matched


def make_scene(dtype="uint8", *, shape=(90, 1100), seed=0, nodata=0):
    """Draw two bands; the first columns are no data."""
    generator = np.random.default_rng(seed)
    data = generator.normal([[[90]], [[140]]], 20, (2, *shape)).clip(1, 255)
    data = (data * (1 if np.dtype(dtype).itemsize == 1 else 31)).astype(dtype)
    data[:, :, :40] = nodata
    return scene_from_array(data, name="s", nodata=nodata)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16"])
def test_quantiles_of_integers_are_exact_over_all_blocks(dtype):
    scene = make_scene(dtype)
    data, valid = scene.read()
    expected = np.quantile(data[:, valid].astype(float), SHARES, axis=1).T
    assert measure_quantiles([scene]) == pytest.approx(expected, abs=1e-9)


def test_quantiles_of_floats_are_those_of_the_training_sample():
    scene = make_scene("float32")
    expected = measure_radiometry([scene], seed=4).quantiles
    assert (measure_quantiles([scene], seed=4) == np.array(expected)).all()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "float32"])
def test_a_scene_matched_to_itself_does_not_change(dtype):
    scene = make_scene(dtype) if dtype != "int8" else scene_from_array(
        np.arange(-128, 128).astype(np.int8).reshape(1, 16, 16))  # fmt: skip
    matched = match_scene(scene, measure_quantiles([scene]), dtype=scene.dtype)
    before, after = scene.read(), matched.read()
    assert after.data.dtype == scene.dtype
    assert (after.valid == before.valid).all()
    difference = after.data[:, before.valid].astype(float) - before.data[:, before.valid]
    assert np.abs(difference).max() <= (1e-3 if dtype == "float32" else 0)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_shifted_scene_comes_back_to_what_it_was(dtype):
    scene = make_scene(dtype)
    data, valid = scene.read()
    darker = scene_from_array((data * 0.6).astype(dtype), nodata=0)
    found = match_scene(darker, measure_quantiles([scene]), dtype=scene.dtype).read()
    assert (found.valid == valid).all()
    unit = 1 if dtype == "uint8" else 31
    off = np.abs(found.data[:, valid].astype(float) - data[:, valid]) / unit
    assert np.median(off) <= 0.5
    assert np.quantile(off, 0.99) <= 2


def test_windows_are_what_the_whole_is():
    scene = make_scene("int16")
    matched = match_scene(scene, [np.linspace(5, 9, 256), np.linspace(1, 2, 256)],
                          dtype=np.dtype("float32"))  # fmt: skip
    whole = matched.read()
    assert matched.dtype == whole.data.dtype == np.float32
    for window in split_blocks(scene.shape, 64):
        part = matched.read(window)
        rows, cols = window.slices
        assert (part.data == whole.data[:, rows, cols]).all()
        assert (part.valid == whole.valid[rows, cols]).all()
    inside = whole.data[:, whole.valid]
    assert np.quantile(inside[0], [0.05, 0.5, 0.95]) == pytest.approx([5.2, 7, 8.8], abs=0.05)


def test_no_data_does_not_count_whatever_its_value():
    results = []
    for value in (-9999, 31000):
        scene = make_scene("int16", nodata=value)
        matched = match_scene(scene, np.tile(SHARES * 99, (2, 1)), dtype=np.dtype("uint8"))
        found = matched.read()
        results.append(found.data[:, found.valid])
    assert (results[0] == results[1]).all()


def test_a_nan_that_becomes_an_integer_is_still_no_data():
    scene = make_scene("float32", nodata=np.nan)
    found = match_scene(scene, np.tile(SHARES * 99, (2, 1)), dtype=np.dtype("uint8")).read()
    assert (found.valid == scene.read().valid).all()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_scene_without_data_comes_back_as_it_is(dtype):
    scene = scene_from_array(np.zeros((1, 9, 9), dtype), nodata=0)
    assert match_scene(scene, [SHARES], dtype=scene.dtype) is scene


def test_a_reference_of_other_bands_is_refused():
    with pytest.raises(SceneError, match="scene 's' has 2 bands but the reference 1"):
        match_scene(make_scene(), [SHARES], dtype=np.dtype("uint8"))


def test_memory_does_not_grow_with_the_scene():
    scene = make_scene(shape=(1500, 1100))
    largest = []

    class Watching:
        def read(self, window: Window):
            largest.append(window.rows * window.cols)
            return scene.source.read(window)

    measure_quantiles([replace(scene, source=Watching())])
    assert max(largest) <= 1024 * 1024
    assert sum(largest) == 1500 * 1100


def test_scenes_of_one_type_are_moved_alike_and_count_together():
    dark, light = (scene_from_array(np.arange(at, at + 100, dtype=np.uint8).reshape(1, 10, 10))
                   for at in (0, 100))  # fmt: skip
    other = scene_from_array(np.arange(900, 1000, dtype=np.uint16).reshape(1, 10, 10))
    reference = [np.linspace(0, 1000, 256)]
    found = match_scenes([dark, other, light], reference, dtype=np.dtype("uint16"))
    whole = scene_from_array(np.arange(200, dtype=np.uint8).reshape(1, 20, 10))
    together = match_scene(whole, reference, dtype=np.dtype("uint16")).read().data
    assert (found[0].read().data == together[:, :10]).all()
    assert (found[2].read().data == together[:, 10:]).all()
    assert np.median(found[1].read().data) == pytest.approx(500, abs=10)


REFERENCE = (np.quantile(np.random.default_rng(0).normal(100, 20, 100_000), SHARES),)


@pytest.mark.parametrize(
    ("middle", "deviation", "few", "many"),
    [(100, 20, None, None), (113, 20, None, None), (87, 20, None, None), (100, 27, None, None),
     (100, 14, None, None), (115, 20, None, "brighter"), (85, 20, None, "darker"),
     (100, 12, None, "contrast"), (100, 29, None, "contrast"), (100, 36, "contrast", "contrast"),
     (142, 20, "brighter", "brighter"), (58, 20, "darker", "darker"),
     (0.1, 0.02, "darker", "darker")],
)  # fmt: skip
def test_values_are_far_by_their_middle_or_their_spread_sooner_if_many(
    middle, deviation, few, many
):
    for count, far in ((20_000, few), (60_000, many)):
        values = np.random.default_rng(1).normal(middle, deviation, (1, count))
        said = describe_shift(values, REFERENCE, bands=["red"])
        assert (said is None) == (far is None)
        assert far is None or far in said


@pytest.mark.parametrize("count", [20_000, 60_000])
def test_a_band_of_another_colour_is_far_where_all_bands_together_are_not(count):
    values = np.random.default_rng(1).normal([[100], [100], [119]], 20, (3, count))
    said = describe_shift(values, REFERENCE * 3, bands=["red", "green", "nir"])
    assert said.startswith("band 'nir', beside the others, is brighter by 0.9")
    assert describe_shift(values[:2], REFERENCE * 2, bands=["red", "green"]) is None


def test_halved_contrast_is_far_and_a_few_wild_values_are_not():
    values = np.random.default_rng(1).normal(100, 20, (1, 60_000))
    said = describe_shift(values / 2 + 50, REFERENCE, bands=["red"])
    assert said.startswith("band 'red' has 0.5")
    values[:, ::200] = 1e6
    assert describe_shift(values, REFERENCE, bands=["red"]) is None
