import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

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
