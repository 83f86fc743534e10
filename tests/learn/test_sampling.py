"""Which region each chip comes from follows from shares, seed, epoch and index."""

from dataclasses import replace

import numpy as np
import pytest
from odc.geo.geobox import GeoBox

from landvisor.geo.legend import legend_from_ids
from landvisor.geo.places import make_places
from landvisor.geo.scene import Pixels, Scene, scene_from_array
from landvisor.geo.tiling import full_window
from landvisor.learn.regions import Region
from landvisor.learn.sampling import MOST_BARE, Sampler, find_bare, gather_material

LEGEND = legend_from_ids((2, 5, 7))


def make_scene(shape, fill=1):
    return scene_from_array(np.full((1, *shape), fill, dtype=np.uint8), nodata=0)


def make_material(*, bare=3):
    """Four regions: the rare class 7 has one place on one of them."""
    coords = np.tile([[5.0, 5.0], [9.0, 9.0]], (20, 1))
    scene = np.repeat(np.arange(4), 10)
    label = np.where(np.arange(40) % 10 < 9, 2, 5)
    label[33] = 7
    places = make_places(coords, label, scene=scene)
    material = gather_material(places, [(32, 32)] * 4, legend=LEGEND, chip=32)
    regions = tuple(Region(9 + k, full_window((32, 32))) for k in range(bare))
    return replace(material, bare=regions)


def draw(sampler, count, epoch=0):
    return [sampler.choose(index, epoch=epoch) for index in range(count)]


def test_without_shares_labelled_regions_take_turns():
    origins = draw(Sampler(make_material(), 0), 12)
    assert all(origin.anchor is None for origin in origins)
    for start in (0, 4, 8):
        assert {o.region.scene for o in origins[start : start + 4]} == {0, 1, 2, 3}


@pytest.mark.parametrize("share", [0.25, 0.5, 0.1, 0.7])
def test_the_share_of_unlabelled_chips_is_exact_and_even(share):
    origins = draw(Sampler(make_material(), 0, unlabelled=share), 400)
    bare = np.array([origin.region.scene >= 9 for origin in origins])
    assert bare.sum() == round(400 * share)
    per_batch = bare.reshape(-1, 4).sum(axis=1)
    assert set(per_batch) <= {int(np.floor(4 * share)), int(np.ceil(4 * share))}
    assert all(len(o.targets) == 0 for o, b in zip(origins, bare, strict=True) if b)
    assert all(len(o.targets) > 0 for o, b in zip(origins, bare, strict=True) if not b)


def test_unlabelled_chips_visit_every_bare_region_and_labelled_ones_every_other():
    origins = draw(Sampler(make_material(), 0, unlabelled=0.5), 24)
    scenes = [origin.region.scene for origin in origins]
    assert sorted(s for s in scenes if s >= 9) == sorted([9, 10, 11] * 4)
    assert sorted(s for s in scenes if s < 9) == sorted([0, 1, 2, 3] * 3)


def test_without_bare_regions_no_chip_is_unlabelled():
    material = make_material(bare=0)
    plain, shared = Sampler(material, 0), Sampler(material, 0, unlabelled=0.5)
    assert [o.region for o in draw(plain, 20)] == [o.region for o in draw(shared, 20)]


def test_balanced_chips_hold_each_class_as_often():
    origins = draw(Sampler(make_material(), 0, balanced=1.0), 300)
    held = [int(origin.targets.label[origin.anchor]) for origin in origins]
    assert np.bincount(held).tolist() == [100, 100, 100]
    rare = {origin.region.scene for origin, label in zip(origins, held, strict=True) if label == 2}
    assert rare == {3}
    common = [o.region.scene for o, label in zip(origins, held, strict=True) if label == 1]
    assert set(common) == {0, 1, 2, 3}


def test_a_share_of_the_labelled_chips_is_balanced():
    origins = draw(Sampler(make_material(), 0, unlabelled=0.25, balanced=0.5), 80)
    bare = sum(origin.region.scene >= 9 for origin in origins)
    chosen = [origin for origin in origins if origin.anchor is not None]
    assert (bare, len(chosen)) == (20, 30)
    assert len({int(o.targets.label[o.anchor]) for o in chosen}) == 3


def test_a_choice_follows_from_seed_epoch_and_index_alone():
    options = {"unlabelled": 0.25, "balanced": 0.5}
    first, second = (Sampler(make_material(), 1, **options) for _ in range(2))
    backwards = [second.choose(index, epoch=3) for index in reversed(range(40))][::-1]
    told = [(o.region, o.anchor) for o in draw(first, 40, epoch=3)]
    assert told == [(o.region, o.anchor) for o in backwards]
    assert told != [(o.region, o.anchor) for o in draw(first, 40, epoch=4)]
    assert told != [(o.region, o.anchor) for o in draw(Sampler(make_material(), 2, **options), 40)]


def find(places, scenes, *, extra=(), chip=32, seed=0):
    shapes = [scene.shape for scene in scenes]
    taken = gather_material(places, shapes, legend=LEGEND, chip=chip).regions
    return find_bare(places, scenes, extra=extra, taken=taken, chip=chip, seed=seed)


def test_bare_regions_hold_no_place_of_any_class():
    coords = np.random.default_rng(0).uniform(0, 299, (30, 2))
    places = make_places(coords, np.tile([2, 5, 77], 10))
    found = find(places, [make_scene((300, 300))])
    assert len(found) > 20
    assert not any(region.window.holds(coords).any() for region in found)
    assert all(region.window.shape == (48, 48) for region in found)


def test_scenes_without_places_are_left_alone_and_extra_ones_are_not():
    scenes = [make_scene((300, 300)), make_scene((300, 300))]
    places = make_places(np.array([[5.0, 5.0]]), np.array([2]), scene=np.array([1]))
    assert {region.scene for region in find(places, scenes)} == {1}
    found = find(places, scenes, extra=[make_scene((30, 40)), make_scene((300, 300))])
    assert {region.scene for region in found} == {1, 2, 3}
    assert next(r for r in found if r.scene == 2).window == full_window((30, 40))


def test_windows_of_no_data_are_passed_over():
    image = np.ones((1, 300, 300), dtype=np.uint8)
    image[:, :, 150:] = 0
    places = make_places(np.array([[5.0, 5.0]]), np.array([2]))
    found = find(places, [scene_from_array(image, nodata=0)])
    assert found
    assert all(region.window.col + 24 <= 150 for region in found)


class Counted:
    """A source that only counts what is read of it."""

    def __init__(self):
        self.pixels = 0

    def read(self, window):
        self.pixels += window.rows * window.cols
        return Pixels(np.ones((1, *window.shape), np.uint8), np.ones(window.shape, bool))


def test_a_huge_scene_is_not_read_whole():
    source = Counted()
    scene = Scene(
        "huge", GeoBox((20_000, 20_000), make_scene((9, 9)).grid.affine, None), ("a",),
        np.dtype(np.uint8), source,
    )  # fmt: skip
    places = make_places(np.array([[5.0, 5.0], [9000.0, 70.0]]), np.array([2, 5]))
    found = find(places, [scene], chip=256)
    assert len(found) == MOST_BARE
    assert source.pixels <= MOST_BARE * 384**2
    rows = np.array([region.window.row for region in found])
    assert np.ptp(rows) > 12_000
    assert found == find(places, [scene], chip=256)
    assert found != find(places, [scene], chip=256, seed=1)


def test_a_scene_full_of_places_has_no_bare_region():
    rows, cols = np.meshgrid(np.arange(0, 300, 10.0), np.arange(0, 300, 10.0))
    places = make_places(np.column_stack([rows.ravel(), cols.ravel()]), np.full(rows.size, 2))
    assert find(places, [make_scene((300, 300))]) == ()
