"""What a method of growing gets, a block of a scene with its points, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from landvisor.recipe import GrowSpec

NOBODY = -1
_LARGEST = 1e6  # so many deviations from 0 are a fill value, whose square float32 still holds


@dataclass(frozen=True, eq=False)
class Block:
    """A window of a scene with the points in it.

    Attributes:
        data: `[band, row, col]` in native units; anything where not valid.
        valid: `[row, col]`: finite data.
        scale: `[band]`: robust deviation of each band, above 0, in native units.
        points: int64 `[n, 2]`: (row, col) of valid pixels in the block, in row-major order; one
            pixel may occur with several classes.
        label: int64 `[n]`: class id of each point.
        features: float32 `[feature, row, col]` to compare instead of the bands, in robust
            deviations; None where none were given.
    """

    data: NDArray[Any]
    valid: NDArray[np.bool_]
    scale: NDArray[np.float64]
    points: NDArray[np.int64]
    label: NDArray[np.int64]
    features: NDArray[np.float32] | None = None

    @cached_property
    def image(self) -> NDArray[np.float32]:
        """The bands `[band, row, col]` in robust deviations; 0 where not valid."""
        scaled = self.data / self.scale[:, None, None].astype(np.float32)
        np.clip(scaled, -_LARGEST, _LARGEST, out=scaled)
        return np.where(self.valid, scaled, 0).astype(np.float32)


class Grown(NamedTuple):
    """Which point each pixel of a block grows from.

    Attributes:
        point: int64 `[row, col]`: position in `Block.points`, whose class the pixel gets; -1 is
            unlabelled.
        confidence: float32 `[row, col]`: above 0, up to 1; anything where unlabelled.
    """

    point: NDArray[np.int64]
    confidence: NDArray[np.float32]


Grower = Callable[[Block, GrowSpec], Grown]


def find_nearest(
    block: Block, pixels: NDArray[np.int64], *, group: NDArray[np.int64], of: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Find the nearest point among those of each pixel's own group.

    Args:
        block: Has the points; of equally near ones the first counts.
        pixels: `[m, 2]`: (row, col).
        group: `[n]`: number of each point's group, at least 0.
        of: `[m]`: the group asked for at each pixel; it has a point.

    Returns:
        `[m]`: positions in `Block.points`.
    """
    # One step of the third axis is longer than the block and holds groups apart. The fourth
    # breaks ties: squared distances are whole numbers, to which it adds less than one half.
    apart = 2.0 * sum(block.valid.shape)
    rank = np.arange(len(group)) / (2.0 * len(group) + 1)
    tree = cKDTree(np.column_stack([block.points, group * apart, rank]))
    wanted = np.column_stack([pixels, of * apart, np.zeros(len(pixels))])
    return np.asarray(tree.query(wanted)[1], dtype=np.int64)
