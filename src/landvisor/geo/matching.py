"""How far a scene's values are from a reference's, and how they are moved there as it is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import SceneError
from landvisor.geo.histogram import (
    Transfer,
    apply_table,
    count_values,
    distribution_of_values,
    is_small,
    make_table,
    match_distribution,
    quantiles_of_counts,
)
from landvisor.geo.radiometry import QUANTILES, measure_spread, sample_values
from landvisor.geo.scene import Pixels, Scene, Source
from landvisor.geo.tiling import Window, split_blocks

Quantiles = Sequence[Sequence[float]]
"""Per band, 256 values at equally spaced cumulative shares 0..1."""

_BLOCK = 1024
_SHARES = np.linspace(0, 1, QUANTILES)
_RARE = 0.05
_WIDER = 3.0


@dataclass(frozen=True)
class MatchedSource:
    """A source whose values are moved as they are read.

    Attributes:
        source: What is read.
        transfers: One per band.
        tables: One per band, or none where the source's type is too large for tables.
        dtype: Of what comes out.
    """

    source: Source
    transfers: tuple[Transfer, ...]
    tables: tuple[NDArray[Any], ...]
    dtype: np.dtype[Any]

    def read(self, window: Window) -> Pixels:
        """Read a window and move its values; which pixels are valid does not change."""
        data, valid = self.source.read(window)
        moved = np.empty(data.shape, dtype=self.dtype)
        for band, values in enumerate(data):
            if self.tables:
                apply_table(values, self.tables[band], out=moved[band])
            else:
                usable = np.where(valid, values, self.transfers[band].before[0])
                moved[band] = self.transfers[band].apply(usable, dtype=self.dtype)
        return Pixels(moved, valid)


def match_scene(
    scene: Scene, reference: Quantiles, *, dtype: np.dtype[Any], seed: int = 0
) -> Scene:
    """Return a scene whose values are distributed as a reference's, read by window as before.

    The scene is read once for its own quantiles (see `measure_quantiles`). What is kept are a table
    per band of an 8- or 16-bit scene (at most 65,536 values), or 256 pairs per band of another.

    Args:
        scene: What to match; without a valid pixel it comes back as it is.
        reference: Quantiles per band, as `Card.histogram` holds them.
        dtype: Data type of the reference; the matched scene has it too.
        seed: Of the sample of a scene that is not counted.

    Raises:
        SceneError: If the bands differ in number, or the file is damaged.
    """
    if len(reference) != len(scene.bands):
        raise SceneError(
            f"scene {scene.name!r} has {len(scene.bands)} bands but the reference {len(reference)};"
            " give as many of both"
        )
    own = measure_quantiles(scene, seed=seed)
    if own is None:
        return scene
    transfers = tuple(
        match_distribution(distribution_of_values(ours), distribution_of_values(np.array(theirs)))
        for ours, theirs in zip(own, reference, strict=True)
    )
    small = is_small(scene.dtype)
    tables = tuple(make_table(t, source=scene.dtype, dtype=dtype) for t in transfers if small)
    return replace(scene, source=MatchedSource(scene.source, transfers, tables, dtype), dtype=dtype)


def measure_quantiles(scene: Scene, *, seed: int = 0) -> NDArray[np.float64] | None:
    """Measure 256 quantiles per band `[band, 256]` of valid pixels; None if there are none.

    Those of 8- and 16-bit scenes are exact: one pass counts all values, in memory for one block of
    1,024 pixels a side and 65,536 counts per band. Those of other types come from the sample
    that `measure_radiometry` draws: at most 4,096 pixels of each of 128 blocks.

    Raises:
        SceneError: If the file is damaged.
    """
    if not is_small(scene.dtype):
        values = sample_values([scene], seed=seed)
        return np.quantile(values, _SHARES, axis=1).T if values.size else None
    limits = np.iinfo(scene.dtype)
    counts = np.zeros((len(scene.bands), int(limits.max) - int(limits.min) + 1), dtype=np.int64)
    for block in split_blocks(scene.shape, _BLOCK):
        data, valid = scene.read(block)
        known = None if valid.all() else valid
        for band, total in zip(data, counts, strict=True):
            total += count_values(band, known)
    if not counts[0].any():
        return None
    return np.stack([quantiles_of_counts(band, int(limits.min), _SHARES) for band in counts])


def describe_shift(
    values: NDArray[np.float64], reference: Quantiles, *, bands: Sequence[str]
) -> str | None:
    """Say where values are far from a reference's, or None where they are not.

    A band is far if half of its values lie where at most one in twenty of the reference does, or if
    its middle range is over three times as wide. A narrow range says nothing: a scene may hold
    one class alone.

    Args:
        values: `[band, n]`: any number of single values, or quantiles.
        reference: Quantiles per band.
        bands: Their names.
    """
    known = np.asarray(reference)
    low, high = np.quantile(known, [_RARE, 1 - _RARE], axis=1)
    middle = np.median(values, axis=1)
    wide, usual = measure_spread(values, axis=1), measure_spread(known, axis=1)
    for band, name in enumerate(bands):
        if not low[band] <= middle[band] <= high[band]:
            where = f"{low[band]:g} to {high[band]:g}"
            return f"{name!r} has median {middle[band]:g}, where training has 90 % in {where}"
        if wide[band] > _WIDER * usual[band]:
            return f"{name!r} spreads by {wide[band]:.3g}, where training has {usual[band]:.3g}"
    return None
