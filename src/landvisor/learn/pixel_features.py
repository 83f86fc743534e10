"""Which numbers describe a pixel to a classifier, and the table of them at labelled places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.geo.filterbank import filter_bank, filter_bank_names
from landvisor.geo.places import Places
from landvisor.geo.scene import Scene
from landvisor.geo.tiling import Window, cover, most_interior
from landvisor.learn.encoder_features import FeatureMap, FrozenEncoder, sample_maps
from landvisor.recipe import PredictSpec

_Key = tuple[int, float, float]  # scene, row, col
STRIP_BYTES = 32_000_000
"""Most memory that the features of one strip of a window take."""


@dataclass(frozen=True)
class WindowFeatures:
    """The features of one window, not yet spread over its pixels.

    Attributes:
        bank: float32 `[feature, row, col]`.
        maps: Feature maps of an encoder; empty without one.
    """

    bank: NDArray[np.float32]
    maps: Sequence[FeatureMap] = ()

    @property
    def count(self) -> int:
        """Features of a pixel."""
        return len(self.bank) + sum(found.channels for found in self.maps)

    def sample(self, coords: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return `[n, feature]` at places (row, col) of the window.

        The bank is read at the pixel that holds a place, since a bilinear neighbour could be
        without data there; the smooth maps of an encoder are read in between.
        """
        pixel = np.floor(coords + 0.5).astype(np.int64)
        near = self.bank[:, pixel[:, 0], pixel[:, 1]].T
        return np.concatenate([near, sample_maps(self.maps, coords)], axis=1)

    def strips(self, stride: int = 1) -> Iterator[NDArray[np.float32]]:
        """Yield the features of all nodes, some rows at a time, as `[row * col, feature]`.

        A strip has at least one row and else at most `STRIP_BYTES` of features.

        Args:
            stride: Pixels between nodes, see `landvisor.learn.nodes`; 1 makes all pixels nodes.
        """
        rows, cols = (range(0, size, stride) for size in self.bank.shape[1:])
        step = max(1, STRIP_BYTES // (4 * len(cols) * self.count))
        for first in range(0, len(rows), step):
            yield self._spread(rows[first : first + step], cols)

    def _spread(self, rows: range, cols: range) -> NDArray[np.float32]:
        cube = np.empty((len(rows), len(cols), self.count), dtype=np.float32)
        begin = len(self.bank)
        bank = self.bank[:, rows.start : rows.stop : rows.step, :: cols.step]
        cube[..., :begin] = np.moveaxis(bank, 0, -1)
        for found in self.maps:
            end = begin + found.channels
            found.read(rows, cols, into=cube[..., begin:end])
            begin = end
        return cube.reshape(-1, self.count)


@dataclass(frozen=True)
class FeatureReader:
    """How windows are described: by the filter bank, and by an encoder where there is one.

    Attributes:
        sigmas: Widths of the filter bank; none leaves the values of the bands alone.
        encoder: A frozen encoder, or None.
    """

    sigmas: tuple[float, ...]
    encoder: FrozenEncoder | None = None

    def describe(self, data: NDArray[Any], valid: NDArray[np.bool_]) -> WindowFeatures:
        """Compute the features of a window `[band, row, col]`."""
        bank = filter_bank(data, valid, sigmas=self.sigmas)
        return WindowFeatures(bank, self.encoder.encode(data, valid) if self.encoder else ())

    def names(self, bands: tuple[str, ...]) -> tuple[str, ...]:
        """Name the features in order."""
        return filter_bank_names(bands, self.sigmas) + (
            self.encoder.names() if self.encoder else ()
        )


@dataclass(frozen=True)
class FeatureTable:
    """Features at labelled places, each computed once however often it is asked for.

    Attributes:
        scenes: What `Places.scene` counts.
        reader: How windows are described.
        spec: Its windows are those of prediction, so a place sees here what it will see there.
    """

    scenes: tuple[Scene, ...]
    reader: FeatureReader
    spec: PredictSpec
    _known: dict[_Key, NDArray[np.float32]] = field(default_factory=dict)

    def rows(self, places: Places) -> NDArray[np.float32]:
        """Return `[n, feature]`; only windows with a place that is new are read."""
        located = zip(places.scene.tolist(), places.coords.tolist(), strict=True)
        keys: list[_Key] = [(scene, row, col) for scene, (row, col) in located]
        fresh = np.array([key not in self._known for key in keys], dtype=bool)
        for position in np.unique(places.scene[fresh]):
            here = np.flatnonzero(fresh & (places.scene == position))
            self._read(int(position), places.coords[here], [keys[i] for i in here])
        return np.stack([self._known[key] for key in keys])

    def _read(
        self,
        position: int,
        coords: NDArray[np.float64],
        keys: list[_Key],
    ) -> None:
        scene = self.scenes[position]
        windows = cover(scene.shape, size=self.spec.window, overlap=self.spec.shared)
        found = most_interior(coords, windows)
        for index in np.unique(found):
            inside = np.flatnonzero(found == index)
            rows = self._read_window(scene, windows[index], coords[inside])
            self._known.update(zip((keys[i] for i in inside), rows, strict=True))

    def _read_window(
        self, scene: Scene, window: Window, coords: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        features = self.reader.describe(*scene.read(window))
        return features.sample(coords - np.array([window.row, window.col]))
