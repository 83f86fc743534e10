"""What borders finished patches have: their rings, unpicked from the chains of a sweep."""

from __future__ import annotations

import numba

from landvisor.geo.patches_sweep import (
    ANCHOR,
    COL,
    DONE,
    FINISHED,
    FIRST,
    NEXT,
    NODES,
    PARTNER,
    RING,
    ROW,
    TWIN,
    free_patch,
    give_row_back,
)


@numba.njit(nogil=True, cache=True)
def measure_rings(sweep):  # type: ignore[no-untyped-def]  # numba's types
    """Count the corners of finished patches, and settle which of them a ring meets twice."""
    corners = 0
    for at in range(sweep.counts[FINISHED]):
        head = sweep.patches[sweep.patches[at, DONE], FIRST]
        while head >= 0:
            corners += _mark_ring(sweep.nodes, head)
            _settle_twins(sweep.nodes, head)
            head = sweep.nodes[head, PARTNER]
    return corners


@numba.njit(nogil=True, cache=True)
def write_rings(sweep, kept, corners, sizes, rings):  # type: ignore[no-untyped-def]  # numba's types
    """Write the rings of finished patches one after the other, then forget these patches.

    A patch's first ring is its outer border, anticlockwise seen north up; the others are holes. No
    ring meets a place twice: where the border of a patch does, it is parted there, so that a hole
    may touch the outer border or another hole in a point, as OGC 06-103r4, 6.1.11, wants it.

    Args:
        sweep: After `measure_rings`.
        kept: bool `[patch]`: whose rings are written.
        corners: int32 `[n, 2]` to fill: (row, col) on the lattice of pixel corners; each ring
            ends where it began.
        sizes: int64 `[n]` to fill: places of each ring.
        rings: int64 `[patch]` to fill: rings of each patch, 0 where it is not kept.

    Returns:
        How many places and rings were written.
    """
    place = ring = 0
    for at in range(sweep.counts[FINISHED]):
        label = sweep.patches[at, DONE]
        before = ring
        if kept[at]:
            place = _write_ring(sweep.nodes, sweep.patches[label, ANCHOR], corners, place)
            sizes[ring] = place
            ring += 1
            head = sweep.patches[label, FIRST]
            while head >= 0:
                place, ring = _write_others(sweep.nodes, head, corners, sizes, place, ring)
                head = sweep.nodes[head, PARTNER]
        rings[at] = ring - before
        _free_nodes(sweep, sweep.patches[label, FIRST])
        free_patch(sweep, label)
    sweep.counts[FINISHED] = 0
    return place, ring


@numba.njit(nogil=True, cache=True)
def _mark_ring(nodes, head):  # type: ignore[no-untyped-def]  # numba's types
    count, node = 0, head
    while count == 0 or node != head:
        nodes[node, RING] = head
        node = nodes[node, NEXT]
        count += 1
    return count


@numba.njit(nogil=True, cache=True)
def _settle_twins(nodes, head):  # type: ignore[no-untyped-def]  # numba's types
    """Keep a corner's twin where it is of the same ring; else the corner is its own."""
    node, begun = head, False
    while not begun or node != head:
        twin, begun = nodes[node, TWIN], True
        # a twin of another patch may be gone, and its row of the table another corner's
        same = twin >= 0 and nodes[twin, RING] == head
        same = same and nodes[twin, ROW] == nodes[node, ROW]
        if not (same and nodes[twin, COL] == nodes[node, COL]):
            nodes[node, TWIN] = node
        node = nodes[node, NEXT]


@numba.njit(nogil=True, cache=True)
def _write_others(nodes, head, corners, sizes, place, ring):  # type: ignore[no-untyped-def]  # numba's types
    """Write what the simple rings of a closed walk were not written yet."""
    node, begun = head, False
    while not begun or node != head:
        begun = True
        if nodes[node, RING] >= 0:
            place = _write_ring(nodes, node, corners, place)
            sizes[ring] = place
            ring += 1
        node = nodes[node, NEXT]
    return place, ring


@numba.njit(nogil=True, cache=True)
def _write_ring(nodes, start, corners, place):  # type: ignore[no-untyped-def]  # numba's types
    """Write a simple ring; at a place that its walk meets twice it goes on with the other."""
    node, begun = start, False
    while not begun or node != start:
        begun = True
        corners[place, 0], corners[place, 1] = nodes[node, ROW], nodes[node, COL]
        place += 1
        nodes[node, RING] = -1
        node = nodes[nodes[node, TWIN], NEXT]
    corners[place, 0], corners[place, 1] = nodes[start, ROW], nodes[start, COL]
    return place + 1


@numba.njit(nogil=True, cache=True)
def _free_nodes(sweep, head):  # type: ignore[no-untyped-def]  # numba's types
    counts, nodes = sweep.counts, sweep.nodes
    while head >= 0:
        following, node, begun = nodes[head, PARTNER], head, False
        while not begun or node != head:
            begun, after = True, nodes[node, NEXT]
            give_row_back(nodes, NEXT, counts, NODES, node)
            node = after
        head = following
