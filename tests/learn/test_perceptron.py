import numpy as np

from landvisor.learn.perceptron import Perceptron, fit_perceptron


def draw_rings(count, seed):
    """Two classes that no straight line parts, on features of very different scales."""
    rng = np.random.default_rng(seed)
    plane = rng.normal(size=(count, 2))
    label = (np.hypot(*plane.T) > 1.2).astype(np.int64)
    return np.tile(plane * [1e4, 1e-3], (1, 40)).astype(np.float32), label


def fit(rows, label, **options):
    return fit_perceptron(rows, label, classes=3, weights=np.ones(len(label)), **options)


def test_it_learns_what_no_line_parts():
    made, _ = fit(*draw_rings(400, 0), epochs=120)
    rows, label = draw_rings(500, 1)
    assert (made.predict(rows).argmax(axis=1) == label).mean() > 0.8


def test_a_class_without_rows_has_probability_zero():
    rows, label = draw_rings(100, 0)
    probabilities = fit(rows, label)[0].predict(rows)
    assert (probabilities[:, 2] == 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_best_held_out_loss_is_kept():
    losses = iter([3.0, 1.0, 2.0, 5.0, 4.0])
    seen = []

    def judge(made):
        seen.append(made)
        return next(losses)

    made, epochs = fit(*draw_rings(50, 0), loss=judge)
    assert epochs == 20
    assert made is seen[1]
    assert len(seen) == 5


def test_the_epochs_found_give_the_same_network_again():
    rows, label = draw_rings(50, 0)
    first, epochs = fit(rows, label, loss=lambda made: 0.0, seed=4)
    second, _ = fit(rows, label, epochs=epochs, seed=4)
    np.testing.assert_array_equal(first.predict(rows), second.predict(rows))


def test_tensors_give_back_the_same_network():
    rows, label = draw_rings(50, 0)
    made, _ = fit(rows, label)
    again = Perceptron.from_tensors(made.tensors())
    np.testing.assert_array_equal(again.predict(rows), made.predict(rows))


def test_a_constant_feature_does_no_harm():
    rows, label = draw_rings(50, 0)
    rows[:, 0] = 7
    assert np.isfinite(fit(rows, label)[0].predict(rows)).all()
