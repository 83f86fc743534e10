"""What is pasted brings its places, its guide and nothing else."""

import numpy as np
import pytest

from landvisor.geo.tiling import Window
from landvisor.learn.copy_paste import centre_on, draw_class, draw_spot, paste
from landvisor.learn.cutting import Cutting
from landvisor.learn.targets import Geometry, Targets


def make_cutting(side, value, coords, *, label=0, stride=2, valid=None):
    n = len(coords)
    targets = Targets(
        np.asarray(coords, dtype=np.float64).reshape(n, 2),
        np.full(n, label),
        np.ones(n, np.float32),
        np.ones(n, np.uint8),
    )
    known = np.ones((side, side), bool) if valid is None else valid
    guide = np.full((2, side // stride, side // stride), value, np.float32)
    return Cutting(np.where(known, np.float32(value), 0)[None], known, targets, guide)


def test_a_patch_replaces_pixels_places_and_guide_with_hard_edges():
    chip = make_cutting(32, 1.0, [[7.4, 9.0], [8.0, 9.0], [15.6, 9.0], [20.0, 20.0]])
    patch = make_cutting(8, 5.0, [[0.0, 1.0], [7.4, 7.4]], label=1)
    made = paste(chip, patch, at=Window(8, 8, 8, 8), stride=2)
    inside = np.zeros((32, 32), bool)
    inside[8:16, 8:16] = True
    assert np.array_equal(made.image[0], np.where(inside, 5, 1))
    assert np.array_equal(made.guide[1], np.where(inside[::2, ::2], 5, 1))
    assert made.targets.coords.tolist() == [[7.4, 9.0], [15.6, 9.0], [20, 20], [8, 9], [15.4, 15.4]]
    assert made.targets.label.tolist() == [0, 0, 0, 1, 1]
    assert chip.image.max() == 1, "what was given stays as it is"
    assert chip.guide.max() == 1


def test_no_data_of_a_patch_covers_nothing():
    valid = np.ones((8, 8), bool)
    valid[:, :4] = False
    chip = make_cutting(32, 1.0, [[10.0, 9.0], [10.0, 14.0]])
    patch = make_cutting(8, 5.0, [[2.0, 1.0], [2.0, 6.0]], label=1, valid=valid)
    made = paste(chip, patch, at=Window(8, 8, 8, 8), stride=2)
    assert made.targets.coords.tolist() == [[10.0, 9.0], [10.0, 14.0]]
    assert made.targets.label.tolist() == [0, 1]
    assert (made.image[0, 8:16, 8:12] == 1).all()
    assert (made.image[0, 8:16, 12:16] == 5).all()
    assert (made.guide[0, 4:8, 4:8] == [1, 1, 5, 5]).all()


def test_pasted_pixels_hold_data_even_where_the_chip_had_none():
    chip = make_cutting(32, 1.0, [], stride=4, valid=np.zeros((32, 32), bool))
    patch = make_cutting(16, 5.0, [[3.0, 3.0]], stride=4)
    made = paste(chip, patch, at=Window(16, 0, 16, 16), stride=4)
    assert made.valid.sum() == 256
    assert made.valid[16:, :16].all()
    assert made.targets.coords.tolist() == [[19.0, 3.0]]


def test_rare_classes_are_drawn_in_inverse_proportion_to_their_places():
    generator = np.random.default_rng(0)
    drawn = [draw_class(generator, {3: 90, 5: 10, 8: 30}) for _ in range(3000)]
    shares = np.array([drawn.count(label) for label in (3, 5, 8)]) / 3000
    np.testing.assert_allclose(shares, np.array([1, 9, 3]) / 13, atol=0.03)


@pytest.mark.parametrize("side", [32, 64, 96, 256, 512])
def test_spots_lie_on_the_chip_between_the_cells_of_any_decoder(side):
    generator = np.random.default_rng(0)
    spots = [draw_spot(generator, side) for _ in range(300)]
    for spot in spots:
        assert spot.rows == spot.cols
        assert not any(edge % 8 for edge in (spot.row, spot.col, spot.rows))
        assert min(spot.row, spot.col) >= 0
        assert max(spot.row, spot.col) + spot.rows <= side
        assert min(16, side) <= spot.rows <= max(16, side // 4)
    assert min(spot.row for spot in spots) == 0
    assert max(spot.row + spot.rows for spot in spots) == side


@pytest.mark.parametrize("place", [(20.0, 30.0), (0.0, 0.0), (39.0, 47.0), (2.0, 44.0)])
@pytest.mark.parametrize("geometry", [Geometry(), Geometry(mirror=True, turns=1, zoom=1.3)])
def test_a_patch_has_its_place_in_the_middle_or_ends_with_the_region(place, geometry):
    shape, side = (40, 48), 16
    moved = centre_on(geometry, place=np.array([place]), shape=shape, side=side)
    found = moved.forward(np.array([place]), shape)[0]
    room = np.array([int(n * geometry.zoom + 1e-6) - side for n in geometry.turned(shape)])
    for axis in range(2):
        assert 0 <= moved.offset[axis] <= room[axis]
        assert -0.5 <= found[axis] < side + 0.5
        if 0 < moved.offset[axis] < room[axis]:
            assert abs(found[axis] - side // 2) <= 0.5
