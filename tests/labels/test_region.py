"""Regions are what an independent labelling of like pixels finds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from landvisor.labels.growth import Block
from landvisor.labels.region import grow_regions
from landvisor.recipe import GrowSpec

SHAPE = (9, 11)


def block_of(image, points, label, valid=None):
    image = np.asarray(image, dtype=np.float32)
    everything = np.ones(image.shape[1:], dtype=bool)
    return Block(
        image, everything if valid is None else valid, np.ones(len(image)),
        np.array(points).reshape(-1, 2), np.array(label),
    )  # fmt: skip


def reach(block, index, spec):
    """Tell what one point reaches: the part of like pixels in its circle that holds it."""
    row, col = block.points[index]
    rows, cols = np.indices(block.valid.shape)
    like = np.abs(block.image - block.image[:, row, col][:, None, None]).max(0) <= spec.tolerance
    like &= np.hypot(rows - row, cols - col) <= spec.radius
    parts, _ = ndimage.label(like & block.valid)
    return parts == parts[row, col]


@settings(deadline=None, max_examples=60)
@given(
    image=arrays(np.uint8, (2, *SHAPE), elements=st.integers(0, 3)),
    valid=arrays(np.bool_, SHAPE, elements=st.sampled_from([True, True, True, False])),
    places=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 10)), min_size=1, max_size=6),
    radius=st.floats(1, 12),
)
def test_regions_are_the_connected_like_pixels_that_one_class_claims(image, valid, places, radius):
    points = np.unique([place for place in places if valid[place]], axis=0).astype(int)
    label = np.arange(len(points)) % 3
    block = block_of(image, points, label, valid)
    spec = GrowSpec(method="region", radius=radius, tolerance=1)
    grown = grow_regions(block, spec)
    claims = np.zeros((3, *SHAPE), dtype=bool)
    for index in range(len(points)):
        claims[label[index]] |= reach(block, index, spec)
    assert ((grown.point >= 0) == (claims.sum(axis=0) == 1)).all()
    for one in range(3):
        mine = (grown.point >= 0) & claims[one]
        assert (label[grown.point[mine]] == one).all()


def test_the_more_similar_point_of_a_class_gives_a_pixel_its_class():
    grown = grow_regions(
        block_of([[[0.0, 0.1, 0.3, 0.4]]], [[0, 0], [0, 3]], [1, 1]),
        GrowSpec(method="region", tolerance=0.45),
    )
    assert grown.point.tolist() == [[0, 0, 1, 1]]


def test_the_nearer_of_equally_similar_points_counts():
    grown = grow_regions(
        block_of(np.zeros((1, 1, 6)), [[0, 0], [0, 5]], [1, 1]), GrowSpec(method="region")
    )
    assert grown.point.tolist() == [[0, 0, 0, 1, 1, 1]]


def test_confidence_falls_to_one_half_at_the_tolerance():
    grown = grow_regions(
        block_of([[[0.0, 0.25, 0.5]]], [[0, 0]], [1]), GrowSpec(method="region", tolerance=0.5)
    )
    assert grown.confidence.tolist() == [[1.0, 0.75, 0.5]]


def test_the_bank_looks_past_single_noisy_pixels():
    image = np.random.default_rng(0).normal(0, 0.15, (1, 40, 40))
    image[:, :, 20:] += 2
    block = block_of(image, [[20, 10], [20, 30]], [1, 2])
    raw, bank = (
        grow_regions(block, GrowSpec(method="region", features=features, tolerance=0.2)).point
        for features in ("raw", "bank")
    )
    assert (bank >= 0).sum() > (raw >= 0).sum()
    assert not (bank[:, :19] == 1).any()
    assert not (bank[:, 21:] == 0).any()
