import numpy as np
import pytest

from landvisor.accuracy.variogram import (
    LEAST_FEATURES,
    estimate_variogram,
    find_dependence,
    spherical,
)
from landvisor.geo.places import make_places

SIDE = 400


def simulate(reach, *, count=400, seed=0, nugget=0.05):
    """Draw a Gaussian field of spherical covariance at random places, exactly."""
    generator = np.random.default_rng(seed)
    coords = generator.uniform(0, SIDE, (count, 2))
    distance = np.hypot(*(coords[:, None] - coords[None]).transpose(2, 0, 1))
    covariance = 1 - spherical(distance, reach) + nugget * np.eye(count)
    return coords, np.linalg.cholesky(covariance) @ generator.normal(size=count)


@pytest.mark.parametrize("reach", [30.0, 60.0, 100.0])
def test_the_range_of_a_simulated_field_is_found(reach):
    found = [
        estimate_variogram(coords, values[:, None]).range
        for coords, values in (simulate(reach, seed=seed) for seed in range(5))
    ]
    assert np.median(found) == pytest.approx(reach, rel=0.25)


def test_values_without_structure_have_no_range():
    generator = np.random.default_rng(0)
    for _ in range(4):
        coords, values = generator.uniform(0, SIDE, (300, 2)), generator.normal(size=(300, 1))
        found = estimate_variogram(coords, values)
        assert found.range == found.sill == 0
        assert found.nugget == pytest.approx(1, abs=0.2)


def test_a_trend_over_the_whole_image_is_unbounded():
    coords = np.random.default_rng(0).uniform(0, SIDE, (300, 2))
    found = estimate_variogram(coords, coords[:, :1] ** 2)
    assert not found.bounded
    assert found.range == found.lag[-1]


def test_semivariances_are_those_of_all_pairs_by_hand():
    coords = np.column_stack([np.zeros(62), np.arange(62.0)])
    values = (np.arange(62) % 2.0)[:, None]  # odd distances differ by 1, even ones do not
    found = estimate_variogram(coords, values)
    bins = np.minimum(np.arange(1, 31) / 30.5 * 15, 14).astype(int)
    for k, (lag, gamma, pairs) in enumerate(zip(found.lag, found.gamma, found.pairs, strict=True)):
        inside = np.arange(1, 31)[bins == k]
        number = 62 - inside
        assert pairs == number.sum()
        assert lag == pytest.approx((inside * number).sum() / number.sum())
        assert gamma == pytest.approx(0.5 * (number * (inside % 2)).sum() / number.sum())


def test_the_sum_over_classes_is_the_share_of_unlike_pairs():
    generator = np.random.default_rng(3)
    coords, label = generator.uniform(0, 10, (80, 2)), generator.integers(0, 3, 80)
    found = estimate_variogram(coords, (label[:, None] == np.arange(3)).astype(float))
    first, second = np.triu_indices(80, k=1)
    distance = np.hypot(*(coords[first] - coords[second]).T)
    near = distance <= distance.max() / 2
    unlike = (label[first] != label[second])[near]
    assert found.pairs.sum() <= unlike.size  # lags of fewer than 30 pairs are left out
    assert np.average(found.gamma, weights=found.pairs) == pytest.approx(unlike.mean(), abs=2e-3)


def test_places_of_two_planes_make_no_pairs():
    coords, values = simulate(60.0, count=200)
    plane = np.repeat([0, 1], 100)
    both = estimate_variogram(coords, values[:, None], plane=plane)
    assert both.pairs.sum() <= 2 * (100 * 99 // 2)
    joined = estimate_variogram(coords, values[:, None])
    assert both.pairs.sum() < 0.6 * joined.pairs.sum()


def test_few_features_count_by_their_nearest_neighbours():
    coords = np.column_stack([np.zeros(20), 7.0 * np.arange(20)])
    found = find_dependence(make_places(coords, np.arange(20) % 2))
    assert (found.method, found.features) == ("nearest neighbours", 20)
    assert found.distance == 7


def test_a_feature_is_one_place_however_many_it_became():
    coords, _ = simulate(60.0, count=60)
    few = np.repeat(coords[:12], 5, axis=0) + np.tile(np.arange(5.0), 12)[:, None]
    places = make_places(few, np.ones(60, int), group=np.repeat(np.arange(12), 5))
    found = find_dependence(places)
    assert found.features == 12 < LEAST_FEATURES
    assert found.method == "nearest neighbours"


def test_the_larger_range_of_labels_and_imagery_counts():
    coords, values = simulate(100.0, seed=1)
    label = np.random.default_rng(0).integers(1, 3, len(coords))
    found = find_dependence(make_places(coords, label), values[:, None])
    assert found.labels == 0
    assert found.distance == found.bands > 50
    unknown = find_dependence(make_places(coords, label), np.full((len(coords), 1), np.nan))
    assert (unknown.bands, unknown.distance) == (None, 0)


def test_one_place_alone_resembles_nothing():
    assert find_dependence(make_places(np.zeros((1, 2)), np.ones(1, int))).distance == 0
