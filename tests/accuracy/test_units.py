import numpy as np
import pytest

from landvisor.accuracy.folds import assign_folds, split_validation
from landvisor.accuracy.units import make_units
from landvisor.errors import AssessmentError
from landvisor.geo.places import make_places

SHAPES = [(100, 100)] * 4


def scatter(count=200, *, scenes=4, seed=0):
    generator = np.random.default_rng(seed)
    heads = count // 2
    return make_places(
        np.repeat(generator.uniform(0, 99, (heads, 2)), 2, axis=0),
        np.repeat(generator.integers(1, 3, heads), 2),
        scene=np.repeat(generator.integers(0, scenes, heads), 2),
        group=np.repeat(np.arange(heads), 2),
    )


def test_scenes_by_name_are_left_out_one_by_one():
    places = scatter()
    split = assign_folds(places, shapes=SHAPES, folds=None, seed=0, hold_out="scenes")
    assert (split.count, split.kind, split.size) == (4, "scenes", None)
    for fold in range(4):
        assert len(np.unique(places.scene[split.fold == fold])) == 1


def test_groups_by_name_are_left_out_one_by_one():
    places = scatter()
    groups = ["north", "north", "south", ""]
    split = assign_folds(
        places, shapes=SHAPES, folds=None, seed=0, scene_groups=groups, hold_out="groups"
    )
    assert split.count == 3
    assert len(np.unique(split.fold[places.scene <= 1])) == 1


def test_folds_that_are_counted_gather_scenes():
    split = assign_folds(scatter(), shapes=SHAPES, folds=2, seed=0, hold_out="scenes")
    assert split.count == 2
    assert len(np.unique(split.block)) == 4


def test_random_folds_part_no_feature_and_say_what_they_are():
    places = scatter()
    split = assign_folds(places, shapes=SHAPES, folds=None, seed=0, hold_out="random")
    assert (split.count, split.kind, split.rule) == (5, "random", "100 single features at random")
    for group in np.unique(places.group):
        assert len(np.unique(split.fold[places.group == group])) == 1


def test_blocks_by_name_are_cut_where_auto_would_take_scenes():
    generator = np.random.default_rng(0)
    coords, scene = generator.uniform(0, 99, (300, 2)), np.arange(300) % 12
    places = make_places(coords, np.ones(300, int), scene=scene)
    shapes = [(100, 100)] * 12
    assert make_units(places, shapes=shapes, folds=5).kind == "scenes"
    blocks = make_units(places, shapes=shapes, folds=5, hold_out="blocks")
    assert blocks.kind == "blocks"
    assert blocks.size == 50  # 12 blocks of 100 are too few for five folds


@pytest.mark.parametrize(
    ("hold_out", "said"),
    [("groups", "no scene names a group"), ("scenes", "one unit; at least 2 are needed")],
)
def test_what_cannot_be_held_out_by_name_is_refused(hold_out, said):
    places = scatter(scenes=1)
    with pytest.raises(AssessmentError, match=said):
        make_units(places, shapes=SHAPES[:1], folds=5, hold_out=hold_out)


def test_blocks_follow_the_distance_where_they_can():
    generator = np.random.default_rng(0)
    places = make_places(generator.uniform(0, 999, (2000, 2)), np.arange(2000) % 3)
    sizes = [
        make_units(places, shapes=[(1000, 1000)], folds=5, distance=distance).size
        for distance in (0, 5, 40, 300)
    ]
    assert sizes[0] == max(sizes) == sizes[3]  # four times 300 would leave too few
    assert 160 <= sizes[2] <= sizes[0]
    assert sizes[1] == 125 < sizes[2]
    count = make_units(places, shapes=[(1000, 1000)], folds=5, distance=5).count
    assert 20 <= count <= 80  # not shreds


def test_validation_holds_out_what_was_named_and_blocks_where_one_is_left():
    places = scatter()
    held = split_validation(places, shapes=SHAPES, share=0.25, seed=0, hold_out="scenes")
    assert len(np.unique(places.scene[held])) == 1
    assert held.sum() == (places.scene == places.scene[held][0]).sum()
    one = scatter(scenes=1)
    assert split_validation(one, shapes=SHAPES, share=0.25, seed=0, hold_out="scenes").any()
