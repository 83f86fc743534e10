"""How scenes are opened from files: any GDAL raster, a picture, or one file per band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT

from landvisor.errors import DamageError, SceneError
from landvisor.geo.handles import Handles, open_raster
from landvisor.geo.scene import Pixels, Scene, find_valid
from landvisor.geo.tiling import Shape, Window, blocks_under
from landvisor.geo.validity import AreaMask, find_collar, read_area
from landvisor.remote import find_anywhere, find_stem, hide_query, is_remote

PICTURES = {"PNG", "JPEG", "WEBP", "GIF", "BMP"}
_ALPHA_SHARE = 0.95
_PROBE_SIZE = 256


@dataclass(frozen=True)
class Reading:
    """How scenes are read.

    Attributes:
        nodata: Value that means "no data" although the file does not say so.
        nodata_tolerance: With it, `nodata` holds for values this close to it in every band,
            and only where they touch the image's border: black collars in lossy JPEG.
        aoi: Polygon file; pixels whose centre is outside are no data.

    Raises:
        SceneError: If there is a tolerance but no value that it is about.
    """

    nodata: float | None = None
    nodata_tolerance: float = 0.0
    aoi: Path | None = None

    def __post_init__(self) -> None:
        if self.nodata_tolerance and self.nodata is None:
            raise SceneError("--nodata-tolerance was given without --nodata; give its value too")

    @property
    def nodata_anywhere(self) -> float | None:
        """The value that is no data wherever it occurs, not at the border alone."""
        return None if self.nodata_tolerance else self.nodata


def open_scene(path: Path | str, reading: Reading | None = None) -> Scene:
    """Open a raster or picture as a scene; nothing but its header is read.

    Args:
        path: A file or anything else that GDAL opens.
        reading: How no-data is found and which area is used.

    Raises:
        SceneError: If there is no such file, it is not a raster, or it is damaged.
    """
    how = reading or Reading()
    with open_raster(str(path)) as dataset:
        layout, notes = _describe(dataset, how)
        grid = GeoBox(dataset.shape, dataset.transform, dataset.crs)
        names = _band_names(dataset, layout.bands)
        dtype = _common_dtype([dataset.dtypes[band - 1] for band in layout.bands])
    source = RasterSource(str(path), layout, dtype)
    complete = layout.declares_nothing and dtype.kind in "iu"  # else NaN may occur
    name, file = find_stem(path), None if is_remote(path) else Path(path)
    scene = Scene(name, grid, names, dtype, source, file, notes, complete)
    return _restrict(scene, how)


def open_bands(
    paths: Sequence[Path | str],
    *,
    resolution: float | None = None,
    reading: Reading | None = None,
) -> Scene:
    """Open one file per band as one scene, resampled to the finest grid (or a named one).

    Scale and offset that a file declares are applied, which makes the bands float32.

    Args:
        paths: Single-band files in band order; all in one CRS.
        resolution: Pixel size in units of the CRS; the finest file's by default.
        reading: How no-data is found and which area is used.

    Raises:
        SceneError: If files differ in CRS, do not overlap, hold several bands, or cannot be read.
    """
    grids, names, scaled, dtypes = [], [], False, []
    for path in paths:
        with open_raster(str(path)) as dataset:
            if dataset.count != 1:
                raise SceneError(f"{str(path)!r} has {dataset.count} bands; need one per file")
            grids.append(GeoBox(dataset.shape, dataset.transform, dataset.crs))
            names.append(dataset.descriptions[0] or find_stem(path))
            scaled |= dataset.scales[0] != 1.0 or dataset.offsets[0] != 0.0
            dtypes.append(dataset.dtypes[0])
    grid = _common_grid(grids, resolution)
    dtype = np.dtype(np.float32) if scaled else _common_dtype(dtypes)
    how = reading or Reading()
    files = tuple(str(path) for path in paths)
    source = BandFilesSource(files, grid, dtype, how.nodata_anywhere)
    first = Path(paths[0])
    return _restrict(Scene(first.parent.name, grid, tuple(names), dtype, source, first), how)


@dataclass(frozen=True)
class Layout:
    """Which bands of a file are data, and what else says where data is."""

    bands: tuple[int, ...]
    alpha: int | None
    nodata: tuple[float | None, ...]
    mask_band: bool
    given_nodata: float | None = None

    @property
    def declares_nothing(self) -> bool:
        """Tell whether neither the file nor the user says that data may be missing."""
        named = (*self.nodata, self.given_nodata, self.alpha)
        return not self.mask_band and all(value is None for value in named)


@dataclass(frozen=True)
class RasterSource:
    """A raster file as a source, with one open handle per thread."""

    path: str
    layout: Layout
    dtype: np.dtype[Any]
    handles: Handles = field(default_factory=Handles, compare=False, repr=False)

    def __reduce__(self) -> tuple[type[RasterSource], tuple[Any, ...]]:
        return RasterSource, (find_anywhere(self.path), self.layout, self.dtype)

    def read(self, window: Window) -> Pixels:
        """Read a window.

        Raises:
            DamageError: With the first block under it that does not read.
        """
        dataset = self.handles.get(self.path)
        area = rasterio.windows.Window(window.col, window.row, window.cols, window.rows)
        try:
            data = dataset.read(self.layout.bands, window=area).astype(self.dtype, copy=False)
            valid = self._validity(dataset, area, data)
        except RasterioError as error:
            raise DamageError(self._say_where(dataset, window)) from error
        return Pixels(data, valid)

    def block_shape(self) -> Shape:
        """Return the size of the file's own blocks; they begin at its first pixel."""
        rows, cols = self.handles.get(self.path).block_shapes[self.layout.bands[0] - 1]
        return int(rows), int(cols)

    def _say_where(self, dataset: Any, window: Window) -> str:
        """Name the first block of the file under a window that does not read by itself."""
        where = window
        for block in blocks_under(window, block=self.block_shape(), shape=dataset.shape):
            area = rasterio.windows.Window(block.col, block.row, block.cols, block.rows)
            try:
                dataset.read(window=area)
                dataset.read_masks(window=area)
            except RasterioError:
                where = block
                break
        return _say_damage(self.path, f"at {where}")

    def _validity(self, dataset: Any, area: Any, data: NDArray[Any]) -> NDArray[np.bool_]:
        nodata = set(self.layout.nodata)
        valid = find_valid(data, nodata.pop()) if len(nodata) == 1 else self._mixed(data)
        if self.layout.given_nodata is not None:
            valid &= find_valid(data, self.layout.given_nodata)
        if self.layout.alpha is not None:
            valid &= dataset.read(self.layout.alpha, window=area) > 0
        if self.layout.mask_band:
            valid &= dataset.dataset_mask(window=area) > 0
        return valid

    def _mixed(self, data: NDArray[Any]) -> NDArray[np.bool_]:
        each = [find_valid(band[None], n) for band, n in zip(data, self.layout.nodata, strict=True)]
        return np.asarray(np.logical_and.reduce(each))


@dataclass(frozen=True)
class BandFilesSource:
    """One file per band, warped to one grid while reading.

    `nodata` is a raw value, as the files hold it before scale and offset.
    """

    paths: tuple[str, ...]
    grid: GeoBox
    dtype: np.dtype[Any]
    nodata: float | None
    handles: Handles = field(default_factory=Handles, compare=False, repr=False)

    def __reduce__(self) -> tuple[type[BandFilesSource], tuple[Any, ...]]:
        paths = tuple(find_anywhere(path) for path in self.paths)
        return BandFilesSource, (paths, self.grid, self.dtype, self.nodata)

    def read(self, window: Window) -> Pixels:
        """Read a window of every file; no data in one band is no data."""
        parts = [self._read_band(path, window) for path in self.paths]
        data = np.stack([part[0] for part in parts])
        valid = np.logical_and.reduce([part[1] for part in parts])
        return Pixels(data, valid & find_valid(data, None))

    def _read_band(self, path: str, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        dataset = self.handles.get(path)
        area = rasterio.windows.Window(window.col, window.row, window.cols, window.rows)
        try:
            with WarpedVRT(dataset, **self._warp_options(dataset)) as view:
                values, valid = view.read(1, window=area), view.read_masks(1, window=area) > 0
        except RasterioError as error:
            raise DamageError(_say_damage(path, f"where {window} of its scene lie")) from error
        scale, offset = dataset.scales[0], dataset.offsets[0]
        if scale != 1.0 or offset != 0.0:
            values = values * scale + offset
        return values.astype(self.dtype, copy=False), valid

    def _warp_options(self, dataset: Any) -> dict[str, Any]:
        rows, cols = self.grid.shape
        nodata = self.nodata if dataset.nodata is None else dataset.nodata
        known = {"add_alpha": True} if nodata is None else {"src_nodata": nodata, "nodata": nodata}
        return {
            "transform": self.grid.affine,
            "height": rows,
            "width": cols,
            "resampling": Resampling.bilinear,
            **known,
        }


def _say_damage(path: str, where: str) -> str:
    cause = ", or the network failed" if is_remote(path) else ""
    return (
        f"{hide_query(path)!r} cannot be read {where}: it is truncated or damaged there{cause}; "
        "copy it again from its source"
    )


def _describe(dataset: Any, how: Reading) -> tuple[Layout, tuple[str, ...]]:
    alpha, notes = _find_alpha(dataset)
    bands = tuple(band for band in dataset.indexes if band != alpha)
    if not bands:
        raise SceneError(f"{dataset.name!r} has no data band besides alpha")
    nodata = tuple(dataset.nodatavals[band - 1] for band in bands)
    flags = [dataset.mask_flag_enums[band - 1] for band in bands]
    if ColorInterp.palette in dataset.colorinterp:
        note = "the band holds codes of a palette, which are no measurements; expand it to RGB"
        notes = (*notes, note)
    mask_band = any(MaskFlags.per_dataset in f and MaskFlags.alpha not in f for f in flags)
    return Layout(bands, alpha, nodata, mask_band, how.nodata_anywhere), notes


def _find_alpha(dataset: Any) -> tuple[int | None, tuple[str, ...]]:
    """Find the alpha band; one that holds measurements (NAIP's near infrared) is data."""
    tagged = [
        b
        for b, c in zip(dataset.indexes, dataset.colorinterp, strict=True)
        if c == ColorInterp.alpha
    ]
    if not tagged:
        return None, ()
    size = (min(_PROBE_SIZE, dataset.height), min(_PROBE_SIZE, dataset.width))
    try:
        values = dataset.read(tagged[0], out_shape=size)
    except RasterioError as error:
        raise SceneError(f"{dataset.name!r} is truncated or damaged; copy it again") from error
    # Opaque is the largest value that occurs: 255 in uint16 files of older tools, for one.
    opaque = values.max()
    if dataset.driver in PICTURES or np.isin(values, (0, opaque)).mean() >= _ALPHA_SHARE:
        return tagged[0], ()
    note = f"band {tagged[0]} is tagged as alpha but holds measurements; it is used as data"
    return None, (note,)


def _band_names(dataset: Any, bands: tuple[int, ...]) -> tuple[str, ...]:
    colours = {ColorInterp.red: "red", ColorInterp.green: "green", ColorInterp.blue: "blue"}
    names = []
    for band in bands:
        tagged = colours.get(dataset.colorinterp[band - 1])
        names.append(dataset.descriptions[band - 1] or tagged or f"band {band}")
    return tuple(names)


def _common_dtype(names: list[str]) -> np.dtype[Any]:
    if any(name.startswith("complex") for name in names):
        raise SceneError("complex bands found; landvisor reads real-valued rasters")
    return np.dtype(np.result_type(*names))


def _common_grid(grids: list[GeoBox], resolution: float | None) -> GeoBox:
    if len({str(grid.crs) for grid in grids}) > 1:
        raise SceneError("the band files are in different CRSs; warp them to one first")
    finest = min(grids, key=lambda grid: abs(grid.affine.determinant))
    area = finest.extent.geom
    if any(area.intersection(grid.extent.geom).area == 0 for grid in grids):
        raise SceneError("the band files do not overlap; give the bands of one scene")
    return finest.zoom_to(resolution=resolution) if resolution else finest


def _restrict(scene: Scene, how: Reading) -> Scene:
    if how.nodata is not None and how.nodata_tolerance:
        collar = find_collar(scene, value=how.nodata, tolerance=how.nodata_tolerance)
        scene = scene.with_mask(collar)
    if how.aoi is not None:
        area: AreaMask = read_area(how.aoi, scene.grid)
        scene = scene.with_mask(area, f"only the area of {how.aoi.name} is used")
    return scene
