import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landvisor.geo.legend import legend_from_ids
from landvisor.geo.places import make_places
from landvisor.geo.scene import scene_from_array
from landvisor.learn.chips import ChipDataset, Lesson, count_steps
from landvisor.learn.regions import RegionCache, find_regions, group_by_shape
from landvisor.learn.sampling import gather_material
from landvisor.learn.scaling import Scaling
from landvisor.recipe import FitSpec

LEGEND = legend_from_ids((2, 5))


def make_coordinate_scene(shape):
    """An image whose two bands hold the row and the column of each pixel."""
    return scene_from_array(np.stack(np.indices(shape)).astype(np.float32), bands=("row", "col"))


def draw_places(shapes, count, seed=0):
    generator = np.random.default_rng(seed)
    scene = generator.integers(0, len(shapes), count)
    coords = generator.uniform(-0.5, 0.49, (count, 2)) + generator.integers(
        0, np.array(shapes)[scene], (count, 2)
    )
    return make_places(coords, generator.choice([2, 5], count), scene=scene)


def make_dataset(scenes, places, folder, *, seed=0, chip=64, lesson=None, **fit):
    material = gather_material(places, [s.shape for s in scenes], legend=LEGEND, chip=chip)
    bands = len(scenes[0].bands)
    return ChipDataset(
        material,
        RegionCache(scenes, folder),
        scaling=Scaling((0.0,) * bands, (100.0,) * bands),
        spec=FitSpec(chip=chip, batch_size=4, **fit),
        deviation=np.ones(bands, dtype=np.float32),
        seed=seed,
        lesson=lesson,
    )


@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(1, 500)), min_size=1, max_size=3),
    st.sampled_from([32, 64, 100]),
    st.integers(0, 5),
)
@settings(max_examples=40, deadline=None)
def test_every_place_belongs_to_one_region_that_holds_it(shapes, chip, seed):
    places = draw_places(shapes, 30, seed)
    found = find_regions(places, shapes, size=int(chip * 1.5), overlap=chip // 2)
    assert sorted(np.concatenate([at for _, at in found])) == list(range(30))
    for region, at in found:
        assert (places.scene[at] == region.scene).all()
        assert region.window.holds(places.coords[at]).all()


def test_a_small_scene_is_one_region_and_a_large_one_is_read_around_places_only():
    shapes = [(96, 90), (2000, 3000)]
    coords = np.array([[3.0, 4.0], [50.0, 60.0], [1500.0, 190.0], [1510.0, 200.0]])
    places = make_places(coords, np.array([2, 5, 2, 5]), scene=np.array([0, 0, 1, 1]))
    material = gather_material(places, shapes, legend=LEGEND, chip=64)
    assert [r.scene for r in material.regions] == [0, 1]
    assert material.regions[0].window.shape == (96, 90)
    assert material.regions[1].window.shape == (96, 96)
    assert [len(t) for t in material.targets] == [2, 2]


def test_all_places_on_a_region_are_targets_of_it_even_those_nearer_to_another():
    places = draw_places([(300, 300)], 400)
    material = gather_material(places, [(300, 300)], legend=LEGEND, chip=64)
    for region, targets in zip(material.regions, material.targets, strict=True):
        assert len(targets) == region.window.holds(places.coords).sum()


def test_ignored_and_unknown_classes_are_no_targets():
    places = make_places(np.zeros((3, 2)), np.array([2, 77, 5]))
    material = gather_material(places, [(40, 40)], legend=LEGEND, chip=32)
    assert material.targets[0].label.tolist() == [0, 1]
    nothing = gather_material(places.take(np.array([1])), [(40, 40)], legend=LEGEND, chip=32)
    assert nothing.regions == ()


def test_a_chip_is_no_larger_than_the_scenes_need():
    places = make_places(np.zeros((1, 2)), np.array([2]))
    assert gather_material(places, [(70, 40)], legend=LEGEND, chip=256).side == 96
    assert gather_material(places, [(900, 900)], legend=LEGEND, chip=256).side == 256


def test_every_target_of_a_chip_points_at_its_own_pixel(tmp_path):
    shapes = [(150, 260), (50, 40)]
    scenes = [make_coordinate_scene(shape) for shape in shapes]
    places = draw_places(shapes, 300)
    chips = make_dataset(scenes, places, tmp_path, colour=0.0)
    checked = 0
    for epoch in range(5):
        chips.epoch = epoch
        for index in range(len(chips)):
            chip = chips[index]
            inner = ((chip.targets.coords >= 1) & (chip.targets.coords < 62)).all(axis=1)
            pixels = np.floor(chip.targets.coords[inner] + 0.5).astype(int)
            sharp = np.array(
                [chip.valid[r - 1 : r + 2, c - 1 : c + 2].all() for r, c in pixels], dtype=bool
            )
            held = chip.image[:, pixels[sharp, 0], pixels[sharp, 1]].T * 100
            origin = chips.sampler.choose(index, epoch=epoch)
            window = origin.region.window
            whole = origin.targets.coords + np.array([window.row, window.col])
            # half a pixel of the chip spans up to 0.67 source pixels at zoom 0.75
            distance = np.abs(whole[None] - held[:, None]).max(axis=2).min(axis=1, initial=9)
            assert (distance < 0.7).all()
            checked += len(held)
    assert checked > 500


def test_padding_beyond_a_small_scene_is_invalid_and_neutral(tmp_path):
    scenes = [scene_from_array(np.full((1, 40, 64), 200, dtype=np.uint8))]
    places = make_places(np.array([[20.0, 30.0]]), np.array([2]))
    chip = make_dataset(scenes, places, tmp_path, scale=(1, 1), flips=False)[0]
    assert chip.image.shape == (1, 64, 64)
    assert chip.valid.sum() == 40 * 64
    assert (chip.image[:, ~chip.valid] == 0).all()
    assert (chip.image[:, chip.valid] > 1).all()


def test_no_data_of_the_scene_is_invalid_and_neutral_in_the_chip(tmp_path):
    array = np.full((1, 64, 64), 200, dtype=np.uint8)
    array[:, :, :20] = 0
    places = make_places(np.array([[20.0, 30.0]]), np.array([2]))
    chip = make_dataset([scene_from_array(array, nodata=0)], places, tmp_path)[0]
    assert 0 < chip.valid.sum() < 64 * 64
    assert (chip.image[:, ~chip.valid] == 0).all()


def test_a_chip_follows_from_seed_epoch_and_index_alone(tmp_path):
    scenes = [make_coordinate_scene((150, 150))]
    places = draw_places([(150, 150)], 50)
    first, second, other = (
        make_dataset(scenes, places, tmp_path / str(seed), seed=seed) for seed in (1, 1, 2)
    )
    for chips in (first, second, other):
        chips.epoch = 3
    for index in reversed(range(len(second))):
        second[index]
    assert np.array_equal(first[5].image, second[5].image)
    assert np.array_equal(first[5].targets.coords, second[5].targets.coords)
    assert not np.array_equal(first[5].image, other[5].image)
    first.epoch = 4
    assert not np.array_equal(first[5].image, second[5].image)


def test_every_region_occurs_once_before_any_comes_again(tmp_path):
    shapes = [(40, 40)] * 7
    chips = make_dataset(
        [make_coordinate_scene(s) for s in shapes], draw_places(shapes, 100), tmp_path
    )
    order = [chips.sampler.choose(index, epoch=0).region.scene for index in range(14)]
    assert sorted(order[:7]) == sorted(order[7:]) == list(range(7))


@pytest.mark.parametrize("coords", [(5, 5), (2, 93), (93, 40), (48, 48)])
def test_every_chip_holds_a_place_wherever_it_is(tmp_path, coords):
    places = make_places(np.array([coords]), np.array([2]))
    chips = make_dataset([make_coordinate_scene((96, 96))], places, tmp_path)
    for chips.epoch in range(10):
        assert all(len(chips[index].targets) == 1 for index in range(len(chips)))


@pytest.mark.parametrize(
    ("regions", "steps", "expected"), [(60, 0, 8), (64, 0, 8), (65, 0, 9), (1, 0, 4), (60, 3, 3)]
)
def test_an_epoch_holds_each_region_or_the_steps_asked_for(regions, steps, expected):
    assert count_steps(regions, FitSpec(batch_size=8, steps=steps)) == expected


def test_a_cache_keeps_native_values_and_decodes_once(tmp_path):
    scene = scene_from_array(np.arange(2 * 9 * 8, dtype=np.uint16).reshape(2, 9, 8), nodata=3)
    cache = RegionCache([scene], tmp_path)
    places = make_places(np.zeros((1, 2)), np.array([2]))
    region = gather_material(places, [(9, 8)], legend=LEGEND, chip=32).regions[0]
    pixels = cache.read(region)
    assert pixels.data.dtype == np.uint16
    assert isinstance(pixels.data, np.memmap)
    assert np.array_equal(pixels.data, scene.read().data)
    assert np.array_equal(pixels.valid, scene.read().valid)
    assert RegionCache([scene], tmp_path / "b").checksum(region) == cache.checksum(region)


def test_batches_of_windows_hold_one_shape_and_every_window():
    shapes = [(40, 40), (64, 30), (40, 40), (40, 40)]
    found = find_regions(draw_places(shapes, 60), shapes, size=64, overlap=8)
    groups = list(group_by_shape(found, 2))
    assert sorted(r.scene for group in groups for r, _ in group) == [0, 1, 2, 3]
    assert all(len({r.window.shape for r, _ in group}) == 1 for group in groups)
    assert max(len(group) for group in groups) == 2


VARIED = {
    "copy_paste": 0.7, "match_histogram": 0.7, "balanced_chips": 0.5, "distort": "elastic",
}  # fmt: skip


def make_named_scene(shape, number):
    """An image whose bands hold the row, the column and the number of the scene, none of them 0."""
    planes = [*(np.indices(shape) + 1.0), np.full(shape, 200.0 * (number + 1))]
    return scene_from_array(np.stack(planes).astype(np.float32), bands=("row", "col", "scene"))


def same_chip(first, second):
    arrays = [(c.image, c.valid, c.targets.coords, c.targets.label) for c in (first, second)]
    return all(np.array_equal(a, b) for a, b in zip(*arrays, strict=True))


def test_pasted_places_lie_on_their_own_pixels_and_nothing_else_is_labelled(tmp_path):
    shapes = [(150, 260), (50, 40)]
    scenes = [make_named_scene(shape, number) for number, shape in enumerate(shapes)]
    places = draw_places(shapes, 60)
    chips = make_dataset(scenes, places, tmp_path, colour=0.0, copy_paste=1.0)
    ids = np.array(LEGEND.ids)
    both = checked = 0
    for chips.epoch in range(6):
        for index in range(len(chips)):
            chip = chips[index]
            for coords, label in zip(chip.targets.coords, chip.targets.label, strict=True):
                row, col = np.floor(coords + 0.5).astype(int)
                if not chip.valid[row, col]:  # half of an edge pixel, zoomed
                    continue
                checked += 1
                near, apart, scene = chip.image[:, row, col] * 100
                here = (places.scene == round(scene / 200) - 1) & (places.label == ids[label])
                source = places.coords[here] + 1
                assert np.abs(source - [near, apart]).max(axis=1).min() < 1.3
            both += len({round(v * 100) for v in np.unique(chip.image[2][chip.valid])}) > 1
    assert checked > 100
    assert both > 5, "patches come from other scenes too"


def test_teacher_and_guide_see_what_was_pasted(tmp_path):
    """A guide that repeats the image says of every cell what the image's pixels say."""
    shapes = [(96, 96), (80, 96)]
    scenes = [make_named_scene(shape, number) for number, shape in enumerate(shapes)]
    places = draw_places(shapes, 40)
    material = gather_material(places, shapes, legend=LEGEND, chip=64)
    guide = {
        region: scenes[region.scene].read().data[:, ::2, ::2].astype(np.float16)
        for region in material.regions
    }
    lesson = Lesson(colour=0.0, guide=guide, stride=2)
    chips = make_dataset(
        scenes, places, tmp_path, lesson=lesson, scale=(1, 1), colour=0.0, copy_paste=1.0
    )
    seen = 0
    for index in range(len(chips)):
        chip = chips[index]
        assert np.array_equal(chip.plain, chip.image)
        cells = chip.image.reshape(3, 32, 2, 32, 2).mean(axis=(2, 4)) * 100
        inner = chip.valid.reshape(32, 2, 32, 2).all(axis=(1, 3))
        difference = np.abs(cells - chip.guide)[:, inner]
        assert difference[:2].max() < 1.1, "the guide holds the first pixel of each cell"
        assert difference[2].max() == 0
        seen += len(np.unique(chip.image[2][chip.valid])) > 1
    assert seen


def test_other_values_reach_the_network_and_not_its_teacher(tmp_path):
    images = np.random.default_rng(0).normal(100, 20, (2, 2, 80, 90)).astype(np.float32)
    images[1] += 60
    images[:, :, :30] = np.nan
    scenes = [scene_from_array(image) for image in images]
    places = draw_places([(80, 90)] * 2, 40)
    options = {"lesson": Lesson(colour=0.0), "colour": 0.0}
    before = make_dataset(scenes, places, tmp_path, **options)
    after = make_dataset(scenes, places, tmp_path, match_histogram=1.0, **options)
    shifts = []
    for index in range(len(before)):
        first, second = before[index], after[index]
        assert np.array_equal(first.plain, second.plain)
        assert np.array_equal(first.valid, second.valid)
        assert not np.array_equal(first.image, second.image)
        assert (second.image[:, ~second.valid] == 0).all()
        for old, new in zip(first.image, second.image, strict=True):
            order = np.argsort(old[first.valid], kind="stable")
            assert (np.diff(new[first.valid][order]) > -1e-5).all(), "order within a band stays"
        shifts.append((second.image - first.image)[:, first.valid].mean())
    assert np.std(shifts) > 0.02
    assert max(np.abs(shifts)) < 0.8


def test_a_lone_region_gets_changed_light(tmp_path):
    scene = scene_from_array(np.random.default_rng(0).normal(100, 20, (2, 64, 64)))
    places = draw_places([(64, 64)], 10)
    plain, other = (
        make_dataset([scene], places, tmp_path, colour=0.0, match_histogram=share)[0]
        for share in (0.0, 1.0)
    )
    assert np.abs(plain.image - other.image).max() > 0.05


def test_varied_chips_follow_from_seed_epoch_and_index_alone(tmp_path):
    shapes = [(150, 150), (70, 64)]
    scenes = [make_named_scene(shape, number) for number, shape in enumerate(shapes)]
    places = draw_places(shapes, 50)
    first, second, other = (
        make_dataset(scenes, places, tmp_path / str(seed), seed=seed, **VARIED)
        for seed in (1, 1, 2)
    )
    for chips in (first, second, other):
        chips.epoch = 3
    backwards = [second[index] for index in reversed(range(8))][::-1]
    for index in range(8):
        assert same_chip(first[index], backwards[index])
    assert not all(same_chip(first[index], other[index]) for index in range(8))


def test_shares_are_shares_of_chips(tmp_path):
    scenes = [make_named_scene((64, 64), number) for number in range(3)]
    places = draw_places([(64, 64)] * 3, 30)
    options = {"scale": (1, 1), "colour": 0.0, "steps": 25}
    plain = make_dataset(scenes, places, tmp_path, **options)
    pasted = make_dataset(scenes, places, tmp_path, copy_paste=0.3, **options)
    assert len(plain) == len(pasted) == 100
    changed = sum(not same_chip(plain[index], pasted[index]) for index in range(100))
    assert 15 <= changed <= 45


@pytest.mark.parametrize("kind", ["elastic", "grid"])
def test_bent_chips_keep_their_places_on_their_pixels(kind, tmp_path):
    shapes = [(150, 260), (90, 80)]
    scenes = [make_coordinate_scene(shape) for shape in shapes]
    places = draw_places(shapes, 300)
    how = {"colour": 0.0, "scale": (1, 1), "distort": kind, "distort_pixels": 3.0}
    chips = make_dataset(scenes, places, tmp_path, **how)
    checked = 0
    for index in range(len(chips)):
        chip = chips[index]
        for coords in chip.targets.coords:
            row, col = np.floor(coords + 0.5).astype(int)
            if chip.valid[row, col]:
                seen = chip.image[:, row, col] * 100
                checked += 1
                assert np.abs(places.coords - seen).max(axis=1).min() < 1.2
    assert checked > 100


def test_without_shares_chips_are_cut_as_they_always_were(tmp_path):
    """What one pixel of the chips of an epoch comes from, as drawn before there were any shares."""
    shapes = [(150, 260), (50, 40)]
    scenes = [make_coordinate_scene(shape) for shape in shapes]
    chips = make_dataset(scenes, draw_places(shapes, 300), tmp_path, colour=0.0, scale=(1, 1))
    chips.epoch = 2
    drawn = [np.rint(chips[index].image[:, 30, 20] * 100).tolist() for index in range(6)]
    assert drawn == [[106, 220], [125, 193], [49, 31], [60, 133], [6, 17], [94, 33]]
