"""Walks end where theory and an independent implementation say."""

import numpy as np
import pytest
from skimage.segmentation import random_walker

from landvisor.labels.growth import Block
from landvisor.labels.walker import grow_walker, walk
from landvisor.recipe import GrowSpec


def block_of(image, points, label):
    valid = np.ones(image.shape[1:], dtype=bool)
    return Block(image, valid, np.ones(len(image)), np.array(points), np.array(label))


def test_without_a_leak_the_probabilities_are_those_of_scikit_image():
    image = np.random.default_rng(0).normal(size=(2, 16, 18)).astype(np.float32)
    points, label = np.array([[2, 3], [12, 15], [7, 7], [14, 1]]), np.array([5, 2, 2, 9])
    beta = 0.7
    markers = np.zeros(image.shape[1:], dtype=int)
    markers[tuple(points.T)] = np.searchsorted([2, 5, 9], label) + 1
    theirs = random_walker(
        image.astype(np.float64), markers, channel_axis=0, return_full_prob=True, mode="bf",
        beta=beta * 10 * image.astype(np.float64).std() / np.sqrt(2),
    )  # fmt: skip
    classes, ours = walk(
        image, np.ones((16, 18), dtype=bool), points=points, label=label, beta=beta, leak=1e-12
    )
    assert classes.tolist() == [2, 5, 9]
    np.testing.assert_allclose(ours.reshape(theirs.shape), theirs, atol=1e-4)


def test_along_a_line_the_probability_falls_by_a_constant_factor():
    leak, length = 0.05, 200
    _, found = walk(
        np.zeros((1, 1, length), dtype=np.float32), np.ones((1, length), dtype=bool),
        points=np.array([[0, 0]]), label=np.array([1]), beta=1, leak=leak,
    )  # fmt: skip
    # (2 + leak) p[i] = p[i - 1] + p[i + 1], solved by powers of the smaller root
    factor = (2 + leak - np.sqrt((2 + leak) ** 2 - 4)) / 2
    np.testing.assert_allclose(found[0, :50], factor ** np.arange(50), atol=1e-5)


def test_walks_stay_in_the_domain_and_share_a_pixel_of_two_classes():
    domain = np.ones((5, 9), dtype=bool)
    domain[:, 4] = False
    _, found = walk(
        np.zeros((1, 5, 9), dtype=np.float32), domain,
        points=np.array([[2, 2], [2, 2]]), label=np.array([1, 3]), beta=1, leak=0.01,
    )  # fmt: skip
    assert found.shape == (2, 40)
    np.testing.assert_allclose(found[0], found[1])
    right = np.argwhere(domain)[:, 1] > 4
    assert (found[:, right] == 0).all()
    assert (found[:, ~right] > 0).all()
    assert found.max() == 0.5


def test_a_lone_point_on_flat_ground_has_one_half_at_its_radius():
    radius = 10
    grown = grow_walker(
        block_of(np.zeros((1, 61, 61), dtype=np.float32), [[30, 30]], [1]),
        GrowSpec(method="walker", radius=radius, threshold=0.4),
    )
    rows, cols = np.indices((61, 61)) - 30
    away = np.hypot(rows, cols)
    assert (grown.point[away <= radius] == 0).all()
    assert grown.confidence[np.abs(away - radius) < 0.2] == pytest.approx(0.5, abs=0.02)
    half = GrowSpec(method="walker", radius=radius, threshold=0.8)
    strict = grow_walker(block_of(np.zeros((1, 61, 61), dtype=np.float32), [[30, 30]], [1]), half)
    assert 2 < away[strict.point == 0].max() < radius - 2


def test_a_walker_is_held_up_by_an_edge_and_undecided_between_two_points():
    image = np.zeros((1, 21, 21), dtype=np.float32)
    lone = grow_walker(block_of(image, [[10, 5]], [1]), GrowSpec(method="walker"))
    rivals = grow_walker(block_of(image, [[10, 5], [10, 15]], [1, 2]), GrowSpec(method="walker"))
    assert lone.point[10, 10] == 0
    assert rivals.point[10, 10] == -1
    assert rivals.point[10, 7] == 0
    assert rivals.point[10, 13] == 1
    image[:, :, 9:] = 1
    edge = grow_walker(block_of(image, [[10, 5]], [1]), GrowSpec(method="walker"))
    assert (edge.point[:, 9:] == -1).all()
    assert edge.point[10, 8] == 0
