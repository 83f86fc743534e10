"""Isolated errors are found where classes stand apart, and nothing is said where they do not."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landvisor.geo.places import make_places
from landvisor.geo.scene import scene_from_array
from landvisor.labels import suspects as module
from landvisor.labels.suspects import Votes, describe_places, find_suspects, vote, vote_on


def draw_scene(seed=0, *, noise=5.0, name="a"):
    """Draw three stripes of 40 columns, 50 apart in brightness."""
    level = np.repeat([50.0, 100.0, 150.0], 40)
    data = level + np.random.default_rng(seed).normal(0, noise, (2, 60, 120))
    return scene_from_array(data.astype(np.float32), name=name)


def draw_places(count, seed=0):
    """Draw places off the borders of the stripes, where windows would hold two of them."""
    generator = np.random.default_rng(seed)
    stripe, rows = generator.integers(0, 3, count), generator.uniform(0, 59, count)
    cols = 40 * stripe + generator.uniform(7, 32, count)
    return make_places(np.column_stack([rows, cols]), 1 + stripe)


def spoil(places, which):
    label = places.label.copy()
    label[which] = label[which] % 3 + 1
    return replace(places, label=label)


def test_features_are_those_of_the_pixels_around():
    scene = draw_scene()
    places = make_places(np.array([[30.2, 60.4], [0.0, 0.0]]), np.array([1, 2]))
    found = describe_places([scene], places).reshape(2, 5, 2)
    data = scene.read().data
    np.testing.assert_allclose(found[0, 0], data[:, 30, 60])
    np.testing.assert_allclose(found[0, 1], data[:, 29:32, 59:62].mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(found[0, 2], data[:, 25:36, 55:66].mean(axis=(1, 2)), rtol=1e-5)
    wide = np.log1p(data[:, 25:36, 55:66].std(axis=(1, 2)))
    np.testing.assert_allclose(found[0, 4], wide, rtol=1e-5)
    np.testing.assert_allclose(found[1, 2], data[:, :6, :6].mean(axis=(1, 2)), rtol=1e-5)


def test_no_data_around_a_place_changes_no_feature():
    whole = draw_scene().read().data.copy()
    places = make_places(np.array([[30.0, 60.0]]), np.array([1]))
    holed = whole.copy()
    holed[:, 33, 63] = np.nan
    found = describe_places([scene_from_array(holed)], places)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(
        found[:, :4], describe_places([scene_from_array(whole)], places)[:, :4]
    )


def test_features_do_not_depend_on_the_blocks(monkeypatch):
    scenes, places = [draw_scene(), draw_scene(1, name="b")], draw_places(60)
    places = replace(places, scene=np.arange(60) % 2)
    whole = describe_places(scenes, places)
    monkeypatch.setattr(module, "_BLOCK", 16)
    monkeypatch.setattr(module, "_ROWS", 7)
    np.testing.assert_array_equal(describe_places(scenes, places), whole)


def test_planted_errors_are_found_and_nothing_else():
    places = spoil(draw_places(240), [7, 100, 200])
    votes = vote_on(places, [draw_scene()])
    found = find_suspects(votes)
    assert {suspect.index for suspect in found} == {7, 100, 200}
    assert all(suspect.says == draw_places(240).label[suspect.index] for suspect in found)
    assert [s.score for s in found] == sorted((s.score for s in found), reverse=True)
    assert votes.apart == (1, 2, 3)


def test_clean_places_have_no_suspects():
    votes = vote_on(draw_places(240), [draw_scene()])
    assert votes.agreement > 0.95
    assert not find_suspects(votes)


def test_classes_that_look_alike_have_no_suspects():
    label = np.random.default_rng(3).integers(1, 4, 240)
    votes = vote_on(replace(draw_places(240), label=label), [draw_scene()])
    assert votes.apart == ()
    assert not find_suspects(votes)


def test_small_classes_are_not_outvoted():
    places = draw_places(300)
    rare = np.flatnonzero(places.label == 3)
    kept = places.take(np.sort(np.r_[np.flatnonzero(places.label != 3), rare[:7]]))
    votes = vote_on(kept, [draw_scene()])
    assert 3 in votes.apart
    assert not find_suspects(votes)


def test_a_place_is_not_judged_by_its_own_feature():
    places = draw_places(90)
    group = np.where(places.label == 1, 0, np.arange(90) + 1)
    share = vote(describe_places([draw_scene()], places), places.label, group)
    assert np.isnan(share[places.label == 1]).all()
    assert not np.isnan(share[places.label != 1]).any()


def test_a_feature_of_many_places_is_one_suspect():
    places = draw_places(240)
    field = np.flatnonzero(places.label == 2)[:20]
    index = places.index.copy()
    index[field] = field[0]
    wrong = replace(places, index=index, group=index)
    label = wrong.label.copy()
    label[field] = 3
    found = find_suspects(vote_on(replace(wrong, label=label), [draw_scene()]))
    assert [(s.index, s.label, s.says) for s in found] == [(field[0], 3, 2)]


def test_of_many_places_some_are_compared(monkeypatch):
    monkeypatch.setattr(module, "MOST", 100)
    votes = vote_on(draw_places(240), [draw_scene()])
    assert (votes.compared, votes.total, len(votes.first)) == (100, 240, 100)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_few_places_are_not_judged(count):
    assert vote_on(draw_places(count), [draw_scene()]) is None


def test_places_of_one_class_or_on_different_bands_are_not_judged():
    places = draw_places(30)
    assert vote_on(replace(places, label=np.ones(30, np.int64)), [draw_scene()]) is None
    other = scene_from_array(np.ones((3, 60, 120)), name="b")
    assert vote_on(places, [draw_scene(), other]) is None


def test_constant_imagery_judges_without_a_warning():
    flat = scene_from_array(np.full((1, 60, 120), 7.0))
    assert not find_suspects(vote_on(draw_places(60), [flat]))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_order_of_places_does_not_matter(seed):
    places = spoil(draw_places(120, seed), [3, 50])
    mixed = places.take(np.random.default_rng(seed).permutation(120))
    first, second = (find_suspects(vote_on(p, [draw_scene(seed)])) for p in (places, mixed))
    assert {(s.index, s.says) for s in first} == {(s.index, s.says) for s in second}


def test_an_infinite_pixel_under_a_place_silences_no_other_place():
    scene, places = draw_scene(), draw_places(150)
    data = scene.read().data.copy()
    data[(0, *places.pixels()[5])] = np.inf
    spoiled = spoil(places, [20])
    found = vote_on(spoiled, [scene_from_array(data)])
    assert found.compared == 149
    assert [suspect.index for suspect in find_suspects(found)] == [20]
    assert np.isnan(describe_places([scene_from_array(data)], places)[5]).all()


def make_votes(has, says):
    """Make votes of features of some classes, all for one other or the same class."""
    classes = np.unique([has, says])
    first = make_places(np.zeros((len(has), 2)), np.array(has))
    share = (np.array(says)[:, None] == classes).astype(float)
    return Votes(classes, share, first, len(has), len(has))


@pytest.mark.parametrize(
    ("has", "says", "chance", "telling"),
    [
        ([1, 1, 2, 2] * 10, [1, 2, 1, 2] * 10, 0.5, False),  # no relation
        ([1, 1, 2, 2] * 10, [1, 1, 2, 2] * 10, 0.5, True),
        ([1, 2], [1, 2], 0.5, False),  # two features may agree by luck
        ([1] * 90 + [2] * 10, [1] * 100, 0.9, False),  # always the larger class
        ([1, 1, 1, 1], [1, 1, 1, 1], 1.0, True),  # nothing to hold it against
    ],
)
def test_agreement_is_held_against_chance(has, says, chance, telling):
    votes = make_votes(has, says)
    assert votes.chance == pytest.approx(chance)
    assert votes.telling == telling
