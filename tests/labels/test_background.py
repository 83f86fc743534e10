import numpy as np
import pytest

from landvisor.errors import PointsError
from landvisor.geo.places import SOURCES, concatenate, make_places
from landvisor.labels.background import draw_background

SHAPE = (60, 80)
PRESENCE = make_places(np.array([[10.0, 10.0], [30.4, 70.2]]), np.array([1, 1]))


def draw(valid_at, **options):
    settings = {"places": PRESENCE, "n": 50, "seed": 0, "name": "a", "label": 7} | options
    return draw_background(SHAPE, valid_at, **settings)


def test_background_keeps_off_points_and_no_data():
    valid = np.ones(SHAPE, dtype=bool)
    valid[:, 40:60] = False
    found = draw(valid, min_distance=12.0)
    pixels = found.pixels()

    assert valid[pixels[:, 0], pixels[:, 1]].all()
    gaps = np.linalg.norm(found.coords[:, None] - PRESENCE.coords, axis=2)
    assert gaps.min() >= 12
    assert len(np.unique(pixels, axis=0)) == len(found) == 50
    assert set(found.label) == {7}
    assert set(found.source) == {SOURCES["simulated"]}
    assert set(found.index) == {-1}


def test_a_function_and_an_array_of_valid_pixels_give_the_same_places():
    valid = np.random.default_rng(0).random(SHAPE) < 0.5
    by_function = draw(lambda rows, cols: valid[rows, cols])

    np.testing.assert_array_equal(draw(valid).coords, by_function.coords)


def test_the_last_free_pixels_are_found():
    valid = np.zeros(SHAPE, dtype=bool)
    valid[50, [3, 5, 7]] = True

    np.testing.assert_array_equal(draw(valid, n=3).coords, [[50, 3], [50, 5], [50, 7]])
    with pytest.raises(PointsError, match="has 3 valid pixels"):
        draw(valid, n=4)


def test_background_is_even_over_the_free_pixels():
    valid = np.ones(SHAPE, dtype=bool)
    nowhere = PRESENCE.take(np.zeros(2, dtype=bool))
    found = draw(valid, n=2000, places=nowhere)

    assert found.coords[:, 0].mean() == pytest.approx(29.5, abs=1)
    assert (found.coords[:, 1] < 40).mean() == pytest.approx(0.5, abs=0.03)


def test_seed_and_scene_name_decide_the_places():
    valid = np.ones(SHAPE, dtype=bool)

    np.testing.assert_array_equal(draw(valid).coords, draw(valid).coords)
    assert np.any(draw(valid).coords != draw(valid, seed=1).coords)
    assert np.any(draw(valid).coords != draw(valid, name="b").coords)


def test_joined_background_shares_no_group_with_points_or_other_scenes():
    valid = np.ones(SHAPE, dtype=bool)
    joined = concatenate([PRESENCE, draw(valid), draw(valid, name="b")])

    assert len(np.unique(joined.group)) == len(joined)
