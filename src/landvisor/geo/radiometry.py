"""How the values of a band are distributed over the valid pixels of scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import SceneError
from landvisor.geo.scene import Scene
from landvisor.geo.tiling import Window, split_blocks

QUANTILES = 256
QUARTILES_PER_DEVIATION = 1.349
"""Interquartile range of a Gaussian in its standard deviations."""

_BLOCK = 256
_BLOCKS = 128
_VALUES = 4096
_SHARES = np.linspace(0, 1, QUANTILES)


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


def measure_radiometry(scenes: Sequence[Scene], *, seed: int = 0) -> Radiometry:
    """Measure band statistics on blocks drawn over all scenes.

    At most 128 blocks of 256 pixels a side with valid pixels are used, the very last one looked at
    first, so that a truncated file is found early; of each at most 4,096 pixels count.

    Args:
        scenes: Scenes with the same number of bands.
        seed: Of the draw of blocks and pixels.

    Raises:
        SceneError: If no valid pixel was met, or a file is damaged.
    """
    values = sample_values(scenes, seed=seed)
    if not values.size:
        raise SceneError("no valid pixel was found in the imagery; check its no-data value")
    std = values.std(axis=1)
    quantiles = np.quantile(values, _SHARES, axis=1).T
    return Radiometry(
        mean=tuple(values.mean(axis=1).tolist()),
        std=tuple(np.where(std > 0, std, 1.0).tolist()),
        quantiles=tuple(tuple(band) for band in quantiles.tolist()),
    )


def sample_values(
    scenes: Sequence[Scene], *, seed: int, blocks: int = _BLOCKS
) -> NDArray[np.float64]:
    """Draw values of valid pixels `[band, n]`, as `measure_radiometry` says; n may be 0.

    Args:
        scenes: Scenes with the same number of bands.
        seed: Of the draw.
        blocks: Most blocks that count.

    Raises:
        SceneError: If a file is damaged.
    """
    generator = np.random.default_rng(seed)
    parts = [(scene, block) for scene in scenes for block in split_blocks(scene.shape, _BLOCK)]
    order = list(generator.permutation(len(parts)))
    order = [len(parts) - 1, *(i for i in order if i != len(parts) - 1)]
    found = (_sample(parts[i][0], parts[i][1], generator) for i in order)
    samples = list(islice((sample for sample in found if sample.shape[1]), blocks))
    return np.concatenate([np.empty((len(scenes[0].bands), 0)), *samples], axis=1)


def robust_scale(radiometry: Radiometry) -> NDArray[np.float64]:
    """Return `[band]`: half of the values' middle range as a Gaussian's deviation, never 0.

    A constant middle (a band that is mostly one value) falls back to the deviation.

    References:
        Rousseeuw and Croux (1993), Alternatives to the median absolute deviation, section 1: the
        interquartile range over 1.349 estimates a Gaussian's deviation,
        doi:10.1080/01621459.1993.10476408.
    """
    quartiles = [np.interp([0.25, 0.75], _SHARES, band) for band in radiometry.quantiles]
    spread = np.diff(np.array(quartiles), axis=1)[:, 0] / QUARTILES_PER_DEVIATION
    return np.asarray(np.where(spread > 0, spread, radiometry.std))


def measure_spread(values: NDArray[np.floating], *, axis: int) -> NDArray[np.float64]:
    """Measure the spread of values along an axis as `robust_scale` does; 0 if there is none.

    Args:
        values: Finite, any shape.
        axis: What is reduced.
    """
    low, high = np.quantile(values, [0.25, 0.75], axis=axis)
    spread = (high - low) / QUARTILES_PER_DEVIATION
    return np.asarray(np.where(spread > 0, spread, values.std(axis=axis)), dtype=np.float64)


def _sample(scene: Scene, block: Window, generator: np.random.Generator) -> NDArray[Any]:
    data, valid = scene.read(block)
    found = data[:, valid]
    if found.shape[1] > _VALUES:
        found = found[:, generator.choice(found.shape[1], _VALUES, replace=False)]
    found = found.astype(np.float64)
    return np.asarray(found[:, np.isfinite(found).all(axis=0)])
