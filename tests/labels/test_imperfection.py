import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from landvisor.errors import PointsError
from landvisor.labels.imperfection import confuse_labels, jitter_coords

SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=9)


def jitter(coords, radius, valid, seed=0):
    generator = np.random.default_rng(seed)
    return jitter_coords(coords, radius=radius, valid=valid, generator=generator)


def confuse(label, share, ids=(1, 2, 5), seed=0):
    generator = np.random.default_rng(seed)
    return confuse_labels(label, ids=ids, share=share, generator=generator)


@settings(deadline=None)
@given(arrays(np.bool_, SHAPES), st.floats(1e-3, 30))
def test_moved_places_stay_in_the_disc_and_on_valid_pixels(valid, radius):
    coords = np.argwhere(valid).astype(float)
    moved = jitter(coords, radius, valid)
    rows, cols = np.floor(moved + 0.5).astype(int).T

    assert np.all(valid[rows, cols])
    assert np.all(np.hypot(*(moved - coords).T) <= radius * (1 + 1e-12))


def test_places_move_uniformly_over_the_disc():
    coords = np.full((20_000, 2), 50.0)
    row, col = (jitter(coords, 8, np.ones((101, 101), dtype=bool)) - 50).T

    # of a uniform disc: half its places lie beyond radius/√2, and x² has the mean r²/4
    assert np.mean(np.hypot(row, col) > 8 / np.sqrt(2)) == pytest.approx(0.5, abs=0.015)
    assert np.mean(row**2) == pytest.approx(16, rel=0.05)
    assert np.mean(col**2) == pytest.approx(16, rel=0.05)
    assert abs(np.mean(row * col)) < 0.5


@given(st.lists(st.sampled_from([1, 2, 5]), max_size=60), st.floats(0, 1), st.integers(0, 9))
def test_noise_changes_its_share_of_the_places_to_other_classes(labels, share, seed):
    label = np.array(labels, dtype=np.int64)
    confused = confuse(label, share, seed=seed)
    changed = int((confused != label).sum())

    assert set(confused) <= {1, 2, 5}
    assert abs(changed - share * len(label)) < 1 + 1e-9


@given(st.lists(st.sampled_from([1, 2, 5]), min_size=1, max_size=60), st.integers(0, 9))
def test_noise_loses_no_class_while_other_places_are_left(labels, seed):
    label = np.array(labels, dtype=np.int64)
    classes = set(labels)
    share = max(0, len(labels) - len(classes)) / len(labels)

    assert classes <= set(confuse(label, share, seed=seed))


def test_every_other_class_is_said_equally_often():
    found = confuse(np.full(6000, 2, dtype=np.int64), 1.0)

    assert (found == 1).sum() == pytest.approx(3000, abs=200)
    assert (found == 2).sum() == 0


def test_small_images_keep_the_share_on_average():
    label = np.array([1, 2, 1], dtype=np.int64)
    changed = [(confuse(label, 0.1, seed=seed) != label).sum() for seed in range(2000)]

    assert np.mean(changed) == pytest.approx(0.3, abs=0.05)


def test_one_class_cannot_be_mistaken():
    with pytest.raises(PointsError, match="two or more"):
        confuse(np.array([1, 1]), 0.5, ids=(1,))
