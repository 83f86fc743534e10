"""Places stay on their pixel, whatever is done to the chip."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from landvisor.geo.legend import LandClass, Legend
from landvisor.geo.places import make_places
from landvisor.geo.tiling import Window
from landvisor.learn.augment import apply_geometry
from landvisor.learn.losses import sample_logits
from landvisor.learn.targets import Geometry, Targets, crop_targets, make_targets, move_targets

SHAPE = (56, 72)
OUT = (48, 40)
SYMMETRIES = list(itertools.product((False, True), range(4)))


def make(coords):
    coords = np.asarray(coords, dtype=np.float64).reshape(-1, 2)
    n = len(coords)
    return Targets(coords, np.arange(n), np.ones(n, np.float32), np.ones(n, np.uint8))


def coordinate_image(shape):
    """An image whose two bands hold each pixel's own row and column."""
    return np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).astype(np.float32)


def scattered(shape, n=400, seed=0):
    return make(np.random.default_rng(seed).uniform(-0.5, np.array(shape) - 0.5, (n, 2)))


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("zoom", [1.0, 0.8, 1.37])
@pytest.mark.parametrize(("mirror", "turns"), SYMMETRIES)
def test_places_stay_on_their_pixel_through_every_change(mirror, turns, zoom, stride):
    geometry = Geometry(mirror=mirror, turns=turns, zoom=zoom, offset=(3, 2))
    source = scattered(SHAPE)
    moved = move_targets(source, geometry, shape=SHAPE, out_size=OUT)
    image, valid = apply_geometry(
        coordinate_image(SHAPE), np.ones(SHAPE, bool), geometry=geometry, out_size=OUT
    )
    # A "network" that knows at each cell the mean position of what it sees; where it sees
    # beyond the source it does not.
    cells = F.avg_pool2d(torch.from_numpy(image)[None], stride)
    seen = F.avg_pool2d(torch.from_numpy(valid)[None, None].float(), stride)
    batch = torch.zeros(len(moved), dtype=torch.long)
    coords = torch.from_numpy(moved.coords)
    found = sample_logits(cells, coords, batch, size=OUT).numpy()
    sure = sample_logits(seen, coords, batch, size=OUT).numpy()[:, 0] == 1
    true = source.coords[moved.label]
    # The outermost half cell of a chip, and of the source, reads a clamped value.
    inside = (moved.coords > stride / 2) & (moved.coords < np.array(OUT) - 1 - stride / 2)
    reach = (stride + 1) / zoom
    inside &= (true > reach) & (true < np.array(SHAPE) - 1 - reach)
    use = sure & inside.all(axis=1)
    assert use.sum() > 60
    np.testing.assert_allclose(found[use], true[use], atol=1e-3)


@pytest.mark.parametrize(("mirror", "turns"), SYMMETRIES)
def test_whole_pixels_stay_whole_under_the_symmetries(mirror, turns):
    geometry = Geometry(mirror=mirror, turns=turns)
    source = make([[0, 0], [5, 7], [55, 71], [10, 60]])
    size = geometry.turned(SHAPE)
    moved = move_targets(source, geometry, shape=SHAPE, out_size=size)
    image, _ = apply_geometry(
        coordinate_image(SHAPE), np.ones(SHAPE, bool), geometry=geometry, out_size=size
    )
    row, col = moved.coords.astype(int).T
    assert np.array_equal(moved.coords, np.stack([row, col], axis=1))
    assert np.array_equal(image[:, row, col].T, source.coords)


def test_the_eight_symmetries_differ():
    coords = np.array([[1.0, 2.0]])
    seen = {
        tuple(Geometry(mirror=mirror, turns=turns).forward(coords, (10, 10))[0])
        for mirror, turns in SYMMETRIES
    }
    assert len(seen) == 8


@given(
    mirror=st.booleans(),
    turns=st.integers(0, 3),
    zoom=st.floats(0.3, 3),
    offset=st.tuples(st.integers(-50, 50), st.integers(-50, 50)),
)
def test_backward_undoes_forward(mirror, turns, zoom, offset):
    geometry = Geometry(mirror=mirror, turns=turns, zoom=zoom, offset=offset)
    coords = scattered(SHAPE, n=20).coords
    there = geometry.forward(coords, SHAPE)
    np.testing.assert_allclose(geometry.backward(there, SHAPE), coords, atol=1e-9)


def test_a_zoom_keeps_edges_and_moves_centres():
    coords = np.array([[-0.5, -0.5], [0.0, 0.0], [7.5, 9.5]])
    moved = Geometry(zoom=2.0).forward(coords, (8, 10))
    np.testing.assert_allclose(moved, [[-0.5, -0.5], [0.5, 0.5], [15.5, 19.5]])


def test_places_that_leave_a_chip_are_dropped_from_it_alone():
    source = make([[-0.5, -0.5], [3.49, 3.49], [3.5, 0], [0, 3.5], [10, 10]])
    first = crop_targets(source, Window(0, 0, 4, 4))
    other = crop_targets(source, Window(3, 0, 8, 11))
    assert first.label.tolist() == [0, 1]
    assert other.label.tolist() == [1, 2, 4]
    np.testing.assert_allclose(other.coords[1], [0.5, 0])
    np.testing.assert_allclose(other.coords[2], [7, 10])
    assert len(source) == 5


def test_crops_that_tile_a_scene_hold_each_place_once():
    source = scattered((40, 60))
    parts = [
        crop_targets(source, Window(row, col, 20, 20))
        for row in range(0, 40, 20)
        for col in range(0, 60, 20)
    ]
    assert sorted(np.concatenate([part.label for part in parts])) == list(range(len(source)))


def test_labels_become_positions_and_ignored_classes_are_unlabelled():
    legend = Legend(
        (
            LandClass(3, "water", "#0000ff"),
            LandClass(7, "cloud", "#ffffff", ignore=True),
            LandClass(9, "sand", "#ffff00"),
        )
    )
    places = make_places(np.arange(8.0).reshape(4, 2), np.array([9, 7, 3, 42]), source="simulated")
    targets = make_targets(places, legend)
    assert targets.label.tolist() == [1, 0]
    assert targets.coords.tolist() == [[0, 1], [4, 5]]
    assert targets.source.tolist() == [2, 2]
