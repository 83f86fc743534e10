"""How a chip takes on the distribution of values of other imagery, or of changed light."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from landvisor.geo.histogram import Transfer, distribution_of_values, match_distribution
from landvisor.geo.radiometry import QUANTILES
from landvisor.geo.scene import Pixels

Curves = NDArray[np.float64]
"""`[band, 256]`: values at equally spaced cumulative shares 0..1."""

_SHARES = np.linspace(0, 1, QUANTILES)
_PIXELS = 16_384
_BEND = np.log(1.5)


def measure_curves(pixels: Pixels) -> Curves | None:
    """Measure the distribution of the valid pixels, of 16,384 evenly spaced ones at most.

    None if there are none.
    """
    known = np.flatnonzero(pixels.finite)
    if not len(known):
        return None
    chosen = known[:: -(-len(known) // _PIXELS)]
    values = np.asarray(pixels.data).reshape(len(pixels.data), -1)[:, chosen]
    return np.quantile(values.astype(np.float64), _SHARES, axis=1).T


def bend_curves(curves: Curves, generator: np.random.Generator) -> Curves:
    """Change a distribution at random, each band for itself, within the values that it has.

    What the share p of the pixels did not exceed becomes what the share p^g did not, with g
    from 2/3 to 3/2, even in its logarithm.
    """
    powers = np.exp(generator.uniform(-_BEND, _BEND, len(curves)))
    bent = [np.interp(_SHARES**g, _SHARES, band) for g, band in zip(powers, curves, strict=True)]
    return np.array(bent)


def recolour(
    image: NDArray[np.float32], *, own: Curves, other: Curves, share: float = 1.0
) -> NDArray[np.float32]:
    """Move the values of each band from one distribution towards another.

    Args:
        image: `[band, row, col]` in native units; anything where there is no data.
        own: How values like its are distributed.
        other: How they are to be.
        share: Of the way that each value goes.
    """
    moved = [
        _find_transfer(before, after, share).apply(band, dtype=image.dtype)
        for band, before, after in zip(image, own, other, strict=True)
    ]
    return np.stack(moved)


def _find_transfer(own: Sequence[float], other: Sequence[float], share: float) -> Transfer:
    whole = match_distribution(
        distribution_of_values(np.asarray(own)), distribution_of_values(np.asarray(other))
    )
    return Transfer(whole.before, whole.before + share * (whole.after - whole.before))
