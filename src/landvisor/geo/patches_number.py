"""Which number each patch of a class raster has, how large it is, and which neighbour is largest.

Patches are numbered row by row, as they begin; what turns out to be one patch is joined by
union-find. A second sweep over the same rows finds the same numbers again, so that no raster of
them is kept. Compiled; apart, since numba is slow to import.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from landvisor.geo.class_map import NODATA

CODES, LABELS, HERE = range(3)  # rows of `line`


class Numbering(NamedTuple):
    """Tables of patches and what a sweep keeps between rows.

    Attributes:
        parents: `[n]`: a patch's parent in the union, itself where it is the first.
        sizes: float64 `[n]`: pixels or square metres.
        codes: uint8 `[n]`: class ids.
        line: `[3, cols + 2]`: codes and numbers of the row above, with a pixel of no data at
            either end, and numbers of this row.
        begun: int64 `[1]`: patches that began so far.
    """

    parents: NDArray[np.integer]
    sizes: NDArray[np.float64]
    codes: NDArray[np.uint8]
    line: NDArray[np.integer]
    begun: NDArray[np.int64]


@numba.njit(nogil=True, cache=True)
def join_rows(numbers, codes, weights, begin, eight):  # type: ignore[no-untyped-def]  # numba's types
    """Number the patches of rows, and add up their pixels' weights.

    Args:
        numbers: It is changed in place.
        codes: uint8 `[row, cols + 2]`, with a pixel of no data at either end.
        weights: float64 `[row, cols]`.
        begin: First row to number.
        eight: Pixels that touch in a corner hang together.

    Returns:
        The first row that was not numbered: past the last one, or one that may need more room.
    """
    for at in range(begin, len(codes)):
        if numbers.begun[0] + codes.shape[1] > len(numbers.parents):
            return at
        _number_row(numbers, codes[at], eight, True)
        here = numbers.line[HERE]
        for col in range(1, codes.shape[1] - 1):
            if here[col] >= 0:
                numbers.sizes[here[col]] += weights[at, col - 1]
        _advance(numbers, codes[at])
    return len(codes)


@numba.njit(nogil=True, cache=True)
def settle_numbers(numbers):  # type: ignore[no-untyped-def]  # numba's types
    """Give every patch its final number; sizes are added up in the order of numbers."""
    for label in range(numbers.begun[0]):
        parent = numbers.parents[label]
        if parent != label:  # it is lower, so that it is final already
            numbers.parents[label] = numbers.parents[parent]
            numbers.sizes[numbers.parents[label]] += numbers.sizes[label]


@numba.njit(nogil=True, cache=True)
def compare_rows(numbers, codes, largest, eight):  # type: ignore[no-untyped-def]  # numba's types
    """Find the largest neighbour of each patch, the first met of equals; -1 is none.

    Neighbours are met row by row, and by each pixel in the order above, above left, above right,
    left, which is that of GDAL's `GDALSieveFilter`.
    """
    sizes, above, here = numbers.sizes, numbers.line[LABELS], numbers.line[HERE]
    for at in range(len(codes)):
        _number_row(numbers, codes[at], eight, False)
        for col in range(1, codes.shape[1] - 1):
            label = here[col]
            if label < 0:
                continue
            if above[col] != label:
                _compare(sizes, largest, label, above[col])
            if eight and above[col - 1] != label:
                _compare(sizes, largest, label, above[col - 1])
            if eight and above[col + 1] != label:
                _compare(sizes, largest, label, above[col + 1])
            if here[col - 1] != label:
                _compare(sizes, largest, label, here[col - 1])
        _advance(numbers, codes[at])


@numba.njit(nogil=True, cache=True)
def choose_codes(numbers, largest, least):  # type: ignore[no-untyped-def]  # numba's types
    """Choose what each patch becomes: its class, or if it is small that of a large neighbour.

    A small patch follows the largest neighbours until one is large enough. Where they lead in a
    circle or nowhere, it stays.

    Returns:
        uint8 `[n]`: class ids.
    """
    sizes, codes = numbers.sizes, numbers.codes[: numbers.begun[0]].copy()
    seen = np.full(len(codes), -1, numbers.parents.dtype)
    for label in range(len(codes)):
        if numbers.parents[label] == label and sizes[label] < least:
            end = _follow(sizes, largest, seen, label, least)
            if end >= 0:
                codes[label] = numbers.codes[end]
    return codes


@numba.njit(nogil=True, cache=True)
def _follow(sizes, largest, seen, label, least):  # type: ignore[no-untyped-def]  # numba's types
    """Find the large patch that a small one leads to, or -1; later ones on the way find it too."""
    end = label
    while end >= 0 and sizes[end] < least:
        seen[end] = label
        end = largest[end]
        if end >= 0 and seen[end] == label:
            end = -1
    node = label
    while node >= 0 and seen[node] == label:
        following, seen[node], largest[node] = largest[node], -1, end
        node = following
    return end


@numba.njit(nogil=True, cache=True)
def recode_rows(numbers, codes, becomes, out, eight):  # type: ignore[no-untyped-def]  # numba's types
    """Write what each pixel becomes into `out`, uint8 `[row, cols]`."""
    for at in range(len(codes)):
        _number_row(numbers, codes[at], eight, False)
        for col in range(out.shape[1]):
            label = numbers.line[HERE, col + 1]
            out[at, col] = becomes[label] if label >= 0 else NODATA
        _advance(numbers, codes[at])


@numba.njit(nogil=True, cache=True)
def _number_row(numbers, codes, eight, joining):  # type: ignore[no-untyped-def]  # numba's types
    above, labels, here = numbers.line[CODES], numbers.line[LABELS], numbers.line[HERE]
    for col in range(1, len(codes) - 1):
        code = np.int64(codes[col])
        here[col] = -1
        if code == NODATA:
            continue
        label = here[col - 1] if codes[col - 1] == codes[col] else -1
        if above[col] == code:
            label = _join(numbers, label, labels[col], joining)
        elif eight:  # if the pixel above is of the class, it holds these already
            if above[col - 1] == code:
                label = _join(numbers, label, labels[col - 1], joining)
            if above[col + 1] == code:
                label = _join(numbers, label, labels[col + 1], joining)
        here[col] = label if label >= 0 else _begin(numbers, codes[col], joining)


@numba.njit(nogil=True, cache=True)
def _begin(numbers, code, joining):  # type: ignore[no-untyped-def]  # numba's types
    label = numbers.begun[0]
    numbers.begun[0] += 1
    if joining:
        numbers.parents[label], numbers.sizes[label], numbers.codes[label] = label, 0, code
    return numbers.parents[label]


@numba.njit(nogil=True, cache=True)
def _join(numbers, label, other, joining):  # type: ignore[no-untyped-def]  # numba's types
    """Join the patches of two numbers under the lower one; `label` may be -1, none yet."""
    if not joining or label == other:
        return other
    other = _find(numbers.parents, other)
    if label < 0:
        return other
    label = _find(numbers.parents, label)
    if label < other:
        label, other = other, label
    numbers.parents[label] = other
    return other


@numba.njit(nogil=True, cache=True)
def _find(parents, label):  # type: ignore[no-untyped-def]  # numba's types
    while parents[label] != label:
        parents[label] = parents[parents[label]]
        label = parents[label]
    return label


@numba.njit(nogil=True, cache=True)
def _advance(numbers, codes):  # type: ignore[no-untyped-def]  # numba's types
    numbers.line[CODES, :] = codes
    numbers.line[LABELS, :] = numbers.line[HERE]


@numba.njit(nogil=True, cache=True)
def _compare(sizes, largest, one, other):  # type: ignore[no-untyped-def]  # numba's types
    if other < 0:
        return
    if largest[one] < 0 or sizes[largest[one]] < sizes[other]:
        largest[one] = other
    if largest[other] < 0 or sizes[largest[other]] < sizes[one]:
        largest[other] = one
