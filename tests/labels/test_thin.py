import numpy as np

from landvisor.geo.places import make_places
from landvisor.labels.thin import thin_places


def draw(counts: dict[int, int]):
    label = np.repeat(list(counts), list(counts.values()))
    return make_places(np.arange(2.0 * len(label)).reshape(-1, 2), label)


def test_few_places_are_all_kept():
    places = draw({1: 700, 2: 300})
    assert thin_places(places, 1_000, seed=0) is places


def test_classes_keep_their_shares_and_places_their_order():
    places = draw({1: 60_000, 2: 30_000, 7: 10_000})
    part = thin_places(places, 20_000, seed=0)
    assert np.bincount(part.label).tolist() == [0, 12_000, 6_000, 0, 0, 0, 0, 2_000]
    assert (np.diff(part.index) > 0).all()
    np.testing.assert_array_equal(part.coords, places.coords[part.index])


def test_a_small_class_keeps_a_thousand_or_all_it_has():
    part = thin_places(draw({1: 90_000, 2: 3_000, 3: 40}), 9_000, seed=0)
    assert np.bincount(part.label)[2:].tolist() == [1_000, 40]


def test_the_draw_follows_from_the_seed():
    places = draw({1: 9_000})
    first, same, other = (thin_places(places, 3_000, seed=seed).index for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()
