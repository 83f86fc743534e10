"""A class map as polygons: one feature per patch, streamed into a vector file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyogrio
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError, GeometryError

from landvisor.errors import OutputError, SceneError
from landvisor.files import check_output, publish_file, writing
from landvisor.geo.class_map import ClassMap, open_class_map
from landvisor.geo.legend import Legend
from landvisor.geo.patches import Outlines, Threshold, trace_patches
from landvisor.geo.pixel_areas import PixelAreas, find_pixel_areas
from landvisor.geo.vectorize_style import add_style

LAYER = "patches"
DRIVERS = {".gpkg": "GPKG", ".fgb": "FlatGeobuf"}
_FAILURES = (
    DataLayerError,
    DataSourceError,
    FeatureError,
    FieldError,
    GeometryError,
    pa.ArrowException,
)


@dataclass(frozen=True)
class Vectorized:
    """What a vector file of a map holds.

    Attributes:
        path: The file.
        polygons: How many there are.
        left_out: How many patches were too small.
        method: How `area_m2` is known; None where it is not.
    """

    path: Path
    polygons: int
    left_out: int
    method: str | None


def vectorize(
    source: Path | str,
    out: Path | str,
    *,
    legend: Legend | None = None,
    min_pixels: int = 0,
    min_area: float = 0.0,
    overwrite: bool = False,
) -> Vectorized:
    """Write the patches of a class map as polygons; a GeoPackage holds their QGIS style too.

    A patch is what hangs together by the sides of its pixels; patches that touch in a corner are
    two. No data is in no polygon. The columns are `class_id, class_name, color, pixels` and, where
    a CRS is known, `area_m2` on the ellipsoid; without one, y is minus the row, as QGIS shows
    pictures. Memory holds a strip of the map and the patches that are not finished.

    Args:
        source: A class raster, or a folder that `map` or `predict` made.
        out: GeoPackage (`.gpkg`) or FlatGeobuf (`.fgb`) to write.
        legend: Instead of the one in the map.
        min_pixels: Patches of fewer pixels are left out; what they covered is in no polygon.
        min_area: Patches under so many square metres are left out.
        overwrite: Replace an earlier file.

    Raises:
        SceneError: If the map cannot be read or has no CRS to measure `min_area` in.
        OutputError: If the file cannot be written.
    """
    target = Path(out)
    if target.suffix.lower() not in DRIVERS:
        raise OutputError(
            f"--out {str(out)!r} is not named as polygons are written; end it in "
            f"{' or '.join(DRIVERS)}"
        )
    read = open_class_map(source, legend)
    check_output(target, overwrite=overwrite, kind="file", inputs=[source, read.path])
    stream = _Stream(read, Threshold(min_pixels, min_area))
    if min_area and stream.ground is None:
        raise SceneError(f"{str(read.path)!r} has no CRS, so no square metres; use --min-pixels")
    with publish_file(target, overwrite=overwrite) as whole:
        _write(stream, whole)
    method = stream.ground.method if stream.ground else None
    return Vectorized(target, stream.polygons, stream.left_out, method)


@dataclass
class _Stream:
    """Batches of features, and what there is to tell of them once they ran through."""

    map: ClassMap
    smallest: Threshold
    polygons: int = 0
    left_out: int = 0
    failure: BaseException | None = None

    @cached_property
    def ground(self) -> PixelAreas | None:
        return find_pixel_areas(self.map.scene.grid)

    @cached_property
    def schema(self) -> pa.Schema:
        columns = {
            "class_id": pa.int16(), "class_name": pa.string(), "color": pa.string(),
            "pixels": pa.int64(), "area_m2": pa.float64(), "geometry": pa.large_binary(),
        }  # fmt: skip
        if self.ground is None:
            del columns["area_m2"]
        return pa.schema(columns)

    def batches(self) -> Iterator[pa.RecordBatch]:
        affine, names = _placement(self.map), _table(self.map.legend)
        try:
            for outlines in trace_patches(
                self._strips(), self.map.scene.shape[1], smallest=self.smallest
            ):
                self.polygons += len(outlines)
                self.left_out += outlines.left_out
                columns = {
                    **_describe(outlines, names),
                    "area_m2": outlines.area,
                    "geometry": shapely.to_wkb(_polygons(outlines, affine)),
                }
                used = [pa.array(columns[part.name], part.type) for part in self.schema]
                yield pa.record_batch(used, schema=self.schema)
        except BaseException as error:
            self.failure = error  # Arrow makes another one of it, of a stop by Ctrl-C too
            raise

    def _strips(self) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float64]]]:
        for window in self.map.strips():
            areas = self.ground.read(window) if self.ground else np.broadcast_to(0.0, window.shape)
            yield self.map.read(window), areas


def _write(stream: _Stream, path: Path) -> None:
    reader = pa.RecordBatchReader.from_batches(stream.schema, stream.batches())
    crs = stream.map.scene.grid.crs
    with writing(path), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")
        try:
            pyogrio.write_arrow(
                reader, path, layer=LAYER, driver=DRIVERS[path.suffix.lower()],
                geometry_name="geometry", geometry_type="Polygon",
                crs=None if crs is None else crs.to_wkt(),
            )  # fmt: skip
            if path.suffix.lower() == ".gpkg":
                add_style(path, layer=LAYER, legend=stream.map.legend)
            count = pyogrio.read_info(path, layer=LAYER, force_feature_count=True)["features"]
        except _FAILURES as error:
            if stream.failure is not None:
                raise stream.failure from None
            raise OSError(str(error)) from error
        if count != stream.polygons:
            raise OSError(f"it holds {count} of {stream.polygons} polygons")


def _placement(source: ClassMap) -> Affine:
    """Return the affine of pixel corners; a picture hangs down from its first row."""
    grid = source.scene.grid
    return Affine.scale(1, -1) if grid.crs is None and grid.affine.is_identity else grid.affine


def _polygons(outlines: Outlines, affine: Affine) -> NDArray[Any]:
    rows, cols = outlines.corners.T.astype(np.float64)
    places = np.column_stack(
        [affine.a * cols + affine.b * rows + affine.c, affine.d * cols + affine.e * rows + affine.f]
    )
    polygons: NDArray[Any] = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, places, (outlines.ring_ends, outlines.patch_ends)
    )
    # south up: what was anticlockwise is not any more
    return shapely.reverse(polygons) if affine.determinant > 0 else polygons


def _table(legend: Legend) -> dict[str, NDArray[Any]]:
    """Return names and colours by class id."""
    names, colors = np.full(256, "", dtype=object), np.full(256, "", dtype=object)
    for c in legend.active:
        names[c.id], colors[c.id] = c.name, c.color
    return {"class_name": names, "color": colors}


def _describe(outlines: Outlines, table: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    of_class = {name: values[outlines.code] for name, values in table.items()}
    return {"class_id": outlines.code, **of_class, "pixels": outlines.pixels}
