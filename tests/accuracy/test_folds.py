import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landvisor.accuracy.folds import assign_folds, split_validation
from landvisor.errors import AssessmentError
from landvisor.geo.places import make_places

SHAPE = (400, 300)


def scatter(count, *, scenes=1, classes=3, seed=0, feature=1):
    """Places at random; `feature` neighbours in the table make one feature."""
    generator = np.random.default_rng(seed)
    heads = -(-count // feature)
    coords = np.repeat(generator.uniform(0, np.array(SHAPE) - 1, (heads, 2)), feature, axis=0)
    coords = np.clip(coords + generator.normal(0, 4, coords.shape), 0, np.array(SHAPE) - 1)
    label = np.repeat(generator.integers(1, classes + 1, heads), feature)
    scene = np.repeat(generator.integers(0, scenes, heads), feature)
    group = np.repeat(generator.permutation(heads) + 100, feature)
    return make_places(coords[:count], label[:count], scene=scene[:count], group=group[:count]), [
        SHAPE
    ] * scenes


def count_units(values, within):
    """Return the largest number of distinct `within` that one value has."""
    return max(len(np.unique(within[values == value])) for value in np.unique(values))


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(60, 200),
    scenes=st.integers(1, 14),
    feature=st.integers(1, 4),
    folds=st.integers(2, 5),
    seed=st.integers(0, 99),
)
def test_every_place_has_one_fold_and_no_block_or_feature_is_parted(
    count, scenes, feature, folds, seed
):
    places, shapes = scatter(count, scenes=scenes, feature=feature, seed=seed)
    split = assign_folds(places, shapes=shapes, folds=folds, seed=seed)

    assert split.fold.shape == split.block.shape == (count,)
    np.testing.assert_array_equal(np.unique(split.fold), np.arange(folds))
    np.testing.assert_array_equal(np.unique(split.block), np.arange(split.block.max() + 1))
    assert count_units(places.group, split.fold) == 1
    assert count_units(places.group, split.block) == 1
    assert count_units(split.block, split.fold) == 1


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(10, 200),
    scenes=st.integers(1, 14),
    feature=st.integers(1, 4),
    share=st.floats(0.05, 0.5),
    seed=st.integers(0, 99),
)
def test_validation_takes_whole_features_and_leaves_some_of_every_class(
    count, scenes, feature, share, seed
):
    places, shapes = scatter(count, scenes=scenes, feature=feature, seed=seed)
    held = split_validation(places, shapes=shapes, share=share, seed=seed)

    assert count_units(places.group, held) == 1
    assert set(places.label[~held]) == set(places.label)


@pytest.mark.parametrize("scenes", [1, 30])
def test_folds_get_their_share_of_every_class(scenes):
    places, shapes = scatter(600, scenes=scenes, classes=4)
    split = assign_folds(places, shapes=shapes, folds=5, seed=1)

    for label in np.unique(places.label):
        shares = np.bincount(split.fold[places.label == label], minlength=5)
        assert shares.min() > 0.6 * shares.mean()
        assert shares.max() < 1.4 * shares.mean()


def test_many_scenes_are_units():
    places, shapes = scatter(200, scenes=12)
    split = assign_folds(places, shapes=shapes, folds=5, seed=0)

    assert split.rule == "12 whole scenes"
    assert count_units(places.scene, split.fold) == 1


def test_few_scenes_are_cut_into_blocks_of_a_stated_size():
    places, shapes = scatter(200, scenes=2)
    split = assign_folds(places, shapes=shapes, folds=5, seed=0)

    assert split.block.max() + 1 >= 20
    assert split.rule == f"{split.block.max() + 1} square blocks of at least 100 pixels"
    for unit in range(split.block.max() + 1):
        inside = places.coords[split.block == unit]
        assert np.all(np.ptp(inside, axis=0) <= 134)
        assert len(np.unique(places.scene[split.block == unit])) == 1


def test_groups_of_scenes_stay_whole():
    places, shapes = scatter(300, scenes=12)
    names = [f"tile{k // 2}" for k in range(12)]
    split = assign_folds(places, shapes=shapes, folds=5, seed=0, scene_groups=names)

    assert split.rule == "6 units of whole scene groups"
    assert count_units(places.scene // 2, split.fold) == 1
    held = split_validation(places, shapes=shapes, share=0.2, seed=0, scene_groups=names)
    assert count_units(places.scene // 2, held) == 1


def test_scenes_without_a_group_name_stand_alone():
    places, shapes = scatter(300, scenes=12)
    split = assign_folds(places, shapes=shapes, folds=5, seed=0, scene_groups=[""] * 12)

    assert split.rule == "12 whole scenes"


def test_feature_on_two_scenes_goes_to_one_fold():
    places, shapes = scatter(200, scenes=12)
    group = np.where(np.isin(np.arange(200), [3, 50, 120]), 999, places.group)
    places = make_places(places.coords, places.label, scene=places.scene, group=group)
    split = assign_folds(places, shapes=shapes, folds=5, seed=0)

    assert len(np.unique(places.scene[group == 999])) > 1
    assert len(np.unique(split.fold[group == 999])) == 1


def test_same_seed_same_folds_and_another_seed_others():
    places, shapes = scatter(300)
    first, again, other = (
        assign_folds(places, shapes=shapes, folds=5, seed=seed).fold for seed in (0, 0, 1)
    )

    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_order_of_places_changes_no_block():
    places, shapes = scatter(150, feature=2)
    order = np.random.default_rng(5).permutation(150)
    straight = assign_folds(places, shapes=shapes, folds=4, seed=0)
    shuffled = assign_folds(places.take(order), shapes=shapes, folds=4, seed=0)

    np.testing.assert_array_equal(straight.block[order], shuffled.block)
    np.testing.assert_array_equal(straight.fold[order], shuffled.fold)


def test_class_of_one_cluster_is_spread_over_two_blocks_where_half_the_size_allows():
    places, shapes = scatter(400, classes=2)
    corner = np.array([[50.0, 60.0], [52, 110], [95, 60], [95, 110]])
    coords = np.concatenate([places.coords, corner])
    label = np.concatenate([places.label, [9] * 4])
    split = assign_folds(make_places(coords, label), shapes=shapes, folds=5, seed=0)

    assert len(np.unique(split.block[label == 9])) > 1
    assert len(np.unique(split.fold[label == 9])) > 1


def test_fewer_units_than_folds_are_refused_with_advice():
    places = make_places(np.array([[3.0, 3], [4, 4], [90, 90]]), np.array([1, 1, 2]))
    with pytest.raises(AssessmentError, match=r"5 folds asked for.*at most 2 folds"):
        assign_folds(places, shapes=[(100, 100)], folds=5, seed=0)
    with pytest.raises(AssessmentError, match="at least 2"):
        assign_folds(places, shapes=[(100, 100)], folds=1, seed=0)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.35])
def test_validation_share_is_about_what_was_asked_for_in_every_class(share):
    places, shapes = scatter(800, classes=4)
    held = split_validation(places, shapes=shapes, share=share, seed=3)

    assert held.mean() == pytest.approx(share, abs=0.05)
    for label in range(1, 5):
        assert held[places.label == label].mean() == pytest.approx(share, abs=0.1)


@pytest.mark.parametrize(
    ("coords", "labels"),
    [([[5.0, 5], [6, 6]], [1, 1]), ([[5.0, 5], [90, 90]], [1, 2])],
    ids=["one unit", "one unit per class"],
)
def test_nothing_is_held_out_where_no_unit_can_be_spared(coords, labels):
    places = make_places(np.array(coords), np.array(labels))

    assert not split_validation(places, shapes=[(100, 100)], share=0.2, seed=0).any()


def test_half_is_held_out_where_there_are_only_two_units():
    places = make_places(np.array([[5.0, 5], [90, 90]]), np.array([1, 1]))

    assert split_validation(places, shapes=[(100, 100)], share=0.2, seed=0).sum() == 1


def test_share_of_zero_holds_nothing_out_and_one_is_refused():
    places, shapes = scatter(50)
    assert not split_validation(places, shapes=shapes, share=0.0, seed=0).any()
    with pytest.raises(AssessmentError, match="below 1"):
        split_validation(places, shapes=shapes, share=1.0, seed=0)
