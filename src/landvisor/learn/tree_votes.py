"""The compiled walk through trees: 64 rows at a time, as bits of one word.

Neighbouring pixels mostly take the same way. So a split is asked once for a group of 64 rows: one
vector comparison says which go on to the second child, and a group goes on as up to two entries,
each with the rows that it stands for. All entries of a block of groups go a level deeper in one
loop without branches; a walk of one row at a time waits for memory and for mispredicted branches.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # has no stubs
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

NODE = np.dtype([("threshold", "f4"), ("feature", "u4"), ("next", "u4"), ("leaf", "u4")])
"""A split, with the position of its first child, or a leaf (`leaf` 1), with its row of shares."""

_SIDE = 8
_LANES = _SIDE * _SIDE  # a bit each of a 64-bit word
_CACHE = 2**20  # bytes of features of a block: half of a usual second-level cache
_LEAST = 8  # groups of a block: with fewer, too few rows share what a tree's nodes cost to load


def group_rows(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return `[group, 64]`: which rows are asked together, each in exactly one group.

    Args:
        shape: Of the rows: two numbers are those of a raster, which is cut into squares of 8 x 8
            pixels; else rows that follow each other go together. What a group lacks is filled
            with repeats of its own rows.
    """
    rows, cols = shape if len(shape) == 2 else (1, int(np.prod(shape)))
    high, wide = (_SIDE, _SIDE) if len(shape) == 2 else (1, _LANES)
    order = np.arange(rows * cols).reshape(rows, cols)
    if order.size:
        order = np.pad(order, ((0, -rows % high), (0, -cols % wide)), mode="edge")
    squares = order.reshape(-(-rows // high), high, -(-cols // wide), wide).swapaxes(1, 2)
    return np.ascontiguousarray(squares.reshape(-1, _LANES))


def count_groups(features: int) -> int:
    """Return how many groups make a block that stays in the cache."""
    return max(_LEAST, _CACHE // (4 * _LANES * max(features, 1)))


@numba.njit(nogil=True, cache=True)
def vote(rows, order, room, nodes, roots, shares, votes):  # type: ignore[no-untyped-def]  # numba's types
    """Write the trees' mean shares of all rows that are named in `order`.

    Args:
        rows: float32 `[row, feature]`.
        order: int64 `[group, 64]`; see `group_rows`.
        room: Groups of a block.
        nodes: `NODE` `[node]`; a leaf's threshold is infinite.
        roots: int64 `[tree]`.
        shares: Of each leaf row: where its entries begin, and all entries' classes and shares.
        votes: float32 `[row, class]`, written.
    """
    # Unsigned positions spare numba's test for negative ones.
    count, groups, size = np.uintp(rows.shape[1]), np.uintp(order.shape[0]), np.uintp(room)
    lanes, classes = np.uintp(_LANES), np.uintp(votes.shape[1])
    cube = np.empty(count * size * lanes, np.float32)
    sums = np.empty(classes * size * lanes, np.float32)
    half = size * lanes + np.uintp(1)  # entries of a level stand for different rows
    entries = np.empty(half * np.uintp(2), np.uint64), np.empty(half * np.uintp(2), np.uint64)
    leaves = np.empty(half, np.uint64), np.empty(half, np.uint64)
    for first in range(np.uintp(0), groups, size):
        here = min(size, np.uintp(groups - first))
        _spread(rows, order[first : first + here], cube, size)
        sums[:] = 0
        for root in roots:
            found = _walk(nodes, root, here, cube, size, entries, leaves)
            _add_shares(shares, leaves, found, classes, sums)
        _gather(sums, order[first : first + here], np.float32(len(roots)), votes)


@numba.njit(nogil=True, cache=True)
def _spread(rows, order, cube, size):  # type: ignore[no-untyped-def]  # numba's types
    """Lay out a block as `[feature, group, lane]`."""
    lanes = np.uintp(_LANES)
    for group in range(np.uintp(order.shape[0])):
        for feature in range(np.uintp(rows.shape[1])):
            begin = (feature * size + group) * lanes
            for lane in range(lanes):
                cube[begin + lane] = rows[np.uintp(order[group, lane]), feature]


@numba.njit(nogil=True, cache=True)
def _walk(nodes, root, groups, cube, size, entries, leaves):  # type: ignore[no-untyped-def]  # numba's types
    """Take all groups of a block through one tree; return how many leaf entries were written.

    Entries are two words: a node in the upper and a group in the lower 32 bits; which rows. A level
    is read from one half of `entries`, and the next one written to the other.
    """
    (where, bits), (leaf_where, leaf_bits) = entries, leaves
    half = np.uintp(where.shape[0] // 2)
    low, one = np.uint64(0xFFFFFFFF), np.uint64(1)
    for group in range(groups):
        where[group] = (np.uint64(root) << np.uint64(32)) | group
        bits[group] = ~np.uint64(0)
    begin, other, active, found = np.uintp(0), half, groups, np.uintp(0)
    while active > np.uintp(0):
        free = other
        for entry in range(begin, begin + active):
            place, rows = where[entry], bits[entry]
            node, group = nodes[place >> np.uint64(32)], place & low
            at = (np.uint64(node.feature) * size + group) * np.uint64(_LANES)
            above = _compare(cube, at, node.threshold)
            below = (np.uint64(node.next) << np.uint64(32)) | group
            leaf = np.uint64(node.leaf)
            leaf_where[found], leaf_bits[found] = below, rows
            found += leaf
            where[free], bits[free] = below, rows & ~above
            free += np.uint64((rows & ~above) != np.uint64(0)) & (leaf ^ one)
            where[free], bits[free] = below + (one << np.uint64(32)), rows & above
            free += np.uint64((rows & above) != np.uint64(0))
        active = free - other
        begin, other = other, begin
    return found


@numba.njit(nogil=True, cache=True)
def _add_shares(shares, leaves, found, classes, sums):  # type: ignore[no-untyped-def]  # numba's types
    leaf_where, leaf_bits = leaves
    starts, labels, values = shares
    for entry in range(found):
        leaf = leaf_where[entry] >> np.uint64(32)
        begin = (leaf_where[entry] & np.uint64(0xFFFFFFFF)) * classes
        for share in range(np.uintp(starts[leaf]), np.uintp(starts[leaf + np.uint64(1)])):
            at = (begin + np.uint64(labels[share])) * np.uint64(_LANES)
            _add(sums, at, leaf_bits[entry], values[share])


@numba.njit(nogil=True, cache=True)
def _gather(sums, order, trees, votes):  # type: ignore[no-untyped-def]  # numba's types
    lanes, classes = np.uintp(_LANES), np.uintp(votes.shape[1])
    for group in range(np.uintp(order.shape[0])):
        for lane in range(lanes):
            row = np.uintp(order[group, lane])
            for label in range(classes):
                votes[row, label] = sums[(group * classes + label) * lanes + lane] / trees


# Numba finds no vector instruction that turns 64 comparisons into a word, so these two are
# spelled out for LLVM, which splits them into what the processor has.
_FLOATS = ir.VectorType(ir.FloatType(), _LANES)


@intrinsic  # type: ignore[untyped-decorator]  # numba is untyped
def _compare(_context: Any, cube: Any, at: Any, threshold: Any) -> Any:
    """Return a word whose bits say which of 64 values from `at` on exceed the threshold."""

    def generate(target: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = builder.load(_point(target, builder, signature, args), align=4)
        above = builder.fcmp_ordered(">", values, _repeat(builder, args[2]))
        return builder.bitcast(above, ir.IntType(_LANES))

    return types.uint64(cube, at, threshold), generate


@intrinsic  # type: ignore[untyped-decorator]  # numba is untyped
def _add(_context: Any, sums: Any, at: Any, lanes: Any, share: Any) -> Any:
    """Add a share to those of 64 sums from `at` on whose bit is set."""

    def generate(target: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _point(target, builder, signature, args)
        chosen = builder.bitcast(args[2], ir.VectorType(ir.IntType(1), _LANES))
        none = ir.Constant(_FLOATS, [0.0] * _LANES)
        more = builder.select(chosen, _repeat(builder, args[3]), none)
        builder.store(builder.fadd(builder.load(pointer, align=4), more), pointer, align=4)
        return target.get_dummy_value()

    return types.void(sums, at, lanes, share), generate


def _point(target: Any, builder: Any, signature: Any, args: Any) -> Any:
    array = target.make_array(signature.args[0])(target, builder, args[0])
    return builder.bitcast(builder.gep(array.data, [args[1]]), _FLOATS.as_pointer())


def _repeat(builder: Any, value: Any) -> Any:
    anything = ir.Constant(_FLOATS, ir.Undefined)
    first = builder.insert_element(anything, value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)
    return builder.shuffle_vector(first, anything, zeros)
