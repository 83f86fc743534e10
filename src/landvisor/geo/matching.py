"""How far scenes' values are from a reference's, and how they are moved there as they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

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
from landvisor.geo.radiometry import QUANTILES, sample_values
from landvisor.geo.scene import Pixels, Scene, Source
from landvisor.geo.tiling import Window, split_blocks

Quantiles = Sequence[Sequence[float]]
"""Per band, 256 values at equally spaced cumulative shares 0..1."""

_BLOCK = 1024
_SHARES = np.linspace(0, 1, QUANTILES)
_MUCH = 49_152
_INNER = np.linspace(0.01, 0.99, 99)


class _Limits(NamedTuple):
    """Beyond what values are far: see `describe_shift`."""

    light: float
    colour: float
    flat: float
    steep: float


_USUAL, _LITTLE = _Limits(0.7, 0.45, 0.65, 1.4), _Limits(2.0, 0.9, 0.0, 1.75)


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


def match_scenes(
    scenes: Sequence[Scene], reference: Quantiles, *, dtype: np.dtype[Any], seed: int = 0
) -> list[Scene]:
    """Return scenes whose values together are distributed as a reference's, read as before.

    All scenes of one data type are moved alike: tiles of one flight hold different classes, and
    each moved by itself would be made to look like all of them. They are read once for their own
    quantiles (see `measure_quantiles`). What is kept are a table per band of 8- and 16-bit scenes
    (at most 65,536 values), or 256 pairs per band of others.

    Args:
        scenes: What to match; where no pixel is valid they come back as they are.
        reference: Quantiles per band, as `Card.histogram` holds them.
        dtype: Data type of the reference; matched scenes have it too.
        seed: Of the sample where values are not counted.

    Raises:
        SceneError: If the bands differ in number, or a file is damaged.
    """
    found: dict[np.dtype[Any], tuple[Transfer, ...] | None] = {}
    for source, alike in group_by_type(scenes).items():
        _check_bands(alike, reference)
        own = measure_quantiles(alike, seed=seed)
        found[source] = None if own is None else _match_bands(own, reference)
    return [_move(scene, found[scene.dtype], dtype=dtype) for scene in scenes]


def group_by_type(scenes: Sequence[Scene]) -> dict[np.dtype[Any], list[Scene]]:
    """Part scenes by data type: those of different types are of different sources."""
    types = dict.fromkeys(scene.dtype for scene in scenes)
    return {dtype: [scene for scene in scenes if scene.dtype == dtype] for dtype in types}


def measure_quantiles(scenes: Sequence[Scene], *, seed: int = 0) -> NDArray[np.float64] | None:
    """Measure 256 quantiles per band `[band, 256]` of valid pixels; None if there are none.

    Those of 8- and 16-bit scenes are exact: one pass counts all values, in memory for one block of
    1,024 pixels a side and 65,536 counts per band. Those of other types come from the sample
    that `measure_radiometry` draws: at most 4,096 pixels of each of 128 blocks.

    Args:
        scenes: At least one, all of one data type and number of bands.
        seed: Of the sample.

    Raises:
        SceneError: If a file is damaged.
    """
    dtype = scenes[0].dtype
    if not is_small(dtype):
        values = sample_values(scenes, seed=seed)
        return np.quantile(values, _SHARES, axis=1).T if values.size else None
    limits = np.iinfo(dtype)
    counts = np.zeros((len(scenes[0].bands), 1 << 8 * dtype.itemsize), dtype=np.int64)
    for scene in scenes:
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
    """Say how values are far from a reference's, or None where they are not.

    Means and standard deviations are compared, without what lies beyond 1 and 99 %; a band's shift
    counts in standard deviations of the reference. Values are far if the median band's shift is
    over 0.7; if a band's differs from that by over 0.45; or if a band's deviation is under 0.65 or
    over 1.4 times the reference's. Little imagery may hold few classes alone: of fewer than
    49,152 values (twelve blocks' sample) the limits are 2, 0.9, 0 and 1.75. All were set on tiles
    of three bands, for which docs/benchmarks.md has the rates.

    Args:
        values: `[band, n]`: any number of single values, or quantiles.
        reference: Quantiles per band.
        bands: Their names.
    """
    limits = _LITTLE if values.shape[1] < _MUCH else _USUAL
    middle, spread = _describe(values)
    usual_middle, usual = _describe(np.asarray(reference))
    shift, contrast = (middle - usual_middle) / usual, spread / usual
    light = np.median(shift)
    colour = shift - light
    odd = int(np.abs(colour).argmax())
    if abs(light) > limits.light:
        return f"it is {_compare(light)}"
    if abs(colour[odd]) > limits.colour:
        return f"band {bands[odd]!r}, beside the others, is {_compare(colour[odd])}"
    for band, ratio in zip(bands, contrast, strict=True):
        if not limits.flat <= ratio <= limits.steep:
            return f"band {band!r} has {ratio:.2g} times the contrast"
    return None


def _compare(shift: float) -> str:
    return f"{'brighter' if shift > 0 else 'darker'} by {abs(shift):.2g} standard deviations"


def _describe(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation `[band]`, without what lies beyond 1 and 99 %."""
    kept = np.quantile(values, _INNER, axis=1)
    spread = kept.std(axis=0)
    return kept.mean(axis=0), np.where(spread > 0, spread, 1.0)


def _check_bands(scenes: Sequence[Scene], reference: Quantiles) -> None:
    for scene in scenes:
        if len(scene.bands) != len(reference):
            raise SceneError(
                f"scene {scene.name!r} has {len(scene.bands)} bands but the reference "
                f"{len(reference)}; give as many of both"
            )


def _match_bands(own: NDArray[np.float64], reference: Quantiles) -> tuple[Transfer, ...]:
    return tuple(
        match_distribution(distribution_of_values(ours), distribution_of_values(np.array(theirs)))
        for ours, theirs in zip(own, reference, strict=True)
    )


def _move(scene: Scene, transfers: tuple[Transfer, ...] | None, *, dtype: np.dtype[Any]) -> Scene:
    if transfers is None:
        return scene
    small = is_small(scene.dtype)
    tables = tuple(make_table(t, source=scene.dtype, dtype=dtype) for t in transfers if small)
    return replace(scene, source=MatchedSource(scene.source, transfers, tables, dtype), dtype=dtype)
