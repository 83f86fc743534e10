"""A disc gives each pixel to the nearest point, and to none where two classes are as near."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from landvisor.geo.places import make_places
from landvisor.geo.scene import scene_from_array
from landvisor.labels.disc import grow_discs
from landvisor.labels.grow import grow_places
from landvisor.labels.growth import Block
from landvisor.recipe import GrowSpec

SHAPE = (11, 13)
places = st.lists(
    st.tuples(st.integers(0, SHAPE[0] - 1), st.integers(0, SHAPE[1] - 1), st.integers(1, 3)),
    min_size=1,
    max_size=9,
    unique=True,
).map(sorted)
radii = st.floats(0.5, 7) | st.sampled_from([1.0, 2.0**0.5, 5.0])


def find_nearest_plainly(points, label, radius):
    """Return the class of each pixel, one by one; 0 where unlabelled."""
    out = np.zeros(SHAPE, dtype=int)
    for pixel in np.ndindex(SHAPE):
        away = ((points - pixel) ** 2).sum(axis=1)
        classes = set(label[away == away.min()].tolist())
        if away.min() <= radius**2 and len(classes) == 1:
            out[pixel] = classes.pop()
    return out


@settings(max_examples=60)
@given(places, radii)
def test_each_pixel_takes_the_class_of_its_nearest_point_and_none_in_a_tie(found, radius):
    points, label = np.array(found)[:, :2], np.array(found)[:, 2]
    block = Block(np.zeros((1, *SHAPE)), np.ones(SHAPE, dtype=bool), np.ones(1), points, label)
    grown = grow_discs(block, GrowSpec(method="disc", radius=radius))
    given = np.where(grown.point < 0, 0, label[grown.point])
    assert np.array_equal(given, find_nearest_plainly(points, label, radius))
    rows, cols = np.nonzero(grown.point >= 0)
    away = ((points[grown.point[rows, cols]] - np.column_stack([rows, cols])) ** 2).sum(axis=1)
    assert (away <= radius**2).all()
    assert (grown.confidence == 1).all()


@settings(max_examples=30, deadline=None)
@given(places, radii, st.integers(2, 14))
def test_classes_do_not_depend_on_blocks(found, radius, block):
    spec = GrowSpec(method="disc", radius=radius, max_pixels=10**6)
    one, many = (grow(found, spec, block=size) for size in (100, block))
    assert np.array_equal(one.position, many.position)
    assert np.array_equal(one.label, many.label)


def test_a_disc_reaches_over_no_data_and_labels_none_of_it():
    image = np.ones((1, *SHAPE), dtype=np.float32)
    image[0, 5] = np.nan
    grown = grow([(4, 6, 2)], GrowSpec(method="disc", radius=3), image=image)
    rows = grown.coords()[:, 0]
    assert 6 in rows
    assert 5 not in rows


def grow(found, spec, *, image=None, block=100):
    coords, label = np.array(found, dtype=float)[:, :2], np.array(found)[:, 2]
    scene = scene_from_array(np.zeros((1, *SHAPE), np.uint8) if image is None else image)
    return grow_places(
        make_places(coords, label), scene=scene, spec=spec, scale=np.ones(1), block=block
    )
