"""Segments keep to edges and no-data, and take a class only if their points agree."""

import numpy as np
import pytest

from landvisor.labels.growth import Block
from landvisor.labels.superpixel import cut_segments, grow_superpixels
from landvisor.recipe import GrowSpec

SPEC = GrowSpec(method="superpixel", segment=100, compactness=0.5)


@pytest.fixture
def stripes():
    """Two flat stripes that meet at an edge which no regular grid of segments has."""
    image = np.zeros((2, 40, 40), dtype=np.float32)
    image[:, 17:] = 3
    return image


def block_of(image, points, label, valid=None):
    valid = np.ones(image.shape[1:], dtype=bool) if valid is None else valid
    return Block(image, valid, np.ones(len(image)), np.array(points), np.array(label))


def test_segments_keep_to_edges(stripes):
    segments = cut_segments(stripes, np.ones((40, 40), dtype=bool), size=100, compactness=0.5)
    assert not np.intersect1d(segments[:17], segments[17:]).size
    assert 8 <= len(np.unique(segments)) <= 24


def test_segments_do_not_reach_over_no_data():
    valid = np.ones((40, 40), dtype=bool)
    valid[:, 18:22] = False
    segments = cut_segments(
        np.zeros((1, 40, 40), dtype=np.float32), valid, size=100, compactness=0.5
    )
    assert not np.intersect1d(segments[:, :18], segments[:, 22:]).size
    assert (segments[~valid] == 0).all()
    assert (segments[valid] > 0).all()


def test_a_segment_whose_points_disagree_stays_unlabelled(stripes):
    segments = cut_segments(stripes, np.ones((40, 40), dtype=bool), size=100, compactness=0.5)
    one, other = np.argwhere(segments == segments[3, 3])[[2, 9]]
    far = np.array([35, 35])
    disagree = grow_superpixels(block_of(stripes, [one, other, far], [1, 2, 2]), SPEC)
    assert (disagree.point[segments == segments[3, 3]] == -1).all()
    assert (disagree.point[segments == segments[35, 35]] == 2).all()
    agree = grow_superpixels(block_of(stripes, [one, other, far], [1, 1, 2]), SPEC)
    assert set(agree.point[segments == segments[3, 3]].tolist()) == {0, 1}
    assert agree.point[tuple(one)] == 0
    assert agree.point[tuple(other)] == 1


def test_confidence_grows_with_the_points_that_agree(stripes):
    found = grow_superpixels(block_of(stripes, [[3, 3], [3, 4], [35, 35]], [1, 1, 2]), SPEC)
    assert found.confidence[3, 3] == pytest.approx(3 / 4)
    assert found.confidence[35, 35] == pytest.approx(2 / 3)
