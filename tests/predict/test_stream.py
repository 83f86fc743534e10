"""A scene predicted in windows equals the scene predicted whole."""

import numpy as np
import pytest

from landvisor.errors import ModelError, SceneError
from landvisor.geo.legend import LandClass, Legend, legend_from_ids
from landvisor.geo.scene import scene_from_array
from landvisor.geo.tiling import Window
from landvisor.predict import compute
from landvisor.predict.stream import check_fit, classify, predict_rows
from landvisor.recipe import PredictSpec

SIZES = [(1, 1), (1, 75), (75, 1), (31, 33), (32, 32), (33, 32), (64, 65), (100, 70)]
LEGEND = legend_from_ids([1, 2, 3])
SMALL = PredictSpec(window=32, overlap=8, batch_size=3)


def make_scene(shape, *, bands=1, seed=0, empty=None):
    data = np.random.default_rng(seed).uniform(0, 6, (bands, *shape)).astype(np.float32)
    if empty is not None:
        data[0, *empty] = np.nan
    return scene_from_array(data, name="s")


def predict_whole(model, scene):
    data, valid = scene.read()
    return model.predict(data[None], valid[None])[0]


def join(parts, legend=LEGEND):
    """Put rows together again, checking that each comes once and from top to bottom."""
    parts = [part.copy() for part in parts]
    assert [part.window.row for part in parts] == list(
        np.cumsum([parts[0].window.row, *(part.window.rows for part in parts[:-1])])
    )
    probabilities = np.concatenate([part.probabilities for part in parts], axis=1)
    valid = np.concatenate([part.valid for part in parts])
    return classify(probabilities, valid, legend), probabilities, valid


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("overlap", [0, 8, 16, 500])
def test_tiled_equals_whole_at_any_size(make_model, shape, overlap):
    model, scene = make_model(), make_scene(shape)
    spec = PredictSpec(window=32, overlap=overlap, batch_size=2)
    classes, probabilities, valid = join(predict_rows(model, scene, spec))
    assert valid.all()
    assert classes.shape == shape
    expected = predict_whole(model, scene)
    assert np.abs(probabilities - expected).max() < 1e-6
    assert probabilities.sum(axis=0) == pytest.approx(np.ones(shape), abs=1e-5)
    assert (classes == expected.argmax(axis=0) + 1).all()


def test_a_model_that_looks_around_sees_the_same_but_at_the_edges_of_windows(make_model):
    model, scene = make_model(reach=2), make_scene((90, 100))
    _, tiled, _ = join(predict_rows(model, scene, PredictSpec(window=64, overlap=32)))
    whole = predict_whole(model, scene)
    error = np.abs(tiled - whole).max(axis=0)
    # An edge weighs at most 1.5 of 32 there, for the two pixels that a reach of 2 touches.
    assert error.max() <= 1.5 / 32
    assert (error < 1e-6).mean() > 0.7
    naive = join(predict_rows(model, scene, PredictSpec(window=64, overlap=0)))[1]
    assert error.max() < np.abs(naive - whole).max() / 3


@pytest.mark.parametrize("shape", SIZES)
def test_a_constant_stays_constant(make_model, make_constant, shape):
    model = make_model(make_constant(0.2, 0.5, 0.3))
    classes, probabilities, _ = join(predict_rows(model, make_scene(shape), SMALL))
    assert (classes == 2).all()
    for share, found in zip((0.2, 0.5, 0.3), probabilities, strict=True):
        assert np.abs(found - share).max() < 1e-6


@pytest.mark.parametrize("accelerated", [False, True])
def test_the_size_of_a_batch_changes_nothing(make_model, monkeypatch, accelerated):
    monkeypatch.setattr(compute, "has_accelerator", lambda: accelerated)
    scene = make_scene((70, 130), empty=(slice(10, 40), slice(0, 90)))
    results, sizes = [], []
    for size in (1, 2, 3, 50):
        model = make_model()
        spec = PredictSpec(window=32, overlap=8, batch_size=size)
        results.append(join(predict_rows(model, scene, spec)))
        sizes.append(max(model.predictor.batches))
    for result in results[1:]:
        for first, other in zip(results[0], result, strict=True):
            assert (first == other).all()
    assert sizes[:3] == ([1, 2, 3] if accelerated else [1, 1, 1])


def test_areas_hold_what_the_whole_does(make_model):
    scene = make_scene((90, 130), empty=(slice(10, 40), slice(0, 90)))
    _, whole, known = join(predict_rows(make_model(reach=2), scene, SMALL))
    for area in (Window(0, 0, 1, 1), Window(7, 20, 50, 60), Window(89, 0, 1, 130)):
        _, part, valid = join(predict_rows(make_model(reach=2), scene, SMALL, area=area))
        assert (valid == known[area.slices]).all()
        assert (part == whole[:, *area.slices]).all()


def test_every_valid_pixel_gets_a_class_and_no_other_does(make_model):
    scene = make_scene((90, 80), empty=(slice(20, 85), slice(13, 80)))
    classes, _, valid = join(predict_rows(make_model(), scene, SMALL))
    expected = scene.read().valid
    assert (valid == expected).all()
    assert ((classes > 0) == expected).all()


def test_a_single_valid_pixel_is_classified(make_model):
    data = np.full((1, 70, 70), np.nan, np.float32)
    data[0, 41, 57] = 6
    model = make_model()
    classes, probabilities, valid = join(predict_rows(model, scene_from_array(data), SMALL))
    assert np.argwhere(valid).tolist() == [[41, 57]]
    assert classes[41, 57] == 3
    assert np.isfinite(probabilities).all()
    assert sum(model.predictor.batches) <= 4


def test_windows_without_data_are_not_predicted(make_model):
    model = make_model()
    scene = scene_from_array(np.full((1, 70, 70), np.nan, np.float32))
    classes, _, valid = join(predict_rows(model, scene, SMALL))
    assert model.predictor.batches == []
    assert not valid.any()
    assert (classes == 0).all()


def test_values_of_invalid_pixels_do_not_matter(make_model):
    data = make_scene((50, 50)).read().data.copy()
    data[0, 5:20, 5:20] = -9999
    first = join(predict_rows(make_model(reach=1), scene_from_array(data, nodata=-9999), SMALL))
    data[0, 5:20, 5:20] = 77
    other = join(predict_rows(make_model(reach=1), scene_from_array(data, nodata=77), SMALL))
    assert (first[0] == other[0]).all()
    assert (first[2] == other[2]).all()


def test_class_zero_makes_255_the_code_of_no_data(make_model):
    scene = make_scene((3, 4), empty=(0, 0))
    model = make_model(legend=legend_from_ids([0, 9]))
    classes, _, _ = join(predict_rows(model, scene, SMALL), model.card.legend)
    assert classes[0, 0] == 255
    assert set(classes.ravel().tolist()) <= {0, 9, 255}


def test_positions_become_ids_of_active_classes():
    legend = Legend(
        (
            LandClass(200, "a", "#000000"),
            LandClass(1, "b", "#000000", ignore=True),
            LandClass(7, "c", "#000000"),
        )
    )
    shares = np.array([[[0.1, 0.9, 0.5]], [[0.9, 0.1, 0.5]]], np.float32)
    valid = np.array([[True, True, False]])
    found = classify(shares, valid, legend)
    assert found.dtype == np.uint8
    assert found.tolist() == [[7, 200, 0]]


def test_a_scene_with_other_bands_is_refused_before_anything_is_read(make_model):
    with pytest.raises(ModelError, match=r"reads 2 bands \(band 1, band 2\) but scene 's' has 3"):
        next(predict_rows(make_model(bands=2), make_scene((9, 9), bands=3), SMALL))


def test_a_damaged_file_is_reported(make_model, make_tif):
    from landvisor.geo.rasters import open_scene

    noise = np.random.default_rng(0).integers(0, 255, (1, 200, 200), dtype=np.uint8)
    path = make_tif("a.tif", noise)
    path.write_bytes(path.read_bytes()[:-9000])
    with pytest.raises(SceneError, match="truncated"):
        list(predict_rows(make_model(), open_scene(path), SMALL))


def test_the_same_bands_in_another_order_are_refused(make_model):
    data = np.ones((2, 5, 5), np.float32)
    scene = scene_from_array(data, name="s", bands=["band 2", "band 1"])
    with pytest.raises(ModelError, match="in the order band 1, band 2 but scene 's' has band 2"):
        check_fit(make_model(bands=2), scene)
    check_fit(make_model(bands=2), scene_from_array(data, bands=["red", "green"]))
