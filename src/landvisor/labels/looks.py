"""What an image and its mask look like in few numbers, so that thousands can be compared."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import LandvisorError, SceneError
from landvisor.geo.collection import Item
from landvisor.geo.legend import UNLABELLED, Legend
from landvisor.geo.rasters import Reading
from landvisor.geo.scene import Pixels, Scene
from landvisor.geo.tiling import Window
from landvisor.parallel import map_ordered

SIZE = 64
_WHOLE = 2048 * 2048  # pixels of a scene that is read whole; of a larger one a part tells enough
_PARTS, _PART = 16, 64
_TAIL = 1024  # bytes; some writers append a little after the last chunk of a PNG


@dataclass(frozen=True, eq=False)
class MaskLook:
    """What tells one mask from another.

    Attributes:
        digest: Equal for equal masks only.
        classes: Classes in it.
        corners: Where lines between classes bend or meet; a straight line has none, a rectangle
            inside the image four, a shape drawn by hand dozens.
    """

    digest: str
    classes: int
    corners: int


@dataclass(frozen=True, eq=False)
class Look:
    """What an image looks like, whatever its size.

    Attributes:
        name: The scene's name.
        mean: float32 `[band, 64, 64]`: means of the valid pixels of evenly spaced cells; NaN
            where a cell has none.
        deviation: Standard deviations within the same cells.
        mask: What its mask looks like; None without one.
        place: Equal for scenes on one grid of the Earth; None without a CRS.
    """

    name: str
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    mask: MaskLook | None = None
    place: str | None = None

    @property
    def flat(self) -> NDArray[np.bool_]:
        """Tell which bands have one value only; none of them without data."""
        if not self.seen.any():
            return np.zeros(len(self.mean), dtype=bool)
        level = np.ptp(self.mean[:, self.seen], axis=1) == 0
        return np.asarray(level & (self.deviation[:, self.seen] == 0).all(axis=1))

    @property
    def constant(self) -> bool:
        """Tell whether there is nothing to compare: no data, or the same in every cell."""
        cells = self.mean[:, self.seen]
        return not cells.size or bool((np.ptp(cells, axis=1) == 0).all())

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Tell which cells `[64, 64]` hold data."""
        return np.asarray(~np.isnan(self.mean[0]))


def read_look(item: Item, *, legend: Legend | None, reading: Reading | None = None) -> Look:
    """Open an image and its mask, and sum up both.

    Args:
        item: The image and its mask, if any.
        legend: Resolves the mask's values; without it each value is a class.
        reading: How the image is read.

    Raises:
        CollectionError: If the mask does not fit the image.
        SceneError: If a file cannot be opened or is damaged.
    """
    scene = item.open(reading)
    mask = look_at_mask(item.read_mask(scene), legend) if item.mask is not None else None
    return look_at(scene, mask)


def read_looks(
    items: Sequence[Item], *, legend: Legend | None, reading: Reading | None = None
) -> list[Look | LandvisorError]:
    """Sum up many images and masks; an error stands where one cannot be read."""

    def attempt(item: Item) -> Look | LandvisorError:
        try:
            return read_look(item, legend=legend, reading=reading)
        except LandvisorError as error:
            return error

    return map_ordered(attempt, items)


def look_at(scene: Scene, mask: MaskLook | None = None) -> Look:
    """Sum up a scene in 64 x 64 cells; of a large one, 16 x 16 windows are read.

    Raises:
        SceneError: If the file is truncated, or damaged where it is read.
    """
    _refuse_truncated(scene.path)
    data, valid = _read_parts(scene)
    rows, cols = (np.arange(SIZE) * side // SIZE for side in valid.shape)
    count = _sum_cells(valid.astype(np.float32), rows, cols)
    known = np.where(count > 0, count, np.nan)
    means, deviations = [], []
    for band in data:
        center = np.float32(np.mean(band, where=valid, dtype=np.float64) if valid.any() else 0)
        values = np.where(valid, band, center).astype(np.float32) - center
        mean = _sum_cells(values, rows, cols) / known
        square = _sum_cells(np.square(values), rows, cols) / known
        means.append(mean + center)
        deviations.append(np.sqrt(np.maximum(square - np.square(mean), 0)))
    place = f"{scene.grid.crs} {scene.grid.affine}" if scene.georeferenced else None
    return Look(scene.name, _stack(means), _stack(deviations), mask, place)


def look_at_mask(mask: NDArray[np.integer], legend: Legend | None) -> MaskLook:
    """Sum up a mask of class ids `[row, col]`.

    Corners at unlabelled pixels do not count: they show the footprint of the data, which many
    images may share.
    """
    labels = np.asarray(mask) if legend is None else legend.resolve(np.asarray(mask))
    small = np.ascontiguousarray(labels, dtype=np.int32)
    digest = hashlib.sha256(repr(small.shape).encode() + small.tobytes()).hexdigest()
    classes = int((np.unique(small) != UNLABELLED).sum())
    return MaskLook(digest, classes, _count_corners(small) if classes > 1 else 0)


def _count_corners(labels: NDArray[np.int32]) -> int:
    """Count 2 x 2 pixels that are neither of one class nor parted by a straight line."""
    above, below = labels[:-1], labels[1:]
    a, b, c, d = above[:, :-1], above[:, 1:], below[:, :-1], below[:, 1:]
    straight = ((a == b) & (c == d)) | ((a == c) & (b == d))
    labelled = (a != UNLABELLED) & (b != UNLABELLED) & (c != UNLABELLED) & (d != UNLABELLED)
    return int((labelled & ~straight).sum())


def _refuse_truncated(path: Path | None) -> None:
    """Refuse a PNG without its last chunk: GDAL fills up what is missing and says nothing."""
    if path is None or path.suffix.lower() != ".png" or not path.is_file():
        return
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _TAIL))
        if b"IEND" not in stream.read():
            raise SceneError(f"{str(path)!r} is truncated; copy it again from its source")


def _read_parts(scene: Scene) -> Pixels:
    """Read a scene whole, or windows at even distances put side by side."""
    if scene.shape[0] * scene.shape[1] <= _WHOLE:
        found = scene.read()
        return Pixels(found.data, found.finite)
    rows, cols = (_starts(side) for side in scene.shape)
    height, width = (min(_PART, side) for side in scene.shape)
    stripes = [
        [scene.read(Window(int(row), int(col), height, width)) for col in cols] for row in rows
    ]
    data = np.block([[part.data for part in stripe] for stripe in stripes])
    return Pixels(data, np.block([[part.finite for part in stripe] for stripe in stripes]))


def _starts(side: int) -> NDArray[np.int64]:
    count = min(_PARTS, -(-side // _PART))
    return np.linspace(0, side - min(_PART, side), count).astype(np.int64)


def _sum_cells(
    values: NDArray[np.float32], rows: NDArray[np.int64], cols: NDArray[np.int64]
) -> NDArray[np.float32]:
    # where a side has fewer pixels than cells, reduceat repeats the pixel
    return np.asarray(np.add.reduceat(np.add.reduceat(values, rows, axis=0), cols, axis=1))


def _stack(bands: list[NDArray[Any]]) -> NDArray[np.float32]:
    return np.stack(bands).astype(np.float32)
