"""Which pairs of places are links, against the definition written out."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from landvisor.errors import PointsError
from landvisor.geo.places import make_places
from landvisor.labels import link_pairs
from landvisor.labels.link_pairs import find_links

WHOLE = st.integers(-3, 9).map(float)
ANY = st.floats(-3, 9, allow_nan=False, width=32)


@st.composite
def some_places(draw, elements=WHOLE):
    count = draw(st.integers(1, 24))
    coords = draw(arrays(np.float64, (count, 2), elements=elements))
    label = draw(arrays(np.int64, count, elements=st.integers(0, 2)))
    return make_places(coords, label)


def pairs_of(links):
    return {frozenset(pair) for pair in np.stack(links[:2], axis=1).tolist()}


def side(a, b, c):
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return (area > 0) - (area < 0)


def on_segment(a, b, c):
    inside = all(min(p, q) <= r <= max(p, q) for p, q, r in zip(a, b, c, strict=True))
    return inside and side(a, b, c) == 0


def meet(a, b, c, d):
    """Tell exactly whether the segments ab and cd have a point in common."""
    if side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0:
        return True
    ends = ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    return any(on_segment(*three) for three in ends)


@given(some_places(), st.sampled_from([1.0, 2.0, 2.5, 5.0, 30.0]))
def test_pairs_within_the_distance_are_counted_exactly(places, distance):
    links = find_links(places, distance)
    near = [
        (a, b)
        for a, b in combinations(range(len(places)), 2)
        if places.label[a] == places.label[b]
        and ((places.coords[a] - places.coords[b]) ** 2).sum() <= distance**2
    ]
    assert links.pairs == len(near)
    assert links.near_other == len(near) - len(links.first)
    assert pairs_of(links) <= {frozenset(pair) for pair in near}


@given(some_places(), st.sampled_from([2.0, 5.0, 30.0]))
def test_a_pair_is_refused_where_another_class_is_as_near_as_its_ends(places, distance):
    kept = pairs_of(find_links(places, distance))
    shares = np.linspace(0, 1, 33)[:, None]  # halves of whole numbers: exact
    for a, b in combinations(range(len(places)), 2):
        gap = ((places.coords[a] - places.coords[b]) ** 2).sum()
        if places.label[a] != places.label[b] or gap > distance**2:
            continue
        points = places.coords[a] * (1 - shares) + places.coords[b] * shares
        ends, others = places.coords[[a, b]], places.coords[places.label != places.label[a]]
        to_end = ((points[:, None] - ends) ** 2).sum(axis=2).min(axis=1)
        to_other = ((points[:, None] - others) ** 2).sum(axis=2).min(axis=1, initial=np.inf)
        assert (frozenset((a, b)) not in kept) == bool((to_other <= to_end).any())


@given(some_places(st.one_of(WHOLE, ANY)), st.sampled_from([3.0, 30.0]))
def test_links_of_two_classes_never_meet(places, distance):
    links = find_links(places, distance)
    ends = [
        [tuple(map(Fraction, places.coords[end].tolist())) for end in pair]
        for pair in zip(links.first, links.second, strict=True)
    ]
    label = places.label[links.first]
    for one, other in combinations(range(len(ends)), 2):
        assert label[one] == label[other] or not meet(*ends[one], *ends[other])


@given(some_places(ANY), st.randoms(use_true_random=False))
def test_the_order_of_places_changes_no_link(places, random):
    order = np.array(random.sample(range(len(places)), len(places)))
    links, shuffled = find_links(places, 4.0), find_links(places.take(order), 4.0)
    assert {frozenset(order[list(pair)].tolist()) for pair in pairs_of(shuffled)} == pairs_of(links)
    assert links[2:] == shuffled[2:]


def test_places_in_one_spot_of_one_class_are_linked_and_of_two_are_not():
    spot = np.zeros((3, 2))
    assert len(find_links(make_places(spot, np.array([1, 1, 1])), 1.0).first) == 3
    links = find_links(make_places(spot, np.array([1, 1, 2])), 1.0)
    assert (links.pairs, links.near_other, len(links.first)) == (1, 1, 0)


def test_more_links_than_memory_should_hold_are_refused(monkeypatch):
    monkeypatch.setattr(link_pairs, "MOST_LINKS", 40)
    places = make_places(np.argwhere(np.ones((4, 4))).astype(float), np.zeros(16, np.int64))
    assert len(find_links(places, 1.0).first) == 24
    with pytest.raises(PointsError, match="more than 40 links among 16 places"):
        find_links(places, 9.0)
