"""How the values of a band are distributed over the valid pixels of scenes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Radiometry:
    """Band statistics of valid pixels, in native units.

    Attributes:
        mean: Per band.
        std: Standard deviation per band; never 0 (a constant band has 1).
        quantiles: Per band, 256 values at equally spaced cumulative shares 0..1.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    quantiles: tuple[tuple[float, ...], ...]
