"""A segmenter of the caller's grows labels within the same limits as any method."""

import time

import numpy as np
import pytest

from landvisor.errors import ModelError
from landvisor.geo.places import make_places
from landvisor.geo.scene import scene_from_array
from landvisor.labels.grow import grow_places
from landvisor.labels.promptable import promptable
from landvisor.recipe import GrowSpec


def squares(image, points):
    """Return the square of 7 x 7 pixels round each point."""
    rows, cols = np.indices(image.shape[1:])
    away = np.maximum(np.abs(rows - points[:, :1, None]), np.abs(cols - points[:, 1:, None]))
    return away <= 3


def grow(segmenter, points, label, shape=(1, 20, 30)):
    pixels = grow_places(
        make_places(np.array(points, dtype=float), np.array(label)),
        scene=scene_from_array(np.arange(np.prod(shape)).reshape(shape).astype(np.int16)),
        spec=GrowSpec(radius=4.0),
        scale=np.ones(shape[0]),
        method=promptable(segmenter),
    )
    found = np.full(shape[1:], -1)
    found.ravel()[pixels.position] = pixels.place
    return found


def test_masks_of_two_classes_leave_their_overlap_unlabelled():
    found = grow(squares, [[10, 8], [10, 12]], [1, 2])
    assert found[10].tolist() == [-1] * 5 + [0] * 3 + [-1] + [-1] * 3 + [-1] + [1] * 3 + [-1] * 14


def test_among_points_of_one_class_the_nearest_counts():
    found = grow(squares, [[10, 8], [10, 12]], [1, 1])
    assert found[10, 5:16].tolist() == [0, 0, 0, -1, 0, 0, 1, -1, 1, 1, 1]


def test_growth_stays_within_the_radius():
    found = grow(squares, [[10, 8]], [1])
    assert found[7, 8] == 0
    assert found[7, 5] == -1


def test_a_segmenter_gets_the_native_image_and_few_points_at_a_time():
    seen = []

    def spy(image, points):
        seen.append((image, points))
        return squares(image, points)

    points = np.argwhere(np.ones((10, 15), dtype=bool)) * 2
    grow(spy, points, np.zeros(len(points), dtype=int))
    assert [len(points) for _, points in seen] == [64, 64, 22]
    assert all(image is seen[0][0] for image, _ in seen)
    assert seen[0][0].dtype == np.int16
    assert np.concatenate([points for _, points in seen]).tolist() == points.tolist()


def test_a_segmenter_is_called_by_one_thread_at_a_time():
    inside, most = [], []

    def slow(image, points):
        inside.append(points)
        most.append(len(inside))
        time.sleep(0.01)
        inside.pop()
        return squares(image, points)

    scene = scene_from_array(np.zeros((1, 20, 40), dtype=np.uint8))
    places = make_places(np.argwhere(np.ones((4, 8), dtype=bool)) * 5.0, np.zeros(32, dtype=int))
    grow_places(places, scene=scene, spec=GrowSpec(radius=1.0), scale=np.ones(1),
                method=promptable(slow), block=10, workers=4)  # fmt: skip
    assert most == [1] * 8


@pytest.mark.parametrize(
    "returned", [np.zeros((1, 20, 30)), np.zeros((2, 20, 30), dtype=bool), None]
)
def test_a_segmenter_that_returns_something_else_is_refused(returned):
    with pytest.raises(ModelError, match=r"the segmenter returned .*; need bool \(1, 20, 30\)"):
        grow(lambda image, points: returned, [[10, 8]], [1])
