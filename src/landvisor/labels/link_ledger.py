"""Which class claims each pixel, kept for the pixels that are claimed and no others."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

FREE, CLASH, TAKEN = -1, -2, -3
_SLOT = np.dtype(
    [("position", "i8"), ("near", "f8"), ("place", "i8"), ("weight", "f4"), ("label", "i2")],
    align=True,
)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: Knuth, section 6.4
_RUN = 3  # 8 neighbours in a row of pixels stay together in memory


class Ledger(NamedTuple):
    """A hash table of claims with open addressing, for compiled loops.

    Attributes:
        slots: Records `[slot]`, a power of two of them: `position` (row * cols + col), `near`
            (squared distance to the place), `place`, `weight`, and `label`: the class, `CLASH`
            between classes, `TAKEN` by a place, or `FREE` for an empty slot.
        used: How many slots are not free.
    """

    slots: NDArray[Any]
    used: int


class Claimed(NamedTuple):
    """Pixels that one class claims: position, class id, weight and place, `[n]` each."""

    position: NDArray[np.int64]
    label: NDArray[np.int16]
    weight: NDArray[np.float32]
    place: NDArray[np.int64]


def open_ledger(taken: NDArray[np.int64]) -> Ledger:
    """Begin a ledger where some positions `[n]` can not be claimed."""
    ledger: Ledger = _open(taken, 1 << int(4 * len(taken) + 64).bit_length())
    return ledger


def read_ledger(ledger: Ledger) -> Claimed:
    """List what one class claims, in no order."""
    claimed: Claimed = _list_claimed(ledger.slots, ledger.used)
    return claimed


@numba.njit(nogil=True, cache=True)
def claim(slots, position, label, near, place, weight):  # type: ignore[no-untyped-def]  # numba's types
    """Enter a claim; for one class the nearest counts, then the surest, then the first.

    Returns:
        How many slots it took: 1 for a pixel that nobody claimed before.
    """
    slot = _find(slots, position)
    held = slots[slot].label
    if held != FREE:
        if held < 0:
            return 0
        if held != label:
            slots[slot].label = CLASH
            return 0
        old = slots[slot]
        if (near, -weight, place) >= (old.near, -old.weight, old.place):
            return 0
    slots[slot].position = position
    slots[slot].label = label
    slots[slot].near = near
    slots[slot].place = place
    slots[slot].weight = weight
    return int(held == FREE)


@numba.njit(nogil=True, cache=True)
def make_room(slots, used, more):  # type: ignore[no-untyped-def]  # numba's types
    """Return slots that hold some more claims with a third of them left free."""
    while 3 * (used + more) > 2 * len(slots):
        wide = _blank(2 * len(slots))
        for old in slots:
            if old.label != FREE:
                wide[_find(wide, old.position)] = old
        slots = wide
    return slots


@numba.njit(nogil=True, cache=True)
def _open(taken, capacity):  # type: ignore[no-untyped-def]  # numba's types
    slots = _blank(capacity)
    used = 0
    for position in taken:
        slot = _find(slots, position)
        used += slots[slot].label == FREE
        slots[slot].position = position
        slots[slot].label = TAKEN
    return Ledger(slots, used)


@numba.njit(nogil=True, cache=True)
def _list_claimed(slots, used):  # type: ignore[no-untyped-def]  # numba's types
    position, place = np.empty(used, np.int64), np.empty(used, np.int64)
    label, weight = np.empty(used, np.int16), np.empty(used, np.float32)
    count = 0
    for slot in slots:
        if slot.label >= 0:
            position[count], place[count] = slot.position, slot.place
            label[count], weight[count] = slot.label, slot.weight
            count += 1
    return Claimed(position[:count], label[:count], weight[:count], place[:count])


@numba.njit(nogil=True, cache=True)
def _blank(capacity):  # type: ignore[no-untyped-def]  # numba's types
    slots = np.empty(capacity, _SLOT)
    for slot in range(capacity):
        slots[slot].label = FREE
    return slots


@numba.njit(nogil=True, cache=True)
def _find(slots, position):  # type: ignore[no-untyped-def]  # numba's types
    """Return the slot of a position, or the free one where it belongs."""
    run = (np.uint64(position) >> np.uint64(_RUN)) * _SPREAD
    start = (run >> np.uint64(20)) << np.uint64(_RUN) | np.uint64(position & 7)
    last = np.uint64(len(slots) - 1)
    slot = start & last
    while slots[slot].label != FREE and slots[slot].position != position:
        slot = (slot + np.uint64(1)) & last
    return slot
