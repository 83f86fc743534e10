"""The synthetic scene, its truth, legend and points, in memory and as files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landvisor.demo.layout import NO_DATA, make_layout
from landvisor.demo.render import PIXEL_M, render
from landvisor.geo.legend import LandClass, Legend, write_legend
from landvisor.geo.tiling import Shape

BANDS = ("blue", "green", "red", "nir")
CRS = "EPSG:32633"
_CORNER = (512_000.0, 5_362_000.0)  # any place in UTM zone 33: the land is invented
_SLIP_SHARE, _SLIP_PX = 0.04, 1.5

# Colours follow the habits of land-cover maps, with lightness apart for colour-blind readers.
_CLASSES = (
    (1, "water", "#2f6fb0"),
    (2, "forest", "#1f5b34"),
    (3, "meadow", "#a6cf6f"),
    (4, "cropland", "#ecc94f"),
    (5, "bare ground", "#a8927d"),
    (6, "built-up", "#c4412f"),
    (7, "wetland", "#7d5ba6"),
)


@dataclass(frozen=True)
class Demo:
    """A synthetic landscape as a sensor saw it, and as it is.

    Attributes:
        scene_data: uint16 `[band, row, col]`: reflectance times 10 000; 0 is no data.
        truth: uint8 `[row, col]`: class ids; 0 is no data.
        legend: The classes.
        grid: CRS, transform and shape of both rasters.
        points: Table of `id`, `class` (its name) and a point each, in the grid's CRS.
    """

    scene_data: NDArray[np.uint16]
    truth: NDArray[np.uint8]
    legend: Legend
    grid: GeoBox
    points: Any


@dataclass(frozen=True)
class DemoPaths:
    """The files of a demo."""

    scene: Path
    points: Path
    truth: Path
    legend: Path


def make_demo(*, size: Shape = (640, 640), seed: int = 0, points_per_class: int = 40) -> Demo:
    """Make a landscape of seven classes; equal arguments give equal values.

    Grassland and green crops, rock and roofs, and shadow and water overlap in colour and
    differ in texture, so that colour alone cannot map the scene. Wetland is rare.

    Args:
        size: (rows, cols) of 2 m pixels, 200 x 200 or more.
        seed: Which landscape.
        points_per_class: Places drawn at random from each class. One in 25 slipped by a pixel
            or two, as clicks do, while keeping its class.

    Example:
        >>> make_demo(size=(256, 256)).scene_data.shape
        (4, 256, 256)
    """
    land, light, clicks = (np.random.default_rng((seed, part)) for part in range(3))
    layout = make_layout(size, land)
    data = render(layout, light)
    legend = Legend(tuple(LandClass(*entry) for entry in _CLASSES))
    corner = Affine.translation(*_CORNER) * Affine.scale(PIXEL_M, -PIXEL_M)
    grid = GeoBox(size, corner, CRS)
    points = _click(layout.truth, clicks, legend=legend, grid=grid, count=points_per_class)
    return Demo(data, layout.truth, legend, grid, points)


def write_demo(folder: Path | str, *, size: Shape = (640, 640), seed: int = 0) -> DemoPaths:
    """Write a demo as `scene.tif`, `points.gpkg`, `truth.tif` and `legend.toml`.

    Files of these names in the folder are replaced; the folder is made where it is missing.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    names = ("scene.tif", "points.gpkg", "truth.tif", "legend.toml")
    paths = DemoPaths(*(target / name for name in names))
    demo = make_demo(size=size, seed=seed)
    _write_raster(demo.scene_data, paths.scene, grid=demo.grid, bands=BANDS)
    _write_raster(
        demo.truth[None], paths.truth, grid=demo.grid, bands=("class",), legend=demo.legend
    )
    paths.points.unlink(missing_ok=True)
    demo.points.to_file(paths.points, layer="points", driver="GPKG", engine="pyogrio")
    write_legend(demo.legend, paths.legend)
    return paths


def _click(
    truth: NDArray[np.uint8],
    rng: np.random.Generator,
    *,
    legend: Legend,
    grid: GeoBox,
    count: int,
) -> Any:
    coords, names = [], []
    for land_class in legend.classes:
        candidates = np.argwhere(truth == land_class.id)
        chosen = rng.choice(candidates, size=min(count, len(candidates)), replace=False)
        coords.append(chosen + _shake(len(chosen), rng))
        names += [land_class.name] * len(chosen)
    order = rng.permutation(len(names))
    rows, cols = np.clip(np.concatenate(coords)[order].T, -0.5, np.array([grid.shape]).T - 0.51)
    x, y = grid.affine * (cols + 0.5, rows + 0.5)  # integers are pixel centres
    table = {"id": np.arange(1, len(names) + 1), "class": np.array(names, dtype=object)[order]}
    return geopandas.GeoDataFrame(table, geometry=geopandas.points_from_xy(x, y), crs=CRS)


def _shake(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    within = rng.uniform(-0.45, 0.45, (count, 2))
    slipped = rng.random((count, 1)) < _SLIP_SHARE
    return within + np.where(slipped, rng.normal(0.0, _SLIP_PX, (count, 2)), 0.0)


def _write_raster(
    data: NDArray[Any],
    path: Path,
    *,
    grid: GeoBox,
    bands: tuple[str, ...],
    legend: Legend | None = None,
) -> None:
    rows, cols = grid.shape
    layout = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    profile = {"count": len(data), "dtype": data.dtype, "nodata": NO_DATA, **layout}
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=rows,
        width=cols,
        crs=CRS,
        transform=grid.affine,
        predictor=2,
        **profile,
    ) as target:
        target.write(data)
        target.descriptions = bands
        if legend is not None:
            colours = {c.id: (*c.rgb, 255) for c in legend.classes}
            target.write_colormap(1, {NO_DATA: (0, 0, 0, 0), **colours})
