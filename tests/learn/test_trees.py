import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from landvisor.learn.tree_votes import count_groups, group_rows
from landvisor.learn.trees import Trees, fit_trees, flatten_trees


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(700, 9)).astype(np.float32)
    features[:, 3] = np.round(features[:, 3])  # ties
    label = (features[:, 0] + rng.normal(size=700) > 0) * 2 + (features[:, 3] > 0)
    return features, label.astype(np.int64), rng.uniform(0.1, 3, 700)


@pytest.mark.parametrize("grower", [ExtraTreesClassifier, RandomForestClassifier])
@pytest.mark.parametrize("min_leaf", [1, 7])
def test_trees_equal_scikit_learn(table, grower, min_leaf):
    features, label, weights = table
    fitted = grower(n_estimators=20, min_samples_leaf=min_leaf, random_state=0)
    fitted.fit(features[:300], label[:300], sample_weight=weights[:300])
    ours = flatten_trees(fitted, classes=4).predict(features)
    np.testing.assert_allclose(ours, fitted.predict_proba(features), atol=1e-5)


def test_a_value_at_the_threshold_falls_on_the_same_side_as_in_scikit_learn():
    near = np.nextafter(np.float32(0.1), np.float32(1)) * np.ones((40, 1), np.float32)
    near[::2] = 0.1
    label = np.tile([0, 1], 20)
    fitted = RandomForestClassifier(n_estimators=5, random_state=0).fit(near, label)
    ours = flatten_trees(fitted, classes=2).predict(near)
    np.testing.assert_allclose(ours, fitted.predict_proba(near), atol=1e-6)


def test_a_class_without_rows_has_a_column_of_zeros(table):
    features, label, _ = table
    ours = fit_trees(features, label + (label > 1), classes=6, trees=5).predict(features)
    assert ours.shape == (700, 6)
    assert (ours[:, [2, 5]] == 0).all()
    np.testing.assert_allclose(ours.sum(axis=1), 1, atol=1e-5)


def test_one_class_alone_is_certain(table):
    features, label, _ = table
    ours = fit_trees(features, np.zeros_like(label), classes=2, trees=3).predict(features)
    np.testing.assert_array_equal(ours, np.tile(np.float32([1, 0]), (700, 1)))


def test_tensors_give_back_the_same_trees_to_the_bit(table):
    features, label, weights = table
    trees = fit_trees(features, label, classes=4, weights=weights, trees=7)
    again = Trees.from_tensors({name: array.copy() for name, array in trees.tensors().items()})
    np.testing.assert_array_equal(trees.predict(features), again.predict(features))


def test_the_seed_decides_the_trees(table):
    features, label, _ = table
    first, same, other = (
        fit_trees(features[:300], label[:300], classes=4, trees=5, seed=s).predict(features)
        for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_a_row_is_predicted_alike_alone_and_among_others(table):
    features, label, _ = table
    trees = fit_trees(features[:300], label[:300], classes=4, trees=10)
    together = trees.predict(features)
    np.testing.assert_array_equal(trees.predict(features[411:412])[0], together[411])
    np.testing.assert_array_equal(trees.predict(np.asfortranarray(features)), together)
    assert trees.predict(features[:0]).shape == (0, 4)


@pytest.mark.parametrize("grower", [ExtraTreesClassifier, RandomForestClassifier])
def test_classes_equal_those_of_scikit_learn_where_leaves_are_pure(table, grower):
    features, label, weights = table
    fitted = grower(n_estimators=24, random_state=0)  # an even number, so there are ties
    fitted.fit(features[:300], label[:300], sample_weight=weights[:300])
    expected = fitted.predict_proba(features)
    best = np.sort(expected, axis=1)
    assert (best[:, -1] == best[:, -2]).any()
    ours = flatten_trees(fitted, classes=4).predict(features)
    np.testing.assert_array_equal(ours.argmax(axis=1), expected.argmax(axis=1))


@pytest.fixture(scope="module")
def many_rows():
    rng = np.random.default_rng(2)
    trees = fit_trees(
        rng.normal(size=(400, 9)).astype(np.float32), rng.integers(0, 4, 400), classes=4, trees=6
    )
    smooth = rng.normal(size=(61, 83, 9)).cumsum(axis=0).cumsum(axis=1) / 9
    return trees, smooth.astype(np.float32)


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_neither_threads_nor_shape_change_a_bit(many_rows, workers):
    trees, raster = many_rows
    flat = trees.predict(raster.reshape(-1, 9), workers=1)
    assert len(flat) > 2 * 64 * count_groups(200)
    found = trees.predict(raster, workers=workers)
    assert found.shape == (61, 83, 4)
    np.testing.assert_array_equal(found.reshape(-1, 4), flat)
    np.testing.assert_array_equal(trees.predict(raster.reshape(-1, 9), workers=workers), flat)


def test_a_block_of_many_features_equals_scikit_learn():
    rng = np.random.default_rng(3)
    features = rng.normal(size=(1500, 900)).astype(np.float32)  # three blocks of 8 groups
    label = rng.integers(0, 3, 1500)
    fitted = ExtraTreesClassifier(n_estimators=3, random_state=0).fit(features[:200], label[:200])
    ours = flatten_trees(fitted, classes=3).predict(features, workers=1)
    np.testing.assert_allclose(ours, fitted.predict_proba(features), atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=3).map(tuple))
def test_each_row_is_in_exactly_one_group(shape):
    order = group_rows(shape)
    assert order.shape[1] == 64
    np.testing.assert_array_equal(np.unique(order), np.arange(np.prod(shape)))
    assert sum(len(set(group)) for group in order.tolist()) == np.prod(shape)


def test_pixels_of_a_square_go_together():
    rows, cols = np.divmod(group_rows((10, 20)), 20)
    for axis in (rows, cols):
        assert (axis.max(axis=1) - axis.min(axis=1) < 8).all()
