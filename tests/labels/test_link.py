"""Linked pixels against the plain way, written out pair by pair and pixel by pixel."""

from dataclasses import replace
from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from landvisor.geo.places import SOURCES, make_places
from landvisor.geo.scene import ArraySource, Scene, scene_from_array
from landvisor.labels import link
from landvisor.labels.link import LinkFacts, link_places
from landvisor.labels.pixels import SURE
from landvisor.recipe import LinkSpec

AREAS = ("segment", "disk", "hull")
SCALE = np.array([1.0, 2.0])


@st.composite
def cases(draw):
    """Draw places near pixel centres, never on an edge, and two bands of few values with gaps."""
    shape = draw(st.tuples(st.integers(1, 13), st.integers(1, 13)))
    count = draw(st.integers(1, 22))
    limits = np.array(shape) - 1
    pixels = draw(arrays(np.int64, (count, 2), elements=st.integers(0, 12))) % (limits + 1)
    quarters = draw(arrays(np.int64, (count, 2), elements=st.integers(-1, 1))) / 4
    places = make_places(
        pixels + quarters, draw(arrays(np.int64, count, elements=st.integers(3, 5)))
    )
    weight = draw(arrays(np.float32, count, elements=st.sampled_from([0.25, 0.5, 1.0])))
    data = draw(arrays(np.uint8, (2, *shape), elements=st.integers(0, 3)))
    valid = draw(arrays(np.bool_, shape, elements=st.sampled_from([True, True, True, False])))
    return replace(places, weight=weight), make_scene(data, valid)


specs = st.builds(
    LinkSpec,
    area=st.sampled_from(AREAS),
    distance=st.sampled_from([1.5, 3.0, 5.0, 9.0]),
    radius=st.sampled_from([1.0, 2.0, 2.5]),
    tolerance=st.sampled_from([0.0, 0.5, 1.0]),
    weight=st.sampled_from([1.0, 0.5]),
)


def make_scene(data, valid=None):
    scene = scene_from_array(data)
    good = np.ones(data.shape[1:], dtype=bool) if valid is None else valid
    return replace(scene, source=ArraySource(data, good))


def run(places, scene, **options):
    spec = LinkSpec(**({"area": "segment", "tolerance": 0.0} | options))
    return link_places(places, scene=scene, spec=spec, scale=np.ones(len(scene.bands)))


def labelled(linked):
    pixels = map(tuple, linked.pixels.coords().tolist())
    return dict(zip(pixels, linked.pixels.label.tolist(), strict=True))


def full_state(linked):
    found = linked.pixels
    label_weight = zip(found.label.tolist(), found.weight.tolist(), strict=True)
    return dict(zip(found.position.tolist(), label_weight, strict=True))


def line(a, b):
    """List the pixels strictly between two by exact rounding."""
    steps = max(abs(b[0] - a[0]), abs(b[1] - a[1]))
    found = set()
    for step in range(1, steps):
        exact = [Fraction(p * (steps - step) + q * step, steps) for p, q in zip(a, b, strict=True)]
        if any(value.denominator == 2 for value in exact) and 2 * step != steps:
            target = a if 2 * step < steps else b
            low = [value // 1 for value in exact]
            near = [min((f, f + 1), key=lambda v, t=t: abs(v - t)) if e.denominator == 2 else
                    round(e) for f, e, t in zip(low, exact, target, strict=True)]  # fmt: skip
            found.add(tuple(int(value) for value in near))
        else:
            both = [{e // 1, -(-e // 1)} if e.denominator == 2 else {round(e)} for e in exact]
            found |= {(int(r), int(c)) for r, c in product(*both)}
    return found


def plain_links(places, scene, spec):
    """Return the links and the facts by the definitions, one pair after the other."""
    data, valid = scene.read()
    kept, counts = [], dict.fromkeys(("pairs", "near_other", "off_colour", "no_data"), 0)
    pixels = [tuple(pixel) for pixel in places.pixels().tolist()]
    for a, b in combinations(range(len(places)), 2):
        half = np.linalg.norm(places.coords[a] - places.coords[b]) / 2
        if places.label[a] != places.label[b] or 2 * half > spec.distance:
            continue
        counts["pairs"] += 1
        others = places.coords[places.label != places.label[a]]
        middle = (places.coords[a] + places.coords[b]) / 2
        if len(others) and np.linalg.norm(others - middle, axis=1).min() <= half + 1e-12:
            counts["near_other"] += 1
            continue
        ends = np.stack([data[:, *pixels[a]], data[:, *pixels[b]]]).astype(float)
        limit = spec.tolerance * SCALE
        path = line(pixels[a], pixels[b]) | {pixels[a], pixels[b]}
        bad = set()
        for r, c in path if spec.tolerance else ():
            off = (data[:, r, c] < ends.min(0) - limit) | (data[:, r, c] > ends.max(0) + limit)
            bad |= {"no_data"} if not valid[r, c] else {"off_colour"} if off.any() else set()
        if bad:
            counts[min(bad)] += 1  # no data counts where both are met
        else:
            kept.append((a, b))
    return kept, counts


def alike(scene, pixel, low, high, spec):
    if not spec.tolerance:
        return True
    value, limit = scene.read().data[:, *pixel].astype(float), spec.tolerance * SCALE
    return bool(((value >= low - limit) & (value <= high + limit)).all())


def nearest(places, pixel):
    """List the nearest places; none where two classes are as near."""
    far = ((places.coords - np.array(pixel)) ** 2).sum(axis=1)
    level = np.flatnonzero(far == far.min())
    return [] if len(np.unique(places.label[level])) > 1 else level.tolist()


def colours_at(scene, places, members):
    rows, cols = places.pixels()[members].T
    found = scene.read().data[:, rows, cols].astype(float)
    return found.min(axis=1), found.max(axis=1)


def groups_of(count, links):
    group = list(range(count))
    for a, b in links:
        group = [group[a] if g == group[b] else g for g in group]
    return [np.flatnonzero(np.array(group) == g) for g in set(group)]


def plain_area(places, scene, spec, links, hulls, pixel):
    """Return the classes that discs or hulls give a pixel."""
    owners = nearest(places, pixel)
    label = set(places.label[owners].tolist())
    if spec.area == "disk":
        return label if any(
            np.linalg.norm(places.coords[own] - pixel) <= spec.radius
            and any(own in pair for pair in links)
            and alike(scene, pixel, *colours_at(scene, places, [own]), spec)
            for own in owners
        ) else set()  # fmt: skip
    for members, hull in hulls:
        if (
            label == {places.label[members[0]]}
            and hull.covers(shapely.Point(pixel))
            and alike(scene, pixel, *colours_at(scene, places, members), spec)
        ):
            return label
    return set()


def plain_hulls(places, links):
    """List groups of linked places and their hulls, without flat ones and mixed ones."""
    found = []
    for members in groups_of(len(places), links):
        hull = shapely.MultiPoint(places.coords[members]).convex_hull
        others = places.coords[places.label != places.label[members[0]]]
        if hull.geom_type == "Polygon" and not shapely.covers(hull, shapely.points(others)).any():
            found.append((members, hull))
    return found


def plain_pixels(places, scene, spec, links):
    valid, pixels = scene.read().valid, {tuple(pixel) for pixel in places.pixels().tolist()}
    whole = [tuple(pixel) for pixel in places.pixels().tolist()]
    drawn = [(line(whole[a], whole[b]), places.label[a]) for a, b in links]
    hulls = plain_hulls(places, links) if spec.area == "hull" else []
    found = {}
    for pixel in product(*map(range, scene.shape)):
        classes = {label for path, label in drawn if pixel in path}
        classes |= plain_area(places, scene, spec, links, hulls, pixel)
        if len(classes) == 1 and valid[pixel] and pixel not in pixels:
            found[pixel] = classes.pop()
    return found


@settings(max_examples=150)
@given(cases(), specs)
def test_pixels_and_counts_equal_those_of_the_plain_way(case, spec):
    places, scene = case
    linked = link_places(places, scene=scene, spec=spec, scale=SCALE)
    kept, counts = plain_links(places, scene, spec)
    assert labelled(linked) == plain_pixels(places, scene, spec, kept)
    assert linked.facts == LinkFacts(linked=len(kept), **counts)


@given(cases(), specs)
def test_what_a_place_or_no_data_holds_stays_and_classes_come_from_near(case, spec):
    places, scene = case
    found = link_places(places, scene=scene, spec=spec, scale=SCALE).pixels
    taken = {tuple(pixel) for pixel in places.pixels().tolist()}
    assert not taken & set(map(tuple, found.coords().tolist()))
    assert scene.valid_at(found.coords()).all()
    assert (found.source == SOURCES["linked"]).all()
    assert (places.label[found.place] == found.label).all()
    far = np.linalg.norm(places.coords[found.place] - found.coords(), axis=1)
    if spec.area != "hull":
        assert (far <= spec.distance + spec.radius).all()
    sure = np.rint(places.weight * spec.weight * SURE)
    assert (found.weight <= sure[found.place]).all()


@given(cases(), specs, st.randoms(use_true_random=False))
def test_the_order_of_places_changes_nothing(case, spec, random):
    places, scene = case
    order = np.array(random.sample(range(len(places)), len(places)))
    one = link_places(places, scene=scene, spec=spec, scale=SCALE)
    other = link_places(places.take(order), scene=scene, spec=spec, scale=SCALE)
    assert full_state(one) == full_state(other)


@given(cases(), specs, st.integers(0, 40), st.integers(0, 40))
def test_labels_move_with_the_places_and_the_image(case, spec, rows, cols):
    places, scene = case
    data, valid = scene.read()
    around = ((rows, 3), (cols, 3))
    wide = make_scene(np.pad(data, ((0, 0), *around)), np.pad(valid, around))
    moved = replace(places, coords=places.coords + np.array([rows, cols]))
    one = link_places(places, scene=scene, spec=spec, scale=SCALE)
    other = link_places(moved, scene=wide, spec=spec, scale=SCALE)
    assert {(r + rows, c + cols): v for (r, c), v in labelled(one).items()} == labelled(other)
    assert one.facts == other.facts


@given(cases(), specs)
def test_labels_turn_and_mirror_with_the_places_and_the_image(case, spec):
    places, scene = case
    data, valid = scene.read()
    one = link_places(places, scene=scene, spec=spec, scale=SCALE)
    last = scene.shape[1] - 1
    turned = replace(
        places, coords=places.coords[:, ::-1] * np.array([-1, 1]) + np.array([last, 0])
    )
    upright = make_scene(np.rot90(data, axes=(1, 2)), np.rot90(valid))
    other = link_places(turned, scene=upright, spec=spec, scale=SCALE)
    assert {(last - c, r): v for (r, c), v in labelled(one).items()} == labelled(other)
    mirrored = replace(places, coords=places.coords * np.array([1, -1]) + np.array([0, last]))
    mirror = make_scene(data[:, :, ::-1], valid[:, ::-1])
    third = link_places(mirrored, scene=mirror, spec=spec, scale=SCALE)
    assert {(r, last - c): v for (r, c), v in labelled(one).items()} == labelled(third)
    assert one.facts == other.facts == third.facts


@given(cases(), specs, st.integers(1, 6))
def test_the_size_of_tiles_changes_nothing(case, spec, size):
    places, scene = case
    whole = link_places(places, scene=scene, spec=spec, scale=SCALE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(link, "_TILE", size)
        tiled = link_places(places, scene=scene, spec=spec, scale=SCALE)
    assert full_state(whole) == full_state(tiled)
    assert whole.pixels.place.tolist() == tiled.pixels.place.tolist()
    assert whole.facts == tiled.facts


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("tolerance", [0.0, 0.5])
def test_many_places_on_coherent_classes_equal_the_plain_way(area, tolerance):
    rng = np.random.default_rng(3)
    rows, cols = np.mgrid[:40, :40]
    truth = ((rows + 6 * np.sin(cols / 6)) // 10).astype(np.int64) % 3
    positions = rng.choice(truth.size, 130, replace=False)
    coords = np.stack(np.unravel_index(positions, truth.shape), axis=1) + rng.choice(
        [-0.25, 0.0, 0.25], (130, 2)
    )
    places = make_places(coords, truth.ravel()[positions])
    data = np.stack([truth * 2, truth + 1]) + rng.integers(0, 2, (2, 40, 40))
    scene = make_scene(data.astype(np.float32), rng.random((40, 40)) > 0.01)
    spec = LinkSpec(area=area, tolerance=tolerance, distance=6.0)
    linked = link_places(places, scene=scene, spec=spec, scale=SCALE)
    kept, counts = plain_links(places, scene, spec)
    assert linked.facts == LinkFacts(linked=len(kept), **counts)
    assert counts["near_other"] > 10
    assert len(kept) > 100
    assert labelled(linked) == plain_pixels(places, scene, spec, kept)


def blank(rows=9, cols=9):
    return make_scene(np.zeros((1, rows, cols), dtype=np.uint8))


def test_a_line_between_two_pixels_takes_both_in_the_very_middle():
    places = make_places(np.array([[0.0, 0.0], [1.0, 4.0]]), np.array([7, 7]))
    linked = run(places, blank())
    assert set(labelled(linked)) == {(0, 1), (0, 2), (1, 2), (1, 3)}
    assert dict(
        zip(linked.pixels.position.tolist(), linked.pixels.place.tolist(), strict=True)
    ) == {
        1: 0,
        2: 0,
        11: 1,
        12: 1,
    }


def test_a_pixel_off_colour_ends_a_link_and_one_within_tolerance_does_not():
    data = np.full((1, 1, 6), 10.0, dtype=np.float32)
    data[0, 0, 5], data[0, 0, 3] = 12.0, 13.0
    places = make_places(np.array([[0.0, 0.0], [0.0, 5.0]]), np.array([1, 1]))
    assert run(places, make_scene(data), tolerance=0.9).facts == LinkFacts(pairs=1, off_colour=1)
    assert len(run(places, make_scene(data), tolerance=1.0).pixels) == 4
    assert len(run(places, make_scene(data)).pixels) == 4  # 0 looks at no colour


@pytest.mark.parametrize("dtype", ["u1", ">u2", "f2"])
def test_imagery_of_any_type_is_looked_at(dtype):
    data = np.array([[[10, 10, 11, 10, 20, 10, 10]]]).astype(dtype)
    data.flags.writeable = False
    coords = np.array([[0.0, 0.0], [0.0, 3.0], [0.0, 6.0]])
    linked = run(make_places(coords, np.ones(3, dtype=np.int64)), make_scene(data), tolerance=1.0)
    assert linked.facts.off_colour == 1
    assert set(labelled(linked)) == {(0, 1), (0, 2)}


def test_no_data_ends_a_link_where_colours_count_and_is_left_out_where_not():
    valid = np.array([[True, True, False, True]])
    scene = make_scene(np.zeros((1, 1, 4), dtype=np.uint8), valid)
    places = make_places(np.array([[0.0, 0.0], [0.0, 3.0]]), np.array([1, 1]))
    assert run(places, scene, tolerance=1.0).facts == LinkFacts(pairs=1, no_data=1)
    assert set(labelled(run(places, scene))) == {(0, 1)}


def test_discs_end_between_two_classes_and_reach_round_linked_places_only():
    coords = np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 5.0], [8.0, 8.0]])
    places = make_places(coords, np.array([1, 1, 2, 1]))
    found = labelled(run(places, blank(), area="disk", radius=3.0))
    assert found[0, 2] == 1
    assert (0, 3) not in found  # two pixels from either class
    assert set(found.values()) == {1}
    assert (8, 7) not in found


def test_a_hull_that_holds_another_class_keeps_its_segments_alone():
    corners = np.array([[0.0, 0.0], [0.0, 4.0], [4.0, 0.0], [4.0, 4.0]])
    alone = make_places(corners, np.ones(4, dtype=np.int64))
    assert len(run(alone, blank(), area="hull").pixels) == 25 - 4
    other = make_places(np.vstack([corners, [2.0, 1.0]]), np.array([1, 1, 1, 1, 2]))
    ringed = run(other, blank(), area="hull")
    assert labelled(ringed) == labelled(run(other, blank()))
    assert ringed.facts == LinkFacts(pairs=4, linked=3, near_other=1)


def test_pixels_that_two_classes_claim_stay_unlabelled():
    coords = np.array([[0.4, 0.0], [0.4, 4.0], [-0.4, 0.1], [-0.4, 3.9]])  # side by side in a row
    linked = run(make_places(coords, np.array([1, 1, 2, 2])), blank())
    assert linked.facts.linked == 2
    assert len(linked.pixels) == 0


def test_the_weight_of_a_line_is_that_of_its_less_sure_end():
    places = make_places(np.array([[0.0, 0.0], [0.0, 3.0]]), np.array([1, 1]))
    places = replace(places, weight=np.array([1.0, 0.5], dtype=np.float32))
    assert set(run(places, blank(), weight=0.5).pixels.weight.tolist()) == {64}
    disc = run(places, blank(), weight=0.5, area="disk", radius=1.0).pixels
    assert disc.weight[disc.place == 0].max() == 128


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("tolerance", [0.0, 0.5])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_places_and_no_data_everywhere_label_nothing(area, tolerance, count):
    corners = np.array([[0.0, 0.0], [3.0, 4.0]])[:count]
    places = make_places(corners, np.ones(count, dtype=np.int64))
    void = make_scene(np.zeros((1, 9, 9), dtype=np.uint8), np.zeros((9, 9), dtype=bool))
    linked = run(places, void, area=area, tolerance=tolerance)
    assert len(linked.pixels) == 0
    assert linked.facts.pairs == count // 2


def test_the_area_none_labels_nothing():
    places = make_places(np.array([[0.0, 0.0], [0.0, 3.0]]), np.array([1, 1]))
    linked = run(places, blank(), area="none")
    assert (len(linked.pixels), linked.facts) == (0, LinkFacts())


@pytest.mark.parametrize("area", AREAS)
def test_two_classes_in_one_pixel_and_places_on_the_border_do_no_harm(area):
    coords = np.array([[-0.5, -0.5], [8.25, 8.25], [4.0, 4.0], [4.25, 4.0], [4.0, 4.0], [0.0, 8.0]])
    places = make_places(coords, np.array([1, 1, 1, 2, 1, 1]))
    linked = run(places, blank(), area=area, distance=20.0, radius=30.0)
    assert 40 not in linked.pixels.position.tolist()
    assert linked.pixels.position.max() <= 80


class Unreadable:
    def read(self, window):
        raise AssertionError("the imagery was read")


def test_without_a_tolerance_complete_imagery_is_not_read():
    scene: Scene = replace(blank(), source=Unreadable(), complete=True)
    places = make_places(np.array([[0.0, 0.0], [0.0, 3.0], [3.0, 0.0]]), np.ones(3, dtype=np.int64))
    for area in AREAS:
        assert len(run(places, scene, area=area, distance=5.0).pixels) >= 4


@pytest.mark.parametrize("area", AREAS)
def test_65536_places_in_one_image_are_linked(area):
    rng = np.random.default_rng(0)
    truth = np.add.outer(np.arange(700) // 50, np.arange(700) // 50) % 3
    positions = np.sort(rng.choice(truth.size, 65_536, replace=False))
    coords = np.stack(np.unravel_index(positions, truth.shape), axis=1).astype(np.float64)
    places = make_places(coords, truth.ravel()[positions])
    scene = make_scene(truth[None].astype(np.uint8))
    linked = run(places, scene, area=area, tolerance=0.1, distance=3.0)
    found = linked.pixels
    assert linked.facts.linked > 65_536
    assert (truth.ravel()[found.position] == found.label).mean() > 0.9
    assert not np.isin(found.position, positions).any()


def test_facts_add_up_over_scenes_and_say_why_pairs_were_refused():
    whole = LinkFacts(5, 2, 1, 1, 1) + LinkFacts(2, 2, 0, 0, 0)
    assert whole == LinkFacts(7, 4, 1, 1, 1)
    assert whole.lines()[0] == "4 of 7 pairs of places of one class linked"
    assert len(whole.lines()) == 4
    assert len(LinkFacts().lines()) == 1
