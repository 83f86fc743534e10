"""The files of a map: classes, probabilities and uncertainty, written by window."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landvisor.geo.checked import CheckedRaster, Layout
from landvisor.geo.coding import ONE, UNKNOWN, count_extra
from landvisor.geo.legend import Legend
from landvisor.geo.styles import (
    LEGEND_TAG,
    color_table,
    legend_tag,
    write_category_names,
    write_qml,
)
from landvisor.geo.tiling import Window

ReadBlocks = Callable[[slice], Iterable[tuple[Window, NDArray[np.uint8]]]]
"""Gives, of all blocks of a map, where each lies and the asked planes `[plane, row, col]`."""


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


@dataclass(frozen=True)
class MapRaster:
    """One raster of a map, and which planes of `encode_map` are its bands."""

    path: Path
    planes: slice
    layout: Layout


def list_rasters(
    files: MapFiles, legend: Legend, *, disagreement: bool = False
) -> tuple[MapRaster, ...]:
    """List the rasters of a map; the map itself comes last, so that it is finished last.

    Args:
        files: Where they lie.
        legend: Its active classes are those of the probabilities.
        disagreement: Several models made it, and how much they disagree is known.
    """
    extra = count_extra(disagreement=disagreement)
    measures = ("normalised entropy", "one minus margin of two best", "disagreement of models")
    return (
        MapRaster(files.probabilities, slice(extra, None), _share_layout(legend.names)),
        MapRaster(files.uncertainty, slice(1, extra), _share_layout(measures[: extra - 1])),
        MapRaster(files.classes, slice(0, 1), class_layout(legend)),
    )


def write_map(
    files: MapFiles,
    grid: GeoBox,
    *,
    legend: Legend,
    read_blocks: ReadBlocks,
    done: Container[Path] = (),
    disagreement: bool = False,
) -> Iterator[Path]:
    """Write the files of a map from its blocks, one after the other.

    Each raster becomes a COG, of which every block is read back and compared.

    Args:
        files: Where they go.
        grid: The scene's grid; without a CRS the map is plain pixel space.
        legend: Its active classes, in order, are the classes of the probabilities.
        read_blocks: Asked once for each raster; blocks may come in any order and size, but must
            cover each pixel exactly once.
        done: Rasters that need not be written again.
        disagreement: Blocks hold how much several models disagree.

    Yields:
        Each raster, once it is finished.

    Raises:
        OutputError: If a pixel is missing or written twice, the disk is full, or a file reads back
            other values.
    """
    for part in list_rasters(files, legend, disagreement=disagreement):
        if part.path in done:
            continue
        with CheckedRaster(part.path, grid, layout=part.layout) as raster:
            for window, planes in read_blocks(part.planes):
                raster.write(window, planes)
        yield part.path
    write_qml(files.style, legend=legend)
    write_category_names(files.names, legend=legend)


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
    return Layout(bands=bands, nodata=UNKNOWN, overviews="AVERAGE", scale=1 / ONE, smooth=True)
