"""Nothing of what is held out reaches what is learned from."""

from dataclasses import replace

import numpy as np
import pytest

from landvisor.geo.legend import legend_from_ids
from landvisor.geo.locate import Losses
from landvisor.geo.places import SOURCES, make_places
from landvisor.geo.scene import scene_from_array
from landvisor.labels.enrich import choose_learned
from landvisor.labels.material import Material
from landvisor.recipe import Recipe

SIDE = 32
PLACES = make_places(np.array([[4.0, 4], [4, 12], [4, 24], [20, 4], [20, 24]]),
                     np.array([1, 1, 2, 1, 2]))  # fmt: skip
ALL = np.ones(len(PLACES), dtype=bool)


@pytest.fixture
def material():
    image = np.zeros((1, SIDE, SIDE), np.uint8)
    image[:, :, SIDE // 2 :] = 200
    image += np.random.default_rng(0).integers(0, 3, image.shape).astype(np.uint8)
    nothing = PLACES.take(~ALL)
    return Material(
        (scene_from_array(image, name="a"),), (None,), ("a",), legend_from_ids([1, 2]), PLACES,
        nothing, Losses(), (),
    )  # fmt: skip


def recipe(**values):
    return Recipe().with_values({name.replace("__", "."): v for name, v in values.items()})


def test_by_default_points_alone_are_learned_from(material):
    learned, notes = choose_learned(material, ALL, Recipe())
    assert len(learned) == len(PLACES)
    assert notes == ()


def test_labels_grow_from_chosen_points_alone(material):
    chosen = np.array([True, False, True, True, True])
    learned, notes = choose_learned(material, chosen, recipe(grow__method="region"))
    grown = learned.take(learned.source == SOURCES["grown"])
    assert len(grown) > 50
    assert set(grown.group.tolist()) <= {0, 2, 3, 4}
    assert (np.where(grown.coords[:, 1] < SIDE // 2, 1, 2) == grown.label).all()
    alone = replace(material, places=PLACES.take(chosen))
    same, _ = choose_learned(alone, np.ones(4, dtype=bool), recipe(grow__method="region"))
    assert np.array_equal(same.coords, learned.coords)  # the point left out held nothing back
    assert any("purity" in note for note in notes)


def test_the_limit_holds_for_each_class(material):
    learned, _ = choose_learned(material, ALL, recipe(grow__method="region", labels__max_grown=7))
    grown = learned.take(learned.source == SOURCES["grown"])
    assert [(grown.label == label).sum() for label in (1, 2)] == [7, 7]


def test_links_are_learned_from(material):
    learned, _ = choose_learned(material, ALL, recipe(link__area="segment", link__distance=9.0))
    linked = learned.take(learned.source == SOURCES["linked"])
    assert linked.coords.tolist() == [[4.0, col] for col in range(5, 12)]


def test_labels_read_from_rasters_leave_with_their_point(material):
    read = make_places(np.array([[5.0, 5], [21, 25], [9, 9]]), np.array([1, 2, 1]),
                       source="grown", group=np.array([0, 4, 99]))  # fmt: skip
    with_rasters = replace(material, grown=read)
    learned, _ = choose_learned(with_rasters, PLACES.group != 4, Recipe())
    assert learned.take(learned.source == SOURCES["grown"]).group.tolist() == [0, 99]


def test_a_pixel_is_learned_once(material):
    on_grown = make_places(np.array([[5.0, 5]]), np.array([1]), source="grown")
    with_rasters = replace(material, grown=on_grown)
    learned, _ = choose_learned(with_rasters, ALL, recipe(grow__method="region"))
    assert len(np.unique(learned.pixels(), axis=0)) == len(learned)
