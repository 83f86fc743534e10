"""Windows cover a grid whatever its size, and the most interior one is found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landvisor.geo.tiling import (
    Window,
    cover,
    full_window,
    group_by_block,
    most_interior,
    split_blocks,
    starts,
)

SIDES = st.integers(1, 70)


@st.composite
def tilings(draw: st.DrawFn) -> tuple[tuple[int, int], int, int]:
    size = draw(st.integers(1, 20))
    return (draw(SIDES), draw(SIDES)), size, draw(st.integers(0, size - 1))


@given(tilings())
def test_windows_cover_every_pixel_and_stay_inside(case):
    shape, size, overlap = case
    count = np.zeros(shape, dtype=int)
    for window in cover(shape, size=size, overlap=overlap):
        assert window.intersect(full_window(shape)) == window
        count[window.slices] += 1
    assert count.min() >= 1


@given(tilings())
def test_windows_are_equal_in_size_and_anchored_at_both_ends(case):
    shape, size, overlap = case
    windows = cover(shape, size=size, overlap=overlap)
    assert {window.shape for window in windows} == {(min(size, shape[0]), min(size, shape[1]))}
    assert windows[0].row == windows[0].col == 0
    assert windows[-1].row + windows[-1].rows == shape[0]
    assert windows[-1].col + windows[-1].cols == shape[1]
    assert windows == sorted(windows)
    assert len(set(windows)) == len(windows)


@given(SIDES, st.integers(1, 20), st.data())
def test_neighbours_share_the_overlap_and_only_the_last_moves_inwards(length, size, data):
    overlap = data.draw(st.integers(0, size - 1))
    steps = np.diff(starts(length, size=size, overlap=overlap))
    assert (steps[:-1] == size - overlap).all()
    assert (steps <= size - overlap).all()
    assert (steps > 0).all()


@pytest.mark.parametrize(
    ("length", "expected"),
    [(1, [0]), (7, [0]), (8, [0]), (9, [0, 1]), (14, [0, 6]), (15, [0, 6, 7])],
)
def test_starts_at_sizes_around_a_window(length, expected):
    assert starts(length, size=8, overlap=2) == expected


@given(SIDES, SIDES, st.integers(1, 20))
def test_blocks_partition_a_grid(rows, cols, size):
    count = np.zeros((rows, cols), dtype=int)
    for block in split_blocks((rows, cols), size):
        assert max(block.shape) <= size
        count[block.slices] += 1
    assert (count == 1).all()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 15), st.integers(0, 9))
def test_pixels_are_sorted_into_the_blocks_that_hold_them(rows, cols, size, seed):
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, [rows, cols], (seed * 3, 2))
    found = dict(group_by_block(pixels, shape=(rows, cols), size=size))
    holding = {b: b.holds(pixels.astype(float)) for b in split_blocks((rows, cols), size)}
    assert list(found) == [block for block, inside in holding.items() if inside.any()]
    for block, here in found.items():
        np.testing.assert_array_equal(here, np.flatnonzero(holding[block]))


@given(tilings(), st.integers(0, 1000))
def test_the_most_interior_window_has_the_farthest_edge(case, seed):
    shape, size, overlap = case
    windows = cover(shape, size=size, overlap=overlap)
    coords = np.random.default_rng(seed).uniform(-0.5, np.array(shape) - 0.5, (5, 2))
    found = most_interior(coords, windows)
    for (row, col), index in zip(coords, found, strict=True):
        depths = [
            min(row - w.row + 0.5, w.row + w.rows - 0.5 - row, col - w.col + 0.5,
                w.col + w.cols - 0.5 - col)
            for w in windows
        ]  # fmt: skip
        assert depths[index] == pytest.approx(max(depths), abs=1e-9)
        assert windows[index].holds(np.array([[row, col]])).all()


def test_a_place_between_two_windows_goes_to_the_first_of_equals():
    windows = cover((1, 12), size=8, overlap=4)
    assert most_interior(np.array([[0.0, 5.5]]), windows).tolist() == [0]
    assert most_interior(np.zeros((0, 2)), windows).shape == (0,)


def test_windows_hold_their_pixels_to_half_a_pixel():
    window = Window(2, 3, 2, 2)
    inside = window.holds(np.array([[1.5, 2.5], [3.49, 4.49], [3.5, 4], [1.4, 3], [2, 4.5]]))
    assert inside.tolist() == [True, True, False, False, False]


@given(
    st.lists(st.tuples(*[st.integers(0, 6)] * 2, *[st.integers(1, 5)] * 2), min_size=2, max_size=2)
)
def test_the_common_part_is_what_both_windows_cover(cases):
    first, second = (Window(*case) for case in cases)
    masks = np.zeros((2, 12, 12), dtype=bool)
    masks[0][first.slices] = masks[1][second.slices] = True
    common = np.zeros((12, 12), dtype=bool)
    part = first.intersect(second)
    assert part == second.intersect(first)
    if part is not None:
        common[part.slices] = True
        assert masks[0][first.slices][part.relative_to(first).slices].all()
    assert (common == masks.all(axis=0)).all()
