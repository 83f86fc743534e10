"""What is seen in a view comes back to where it was, and views are averaged."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landvisor.geo.scene import scene_from_array
from landvisor.predict.stream import predict_rows, predict_scene
from landvisor.predict.views import View, find_views, predict_views, resize, zoom_pixels
from landvisor.recipe import PredictSpec

SIDES = find_views(PredictSpec(tta="d4"))


def make_batch(shape=(12, 17), *, bands=1, batch=2, seed=0):
    data = np.random.default_rng(seed).uniform(0, 6, (batch, bands, *shape)).astype(np.float32)
    return data, np.ones((batch, *shape), bool)


def echo(data, valid):
    """Predict what is there."""
    return data.astype(np.float32)


def test_d4_are_eight_different_sides_and_flips_four_that_keep_the_shape():
    square = np.arange(9.0).reshape(1, 1, 3, 3)
    known = np.ones((1, 3, 3), bool)
    seen = {view.look(square, known)[0].tobytes() for view in SIDES}
    assert len(seen) == 8
    flips = find_views(PredictSpec(tta="flips"))
    wide = {view.look(np.zeros((1, 1, 2, 5)), np.ones((1, 2, 5), bool))[0].shape for view in flips}
    assert len({view.look(square, known)[0].tobytes() for view in flips}) == 4
    assert wide == {(1, 1, 2, 5)}


def test_each_zoom_is_seen_from_each_side_and_nothing_asked_for_is_one_view():
    assert find_views(PredictSpec()) == (View(),)
    both = find_views(PredictSpec(tta="flips", scales=(1.0, 1.25)))
    assert [view.zoom for view in both] == [1.0] * 4 + [1.25] * 4


@given(st.sampled_from(SIDES), st.integers(1, 9), st.integers(1, 9))
def test_a_side_turned_back_is_what_was_there(view, rows, cols):
    data, valid = make_batch((rows, cols), bands=3)
    data[0, 0, 0, 0], valid[0, 0, 0] = -1, False
    seen, known = view.look(data, valid)
    assert ((seen[:, 0] == -1) == ~known).all()
    assert (view.turn_back(seen, shape=(rows, cols)) == data).all()


@pytest.mark.parametrize("zoom", [0.5, 0.8, 1.25, 2.0, 3.3])
@pytest.mark.parametrize("side", SIDES)
def test_coordinates_keep_their_place_through_zoom_and_turn(side, zoom):
    rows, cols = np.mgrid[0:24, 0:40].astype(np.float32)
    data = np.stack([rows, cols])[None]
    view = View(side.turns, side.mirror, zoom)
    seen, _ = view.look(data, np.ones((1, 24, 40), bool))
    back = view.turn_back(seen, shape=(24, 40))
    # at the border the nearest pixel stands in for those beyond; a shrinking kernel is sampled
    assert np.abs(back - data)[..., 4:-4, 4:-4].max() < 0.1


def test_zooming_keeps_the_type_and_the_range_of_imagery():
    data = np.array([[[[0, 65535], [65535, 0]]]], np.uint16)
    seen, valid = zoom_pixels(data, np.ones((1, 2, 2), bool), zoom=2.5)
    assert (seen.dtype, seen.shape, valid.all()) == (np.uint16, (1, 1, 5, 5), True)
    assert seen[0, 0, 0, 0] == 0
    assert seen[0, 0, 0, -1] == 65535


@pytest.mark.parametrize("zoom", [0.5, 1.5])
def test_values_without_data_reach_no_other_pixel(zoom):
    data, valid = make_batch((20, 20))
    valid[:, 5:12, :9] = False
    results = []
    for value in (np.nan, -9999, 1e30):
        data[:, 0][~valid] = value
        results.append(zoom_pixels(data, valid, zoom=zoom))
    for seen, known in results:
        assert (seen[:, 0][known] == results[0][0][:, 0][known]).all()
        assert 0 <= seen[:, 0][known].min() <= seen[:, 0][known].max() <= 6
    assert results[0][1].mean() == pytest.approx(valid.mean(), abs=0.05)


def test_shares_still_sum_to_one_after_a_zoom():
    shares = np.random.default_rng(0).dirichlet(np.ones(4), (2, 9, 11)).astype(np.float32)
    planes = np.ascontiguousarray(np.moveaxis(shares, -1, 1))
    for shape in ((18, 5), (3, 30)):
        found = resize(planes, shape)
        assert np.abs(found.sum(axis=1) - 1).max() < 1e-6
        assert found.min() >= 0


def test_views_are_averaged_as_if_by_hand():
    data, valid = make_batch()

    def look_left(data, valid):
        return np.roll(data, 1, axis=-1)

    found = predict_views(look_left, data, valid, views=find_views(PredictSpec(tta="flips")))
    # mirrored columns make left right; mirrored rows change nothing
    assert found == pytest.approx((np.roll(data, 1, -1) + np.roll(data, -1, -1)) / 2)


def test_a_single_plain_view_is_the_model_itself():
    answer = np.zeros(3, np.float32)
    assert predict_views(lambda *_: answer, *make_batch(), views=(View(),)) is answer


def test_what_the_model_gave_is_not_written_to():
    data, valid = make_batch()
    before = data.copy()
    predict_views(echo, data, valid, views=SIDES)
    assert (data == before).all()


@pytest.mark.parametrize("tta", ["flips", "d4"])
@pytest.mark.parametrize("shape", [(70, 100), (20, 45)])
def test_an_equivariant_model_makes_the_same_map_in_every_view(make_model, tta, shape):
    data = np.random.default_rng(1).uniform(0, 6, (1, *shape)).astype(np.float32)
    data[0, 3:9, 10:] = np.nan
    scene = scene_from_array(data)
    model = make_model(reach=2)
    plain, seen = (
        predict_scene(model, scene, PredictSpec(window=32, overlap=8, tta=way))
        for way in ("none", tta)
    )
    assert np.abs(plain.probabilities - seen.probabilities).max() < 1e-6
    assert (plain.probabilities.argmax(axis=0) == seen.probabilities.argmax(axis=0)).all()
    assert (plain.valid == seen.valid).all()


def test_the_size_of_a_batch_changes_nothing_in_several_views(make_model):
    scene = scene_from_array(make_batch((90, 70))[0][0])
    results = [
        predict_scene(make_model(), scene, spec).probabilities
        for size in (1, 5)
        for spec in [PredictSpec(window=32, batch_size=size, tta="d4", scales=(1.0, 1.5))]
    ]
    assert (results[0] == results[1]).all()


def test_every_window_is_read_once_whatever_the_views(make_model):
    data = make_batch((64, 64))[0][0]
    scene = scene_from_array(data)
    reads = []

    class Counting:
        def read(self, window):
            reads.append(window)
            return scene.source.read(window)

    watched = replace(scene, source=Counting())
    spec = PredictSpec(window=32, overlap=0, tta="d4", scales=(1.0, 2.0))
    list(predict_rows(make_model(), watched, spec))
    assert len(reads) == len(set(reads)) == 4
