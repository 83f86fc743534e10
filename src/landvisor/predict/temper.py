"""How finished probabilities are softened or sharpened, the class of no pixel being changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numba
import numpy as np

from landvisor.accuracy.temperature import LEAST_SHARE
from landvisor.predict.stream import MapRows

_LEAST = np.float32(LEAST_SHARE)
_BELOW = np.float32(1 - 1e-6)  # of the best: float32 keeps it apart after a division, too


def temper_rows(parts: Iterable[MapRows], temperature: float) -> Iterator[MapRows]:
    """Apply a temperature to rows, in their own memory.

    What `landvisor.accuracy.temperature.apply_temperature` does, but that a class which is nearly
    as likely as the first of the most likely ones stays below it.

    Args:
        parts: Finished rows of a map.
        temperature: Above 0; 1 changes nothing.
    """
    for part in parts:
        if temperature != 1:
            _temper(part.probabilities, part.valid, np.float32(1 / temperature))
        yield part


@numba.njit(nogil=True, cache=True)
def _temper(shares, valid, cold):  # type: ignore[no-untyped-def]  # numba's types
    """Raise shares `[class, row, col]` of valid pixels to a power and make them sum to one."""
    count, rows, cols = shares.shape
    for row in range(rows):
        for col in range(cols):
            if not valid[row, col]:
                continue
            best = 0
            for number in range(1, count):
                if shares[number, row, col] > shares[best, row, col]:
                    best = number
            top = shares[best, row, col]
            if top <= 0:
                continue
            total = np.float32(0)
            for number in range(count):
                ratio = max(shares[number, row, col], _LEAST) / top
                power = np.exp(np.log(ratio) * cold)
                power = np.float32(1) if number == best else min(power, _BELOW)
                shares[number, row, col] = power
                total += power
            for number in range(count):
                shares[number, row, col] /= total
