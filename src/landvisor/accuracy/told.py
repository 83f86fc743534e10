"""What the rasters beside a map say of its probabilities, at places whose class is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landvisor.accuracy.calibration import Calibration, measure_calibration
from landvisor.accuracy.uncertainty import measure_all
from landvisor.geo.bundle import map_files
from landvisor.geo.coding import EXTRA, ONE
from landvisor.geo.legend import Legend
from landvisor.geo.rasters import open_scene

_TIE = 1e-3  # of a code: the map knows which of two classes with the same byte was the larger
_DISAGREEMENT = EXTRA - 1  # the band after those of one model: the class has another raster


@dataclass(frozen=True, eq=False)
class Known:
    """Pixels of one map whose class is known.

    Attributes:
        path: The class raster.
        pixels: `[n, 2]`: (row, col).
        label: `[n]`: class ids; ignored and unknown ones are skipped.
        told: `[n]`: class ids of the map.
    """

    path: Path
    pixels: NDArray[np.int64]
    label: NDArray[np.int64]
    told: NDArray[np.int64]


def calibrate_map(known: Sequence[Known], *, legend: Legend, seed: int = 0) -> Calibration | None:
    """Compare a map's probabilities with known classes.

    Args:
        known: Pixels of each map.
        legend: Of the maps.
        seed: See `measure_calibration`.

    Returns:
        None where a map has no raster of probabilities of these classes beside it, or no pixel
        with both.
    """
    parts = [_read(part, legend) for part in known if len(part.label)]
    found = [part for part in parts if part is not None]
    if len(found) < len(parts) or not any(len(part.position) for part in found):
        return None
    shares = np.concatenate([part.shares for part in found])
    position = np.concatenate([part.position for part in found])
    spreads = [part.disagreement for part in found if part.disagreement is not None]
    spread = np.concatenate(spreads) if len(spreads) == len(found) else None
    return measure_calibration(shares, position, uncertainty=measure_all(shares, spread), seed=seed)


@dataclass(frozen=True, eq=False)
class _Told:
    shares: NDArray[np.float64]
    position: NDArray[np.int64]
    disagreement: NDArray[np.float64] | None


def _read(known: Known, legend: Legend) -> _Told | None:
    files = map_files(known.path.parent, known.path.stem)
    if not files.probabilities.exists():
        return None
    scene = open_scene(files.probabilities)
    if scene.bands != legend.names:
        return None
    position = legend.to_index(legend.resolve(known.label))
    told = scene.sample(known.pixels)
    used = told.valid & (position >= 0)
    shares = told.data[:, used].T.astype(np.float64)
    best = legend.to_index(known.told[used])
    shares[np.arange(len(best)), best] += np.where(best >= 0, _TIE, 0)
    spread = None
    if files.uncertainty.exists():
        unsure = open_scene(files.uncertainty)
        if len(unsure.bands) > _DISAGREEMENT:
            spread = unsure.sample(known.pixels[used]).data[_DISAGREEMENT] / ONE
    # a byte each: they sum to one but for rounding
    return _Told(shares / shares.sum(axis=1, keepdims=True), position[used], spread)
