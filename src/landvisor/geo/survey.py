"""Which values scenes hold: ranges, validity and signs of undeclared no-data, from a few blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from landvisor.geo.scene import Scene
from landvisor.geo.tiling import Window, split_blocks

_BLOCK = 512
_BLOCKS = 64  # read in all: seconds, not minutes, on any scene
_NEARLY = 6  # how far lossy JPEG moves black
_AREA = 0.01  # of a block: smaller black areas are shadows


@dataclass(frozen=True, eq=False)
class Survey:
    """What was met in the blocks of a scene that were read.

    Attributes:
        pixels: Pixels that were read.
        valid: Those that hold data.
        black: Valid pixels that are 0 in every band, or nearly so in uint8, in connected areas of
            1 % of a block at least.
        infinite: Valid pixels with an infinite value.
        low: Smallest valid value per band; NaN without one.
        high: Largest valid value per band.
        whole: Every pixel of the scene was read.
    """

    pixels: int
    valid: int
    black: int
    infinite: int
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    whole: bool

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Tell which bands have one value only."""
        return np.asarray(self.low == self.high)


def survey_scene(scene: Scene, *, blocks: int = _BLOCKS) -> Survey:
    """Read evenly spaced blocks of a scene, the last one included, and sum up their values.

    Args:
        scene: Any scene.
        blocks: Most blocks of 512 pixels a side to read.

    Raises:
        SceneError: If the file is damaged there.
    """
    windows = list(split_blocks(scene.shape, _BLOCK))
    chosen = np.linspace(len(windows) - 1, 0, min(blocks, len(windows))).round().astype(int)
    parts = [_survey_block(scene, windows[i]) for i in chosen]
    return _join(parts, whole=len(chosen) == len(windows))


def survey_scenes(scenes: Sequence[Scene]) -> list[Survey]:
    """Survey many scenes, at least one block of each."""
    each = max(1, _BLOCKS // max(1, len(scenes)))
    return [survey_scene(scene, blocks=each) for scene in scenes]


def _survey_block(scene: Scene, window: Window) -> Survey:
    data, valid = scene.read(window)
    found = data[:, valid].astype(np.float64)
    near = _NEARLY if scene.dtype == np.uint8 else 0
    finite = np.isfinite(found)
    empty = np.full(len(data), np.nan)
    some = bool(finite.any(axis=1).all())
    return Survey(
        pixels=valid.size,
        valid=int(valid.sum()),
        black=_count_black(data, valid, near),
        infinite=int((~finite).any(axis=0).sum()),
        low=np.where(finite, found, np.inf).min(axis=1) if some else empty,
        high=np.where(finite, found, -np.inf).max(axis=1) if some else empty,
        whole=False,
    )


def _count_black(data: NDArray[Any], valid: NDArray[np.bool_], near: int) -> int:
    black = valid & (data <= near).all(axis=0) & (data >= -near).all(axis=0)
    areas, _ = ndimage.label(black)
    sizes = np.bincount(areas.ravel())[1:]
    return int(sizes[sizes >= _AREA * black.size].sum())


def _join(parts: Sequence[Survey], *, whole: bool) -> Survey:
    counts: dict[str, Any] = {
        name: sum(getattr(part, name) for part in parts)
        for name in ("pixels", "valid", "black", "infinite")
    }
    low, high = (np.stack([getattr(part, name) for part in parts]) for name in ("low", "high"))
    return Survey(**counts, low=_extreme(low, np.fmin), high=_extreme(high, np.fmax), whole=whole)


def _extreme(values: NDArray[np.float64], better: np.ufunc) -> NDArray[np.float64]:
    return np.asarray(better.reduce(values, axis=0))


def join_surveys(surveys: Sequence[Survey]) -> Survey:
    """Sum up scenes with the same bands."""
    return _join(surveys, whole=all(survey.whole for survey in surveys))
