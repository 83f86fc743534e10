"""Where patches of one class begin, meet and end, and where their borders turn: a row sweep.

A patch is a set of pixels of one class that hang together by their sides. The sweep keeps what
is open at its line alone: a label per pixel of the last row, joined by union-find as in Rosenfeld
and Pfaltz (1966), section 3, doi:10.1145/321356.321357, and the corners of open patches, as chains
that wait for what follows them. A border has its patch on the left, seen north up.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from landvisor.geo.class_map import NODATA

# columns of `nodes`
ROW, COL, NEXT, PARTNER, TWIN, RING = range(6)
# columns of `patches`; ALIVE and DONE are lists of patches that share the table's rows
PARENT, CODE, PIXELS, ANCHOR, FIRST, LAST, SEEN, ALIVE, DONE = range(9)
# rows of `line`
CODES, LABELS, HERE, DOWN, UP = range(5)
# entries of `counts`
AT, NODES, FREE_NODE, FREE_NODES, PATCHES, FREE_PATCH, FREE_PATCHES, LIVING, FINISHED = range(9)
EASTWARD, WESTWARD = 9, 10
NORTH, EAST, SOUTH, WEST = range(4)


class Sweep(NamedTuple):
    """What a sweep keeps between rows; every reference is a row of a table, -1 is none.

    Attributes:
        nodes: int32 `[n, 6]`, a corner each: its place on the lattice of pixel corners, what
            follows it, the other end of its chain (of a closed ring's first: the patch's next
            ring), the corner of another pixel of its class at the same place, and its ring.
        patches: int64 `[m, 9]`: parent in the union, code, pixels, the corner that its outer
            border begins with, first and last ring, the last row it was seen in.
        areas: float64 `[m]`: sum of its pixels' areas.
        line: int32 `[5, cols + 2]`: codes and labels of the row above, with a pixel of no data at
            either end; labels of this row; per column the chains that go on downwards and those
            that come from below.
        counts: int64 `[11]`: the row, how far tables are filled, free rows of them, patches that
            are open and finished, and the chains that go on eastwards and come from the east.
    """

    nodes: NDArray[np.int32]
    patches: NDArray[np.int64]
    areas: NDArray[np.float64]
    line: NDArray[np.int32]
    counts: NDArray[np.int64]


@numba.njit(nogil=True, cache=True)
def sweep_rows(sweep, codes, areas, begin):  # type: ignore[no-untyped-def]  # numba's types
    """Sweep over rows until they end or a table may not hold the next one.

    Args:
        sweep: It is changed in place.
        codes: uint8 `[row, cols + 2]`, with a pixel of no data at either end.
        areas: float64 `[row, cols]`: a pixel's area.
        begin: First of the rows to sweep over.

    Returns:
        The first row that was not swept.
    """
    for at in range(begin, len(codes)):
        if not has_room(sweep):
            return at
        _label_row(sweep, codes[at], areas[at])
        _trace_line(sweep, codes[at])
        _retire(sweep)
        sweep.line[CODES, :] = codes[at]
        sweep.line[LABELS, :] = sweep.line[HERE]
        sweep.counts[AT] += 1
    return len(codes)


@numba.njit(nogil=True, cache=True)
def has_room(sweep):  # type: ignore[no-untyped-def]  # numba's types
    """Tell whether the tables can hold whatever the next row brings: four corners per pixel."""
    counts, width = sweep.counts, sweep.line.shape[1]
    nodes = len(sweep.nodes) - counts[NODES] + counts[FREE_NODES]
    patches = len(sweep.patches) - counts[PATCHES] + counts[FREE_PATCHES]
    return nodes >= 4 * width and patches >= width


@numba.njit(nogil=True, cache=True)
def _label_row(sweep, codes, areas):  # type: ignore[no-untyped-def]  # numba's types
    above, labels, here = sweep.line[CODES], sweep.line[LABELS], sweep.line[HERE]
    for col in range(1, len(codes) - 1):
        code = codes[col]
        here[col] = -1
        if code == NODATA:
            continue
        label = here[col - 1] if codes[col - 1] == code else -1
        if above[col] == code and label < 0:
            label = _find(sweep, labels[col])
        elif above[col] == code and above[col - 1] != code:
            label = _merge(sweep, label, _find(sweep, labels[col]))
        if label < 0:
            label = _begin_patch(sweep, code)
        here[col] = label
        sweep.patches[label, PIXELS] += 1
        sweep.areas[label] += areas[col - 1]
    for col in range(1, len(codes) - 1):
        if here[col] >= 0 and codes[col] == codes[col - 1]:
            here[col] = here[col - 1]
        elif here[col] >= 0:
            here[col] = _find(sweep, here[col])
            sweep.patches[here[col], SEEN] = sweep.counts[AT]


@numba.njit(nogil=True, cache=True)
def _begin_patch(sweep, code):  # type: ignore[no-untyped-def]  # numba's types
    counts, patches = sweep.counts, sweep.patches
    label = _take_row(patches, PARENT, counts, PATCHES)
    patches[label, :ALIVE] = -1
    patches[label, PARENT], patches[label, CODE], patches[label, PIXELS] = label, code, 0
    sweep.areas[label] = 0
    patches[counts[LIVING], ALIVE] = label
    counts[LIVING] += 1
    return label


@numba.njit(nogil=True, cache=True)
def _find(sweep, label):  # type: ignore[no-untyped-def]  # numba's types
    while sweep.patches[label, PARENT] != label:
        label = sweep.patches[label, PARENT]
    return label


@numba.njit(nogil=True, cache=True)
def _merge(sweep, first, second):  # type: ignore[no-untyped-def]  # numba's types
    """Join two patches under the one whose outer border begins further up, then left."""
    if first == second:
        return first
    patches = sweep.patches
    kept, gone = (first, second) if _begins_before(sweep, first, second) else (second, first)
    patches[gone, PARENT] = kept
    patches[kept, PIXELS] += patches[gone, PIXELS]
    sweep.areas[kept] += sweep.areas[gone]
    if patches[gone, FIRST] >= 0:
        _append_rings(sweep, kept, patches[gone, FIRST], patches[gone, LAST])
    return kept


@numba.njit(nogil=True, cache=True)
def _begins_before(sweep, first, second):  # type: ignore[no-untyped-def]  # numba's types
    one, other = sweep.patches[first, ANCHOR], sweep.patches[second, ANCHOR]
    if one < 0 or other < 0:  # one that begins in this row has no corner yet
        return other < 0
    nodes = sweep.nodes
    if nodes[one, ROW] != nodes[other, ROW]:
        return nodes[one, ROW] < nodes[other, ROW]
    return nodes[one, COL] < nodes[other, COL]


@numba.njit(nogil=True, cache=True)
def _append_rings(sweep, patch, first, last):  # type: ignore[no-untyped-def]  # numba's types
    patches = sweep.patches
    if patches[patch, FIRST] < 0:
        patches[patch, FIRST] = first
    else:
        sweep.nodes[patches[patch, LAST], PARTNER] = first
    patches[patch, LAST] = last


@numba.njit(nogil=True, cache=True)
def _trace_line(sweep, codes):  # type: ignore[no-untyped-def]  # numba's types
    """Find the corners on the line between two rows and link them to what they follow."""
    above, labels, here = sweep.line[CODES], sweep.line[LABELS], sweep.line[HERE]
    for col in range(len(codes) - 1):
        nw, ne = above[col], above[col + 1]
        sw, se = np.int32(codes[col]), np.int32(codes[col + 1])
        if (nw == ne and sw == se) or (nw == sw and ne == se):
            continue  # nothing, or a straight border
        first = second = third = fourth = -1
        # a pixel of its own class: its border goes round it
        if nw != NODATA and nw not in (ne, sw):
            first = _turn(sweep, col, labels[col], WEST, NORTH)
        if ne != NODATA and ne not in (nw, se):
            second = _turn(sweep, col, labels[col + 1], NORTH, EAST)
        if sw != NODATA and sw not in (nw, se):
            third = _turn(sweep, col, here[col], SOUTH, WEST)
        if se != NODATA and se not in (ne, sw):
            fourth = _turn(sweep, col, here[col + 1], EAST, SOUTH)
            if sweep.patches[here[col + 1], ANCHOR] < 0:
                sweep.patches[here[col + 1], ANCHOR] = fourth
        # three pixels of one class: their border goes round the fourth
        if nw != NODATA and nw == ne and nw == sw:
            _turn(sweep, col, labels[col], SOUTH, EAST)
        elif nw != NODATA and nw == ne and nw == se:
            _turn(sweep, col, labels[col], WEST, SOUTH)
        elif nw != NODATA and nw == sw and nw == se:
            _turn(sweep, col, labels[col], EAST, NORTH)
        elif ne != NODATA and ne == sw and ne == se:
            _turn(sweep, col, labels[col + 1], NORTH, WEST)
        if nw == se and first >= 0:
            sweep.nodes[first, TWIN], sweep.nodes[fourth, TWIN] = fourth, first
        if ne == sw and second >= 0:
            sweep.nodes[second, TWIN], sweep.nodes[third, TWIN] = third, second


@numba.njit(nogil=True, cache=True)
def _turn(sweep, col, label, source, target):  # type: ignore[no-untyped-def]  # numba's types
    """Add a corner to the border that comes from one side and leaves to another."""
    node = _add_node(sweep, col)
    line, counts = sweep.line, sweep.counts
    if source == NORTH:
        _link(sweep, line[DOWN, col], node, label)
    elif source == WEST:
        _link(sweep, counts[EASTWARD], node, label)
    if target == NORTH:
        _link(sweep, node, line[UP, col], label)
    elif target == WEST:
        _link(sweep, node, counts[WESTWARD], label)
    # what lies east and south is yet to come
    if source == EAST:
        counts[WESTWARD] = node
    elif source == SOUTH:
        line[UP, col] = node
    if target == EAST:
        counts[EASTWARD] = node
    elif target == SOUTH:
        line[DOWN, col] = node
    return node


@numba.njit(nogil=True, cache=True)
def _add_node(sweep, col):  # type: ignore[no-untyped-def]  # numba's types
    counts, nodes = sweep.counts, sweep.nodes
    node = _take_row(nodes, NEXT, counts, NODES)
    nodes[node, ROW], nodes[node, COL] = counts[AT], col
    nodes[node, NEXT], nodes[node, PARTNER] = -1, node
    nodes[node, TWIN], nodes[node, RING] = -1, -1
    return node


@numba.njit(nogil=True, cache=True)
def _link(sweep, last, first, label):  # type: ignore[no-untyped-def]  # numba's types
    """Let the last corner of a chain be followed by the first of another, or of its own."""
    nodes = sweep.nodes
    nodes[last, NEXT] = first
    start, end = nodes[last, PARTNER], nodes[first, PARTNER]
    if start == first:
        nodes[first, PARTNER] = -1
        _append_rings(sweep, _find(sweep, label), first, first)
    else:
        nodes[start, PARTNER], nodes[end, PARTNER] = end, start


@numba.njit(nogil=True, cache=True)
def _retire(sweep):  # type: ignore[no-untyped-def]  # numba's types
    """Set patches apart that this row does not hold, and forget those that joined another."""
    counts, patches = sweep.counts, sweep.patches
    living, counts[LIVING] = counts[LIVING], 0
    for at in range(living):
        label = patches[at, ALIVE]
        if patches[label, PARENT] != label:
            free_patch(sweep, label)
        elif patches[label, SEEN] != counts[AT]:
            patches[counts[FINISHED], DONE] = label
            counts[FINISHED] += 1
        else:
            patches[counts[LIVING], ALIVE] = label
            counts[LIVING] += 1


@numba.njit(nogil=True, cache=True)
def _take_row(table, link, counts, filled):  # type: ignore[no-untyped-def]  # numba's types
    """Return a row of a table that was given back, or else the next one.

    Args:
        table: Rows that were given back are chained by column `link`.
        link: See `table`.
        counts: At `filled` how far the table is filled, then the first free row and how many.
        filled: `NODES` or `PATCHES`.
    """
    first, free = filled + 1, filled + 2
    if counts[free] > 0:
        row = counts[first]
        counts[first] = table[row, link]
        counts[free] -= 1
    else:
        row = counts[filled]
        counts[filled] += 1
    return row


@numba.njit(nogil=True, cache=True)
def give_row_back(table, link, counts, filled, row):  # type: ignore[no-untyped-def]  # numba's types
    """Let a row be used again; see `_take_row`."""
    table[row, link] = counts[filled + 1]
    counts[filled + 1] = row
    counts[filled + 2] += 1


@numba.njit(nogil=True, cache=True)
def free_patch(sweep, label):  # type: ignore[no-untyped-def]  # numba's types
    """Give a row of the table of patches back."""
    give_row_back(sweep.patches, PARENT, sweep.counts, PATCHES, label)
