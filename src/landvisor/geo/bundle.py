"""The files of a map: classes, probabilities and uncertainty, written by window."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from scipy.special import xlogy

from landvisor.errors import OutputError
from landvisor.files import writing
from landvisor.geo.checked import CheckedRaster, Layout
from landvisor.geo.legend import Legend
from landvisor.geo.styles import (
    LEGEND_TAG,
    color_table,
    legend_tag,
    write_category_names,
    write_qml,
)
from landvisor.geo.tiling import Window

ONE = 254
"""Code of the share 1.0 in probability and uncertainty rasters; 0 is the share 0."""

UNKNOWN = 255
"""Code of no data in probability and uncertainty rasters."""

# Blending and float32 may leave a probability this far outside 0..1.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class MapFiles:
    """Where the files of one map lie."""

    classes: Path
    probabilities: Path
    uncertainty: Path
    style: Path
    names: Path


def map_files(folder: Path, stem: str = "map") -> MapFiles:
    """Name the files of a map; only the stem "map" leaves it out of its companions' names."""
    lead = "" if stem == "map" else f"{stem}_"
    return MapFiles(
        classes=folder / f"{stem}.tif",
        probabilities=folder / f"{lead}probabilities.tif",
        uncertainty=folder / f"{lead}uncertainty.tif",
        style=folder / f"{stem}.qml",
        names=folder / f"{stem}.tif.aux.xml",
    )


class MapWriter:
    """A context that takes predicted windows and leaves all files of a map, or none.

    Windows may come in any order and size, but must cover each pixel exactly once. On leaving,
    each raster becomes a COG and every window is read back and compared.

    Args:
        folder: Where the files go; publish it with `files.publish_directory`.
        grid: The scene's grid; without a CRS the map is plain pixel space.
        legend: Its active classes, in order, are the classes of the probabilities.
        stem: Name of the map; see `map_files`.

    Raises:
        OutputError: If a window is not a prediction of this legend, a pixel is missing or
            written twice, the disk is full, or a file reads back other values.
    """

    def __init__(self, folder: Path, grid: GeoBox, *, legend: Legend, stem: str = "map") -> None:
        self.files = map_files(folder, stem)
        self._legend = legend
        self._stack = ExitStack()
        # The map itself comes first, so that it is finished last.
        self._classes = CheckedRaster(self.files.classes, grid, layout=class_layout(legend))
        self._probabilities = CheckedRaster(
            self.files.probabilities, grid, layout=_share_layout(legend.names)
        )
        self._uncertainty = CheckedRaster(
            self.files.uncertainty,
            grid,
            layout=_share_layout(("normalised entropy", "one minus margin of two best")),
        )

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for raster in (self._classes, self._probabilities, self._uncertainty):
                stack.enter_context(raster)
            self._stack = stack.pop_all()
        return self

    def write(
        self,
        window: Window,
        *,
        classes: NDArray[np.uint8],
        probabilities: NDArray[np.float32],
        valid: NDArray[np.bool_],
    ) -> None:
        """Write one window of a prediction.

        Args:
            window: Where it lies on the grid.
            classes: `[row, col]` class ids; what it holds at invalid pixels is ignored.
            probabilities: `[class, row, col]` in the order of `legend.ids`.
            valid: `[row, col]`; False is no data in all files.
        """
        self._check(window, classes=classes, probabilities=probabilities, valid=valid)
        shares = np.where(valid, np.clip(probabilities, 0, 1), 0)
        codes = np.where(valid, classes, self._legend.nodata).astype(np.uint8)
        self._classes.write(window, codes[None])
        self._probabilities.write(window, encode_shares(shares, valid=valid))
        self._uncertainty.write(window, encode_shares(measure_uncertainty(shares), valid=valid))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._stack.__exit__(kind, error, trace)
            if error is None:
                write_qml(self.files.style, legend=self._legend)
                write_category_names(self.files.names, legend=self._legend)
        except BaseException:
            self._remove()
            raise

    def _check(
        self,
        window: Window,
        *,
        classes: NDArray[np.uint8],
        probabilities: NDArray[np.float32],
        valid: NDArray[np.bool_],
    ) -> None:
        wanted = (len(self._legend.ids), *window.shape)
        if probabilities.shape != wanted or not classes.shape == valid.shape == window.shape:
            raise OutputError(
                f"a window of {wanted} (class, row, col) is to be written, but the model gave "
                f"{probabilities.shape}; predict with the legend of the model"
            )
        if not np.isin(classes[valid], self._legend.ids).all():
            raise OutputError("the model gave a class its legend lacks; fit the model again")
        found = probabilities[:, valid]
        # Written so that NaN fails too.
        if not ((found >= -_ROUNDING) & (found <= 1 + _ROUNDING)).all():
            raise OutputError(
                f"a probability outside 0 to 1 was found near row {window.row}, column "
                f"{window.col}; look for damaged pixels there, or fit the model again"
            )

    def _remove(self) -> None:
        for part in fields(self.files):
            path: Path = getattr(self.files, part.name)
            with writing(path):
                path.unlink(missing_ok=True)


def encode_shares(shares: NDArray[np.floating], *, valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Code shares of 0 to 1 as 0 to 254, and no data as 255.

    Args:
        shares: `[..., row, col]`, finite wherever `valid`.
        valid: `[row, col]`.
    """
    codes = np.rint(np.where(valid, shares, 0) * ONE)
    return np.where(valid, codes, UNKNOWN).astype(np.uint8)


def measure_uncertainty(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """Measure how undecided a prediction is: entropy over its maximum, and one minus margin.

    Args:
        probabilities: `[class, row, col]`, 0 to 1.

    Returns:
        `[2, row, col]`, 0 (sure) to 1; all 0 where there is only one class to choose.

    References:
        Shannon (1948), section 6, doi:10.1002/j.1538-7305.1948.tb01338.x, divided by log k.
        Scheffer, Decomain, Wrobel (2001), "Active hidden Markov models", section 3: margin of
        the two most probable classes, doi:10.1007/3-540-44816-0_31.
    """
    count = len(probabilities)
    if count == 1:
        return np.zeros((2, *probabilities.shape[1:]), dtype=np.float32)
    entropy = -xlogy(probabilities, probabilities).sum(axis=0) / np.log(count)
    second, best = np.partition(probabilities, count - 2, axis=0)[-2:]
    measures = np.stack([entropy, 1 - (best - second)])
    return np.asarray(np.clip(measures, 0, 1), dtype=np.float32)


def class_layout(legend: Legend) -> Layout:
    """Return what a raster of classes holds: its band, no data, colours, and legend in a tag."""
    return Layout(
        bands=("land cover class",),
        nodata=legend.nodata,
        overviews="MODE",
        colors=color_table(legend),
        tags={LEGEND_TAG: legend_tag(legend)},
    )


def _share_layout(bands: tuple[str, ...]) -> Layout:
    return Layout(bands=bands, nodata=UNKNOWN, overviews="AVERAGE", scale=1 / ONE)
