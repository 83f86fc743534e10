import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landvisor.accuracy.buffer import LEAST_KEPT, Separation, Sight, plan_separation
from landvisor.accuracy.folds import assign_folds
from landvisor.accuracy.variogram import Dependence
from landvisor.errors import AssessmentError
from landvisor.geo.places import make_places

SHAPES = [(400, 300), (200, 500)]


def scatter(count=150, *, seed=0, feature=1):
    generator = np.random.default_rng(seed)
    heads = -(-count // feature)
    scene = np.repeat(generator.integers(0, 2, heads), feature)
    coords = np.repeat(generator.uniform(0, 190, (heads, 2)), feature, axis=0)
    coords += generator.normal(0, 3, coords.shape)
    label = np.repeat(generator.integers(1, 4, heads), feature)
    group = np.repeat(np.arange(heads), feature)
    return make_places(np.clip(coords, 0, 199), label, scene=scene, group=group)


def plan(places, *, reach=0.0, sight=0.0, asked="auto", hold_out="blocks", folds=5):
    split = assign_folds(places, shapes=SHAPES, folds=folds, seed=0, hold_out=hold_out,
                         distance=max(reach, sight))  # fmt: skip
    found, distances = plan_separation(
        places,
        split,
        dependence=Dependence(reach, "variogram", len(places)),
        sight=Sight(sight, "a test"),
        asked=asked,
    )
    return split, found, distances


def brute_distances(places, split):
    """Return `[fold, n]` by comparing every place with every other one."""
    offset = places.coords[:, None] - places.coords[None]
    distance = np.where(
        places.scene[:, None] == places.scene[None], np.hypot(*offset.transpose(2, 0, 1)), np.inf
    )
    folds = range(split.fold.max() + 1)
    return np.stack([distance[:, split.fold == fold].min(axis=1) for fold in folds])


@settings(max_examples=25, deadline=None)
@given(
    reach=st.floats(0, 150),
    sight=st.floats(0, 150),
    feature=st.integers(1, 4),
    seed=st.integers(0, 50),
)
def test_no_training_place_lies_within_the_buffer_and_a_smaller_one_is_told(
    reach, sight, feature, seed
):
    places = scatter(seed=seed, feature=feature)
    split, found, distances = plan(places, reach=reach, sight=sight)

    np.testing.assert_allclose(distances, brute_distances(places, split))
    assert found.wanted == max(reach, sight)
    assert 0 <= found.taken <= found.wanted
    assert found.capped == (found.taken < found.wanted)
    lost = []
    for fold in range(found.folds):
        inside = split.fold == fold
        kept = ~inside & (distances[fold] >= found.taken)
        assert kept.sum() >= LEAST_KEPT * (~inside).sum()
        assert not (set(places.group[kept]) & set(places.group[inside]))
        for label in np.unique(places.label[~inside]):
            had = (~inside & (places.label == label)).sum()
            assert (kept & (places.label == label)).sum() >= min(3, had)
        lost.append(1 - kept.sum() / (~inside).sum())
    assert found.dropped == pytest.approx(np.mean(lost))
    assert found.most_dropped == pytest.approx(max(lost))


def test_a_cap_keeps_as_wide_a_buffer_as_it_can():
    places = scatter(200)
    split, found, distances = plan(places, reach=1000)
    assert found.capped
    assert found.overlap > 0.9
    wider = np.nextafter(found.taken, np.inf)
    kept = [
        ((split.fold != fold) & (distances[fold] >= wider)).sum() / (split.fold != fold).sum()
        for fold in range(5)
    ]
    fewest = min(
        (places.label[(split.fold != f) & (distances[f] >= wider)] == label).sum()
        for f in range(5)
        for label in (1, 2, 3)
    )
    assert min(kept) < LEAST_KEPT or fewest < 3


def test_a_buffer_that_fits_leaves_no_overlap():
    row = np.concatenate([np.arange(20.0), 200 + np.arange(20.0)])
    places = make_places(np.column_stack([row, row]), np.tile([1, 2], 20))
    split, found, _ = plan(places, reach=30, folds=2)
    assert (split.fold[:20] == split.fold[0]).all()
    assert (found.taken, found.dropped, found.overlap, found.capped) == (30, 0, 0, False)


def test_a_buffer_in_pixels_is_taken_as_it_is():
    places = scatter()
    _, found, _ = plan(places, reach=100, asked=5.0)
    assert (found.wanted, found.taken, found.asked) == (5, 5, 5)
    assert plan(places, reach=100, asked=0.0)[1].dropped == 0


def test_a_buffer_in_pixels_that_leaves_nothing_is_refused():
    with pytest.raises(AssessmentError, match="leaves fold 1 no place to learn from"):
        plan(scatter(), asked=1e6)


def test_random_folds_have_no_buffer_unless_one_is_asked_for():
    places = scatter()
    assert plan(places, reach=50, hold_out="random")[1].taken == 0
    assert plan(places, reach=50, hold_out="random", asked=4.0)[1].taken == 4


def test_a_separation_survives_json():
    found = plan(scatter(), reach=40.5, sight=3)[1]
    assert Separation.from_dict(found.to_dict()) == found
