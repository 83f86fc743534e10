"""How the maps of many scenes open as one layer: a GDAL virtual raster per CRS and pixel size."""

from __future__ import annotations

import logging
import math
import os
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio
from affine import Affine
from rasterio.crs import CRS

from landvisor.files import writing
from landvisor.geo.legend import Legend
from landvisor.geo.styles import (
    LEGEND_TAG,
    color_table,
    legend_tag,
    pixel_space_allowed,
    read_map_legend,
)
from landvisor.geo.tiling import Shape
from landvisor.phrases import say_count

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Map:
    """A class raster: where it lies, and what its codes mean."""

    path: Path
    shape: Shape
    affine: Affine
    crs: CRS
    nodata: float | None
    legend: Legend | None
    block: Shape

    @property
    def kind(self) -> tuple[Any, ...]:
        """What maps of one layer have in common."""
        a, b, _, d, e, _ = self.affine[:6]
        return self.crs.to_wkt(), a, b, d, e, self.nodata, self.legend


def write_map_vrt(path: Path, maps: Sequence[Path]) -> tuple[Path, ...]:
    """Write a virtual raster over class maps, or one for each CRS and pixel size among them.

    Where maps overlap the first of them that holds a class is seen. Maps without a CRS lie nowhere
    and are left out.

    Args:
        path: The `.vrt`; of several, each has its CRS in its name, and the pixel size if need be.
        maps: Class rasters, named in it relative to its folder.

    Returns:
        What was written; nothing if no map has a CRS.

    Raises:
        OutputError: If it cannot be written.

    References:
        GDAL, "VRT -- GDAL Virtual Format", .vrt format: ComplexSource with NODATA.
    """
    layers: dict[tuple[Any, ...], list[_Map]] = {}
    for found in map(_look_at, maps):
        if found.crs:
            layers.setdefault(found.kind, []).append(found)
    names = _name_layers(path, list(layers.values()))
    if len(names) > 1:
        log.info(
            "the maps differ in CRS, pixel size or classes and are %s: %s",
            say_count(len(names), "layer"),
            ", ".join(name.name for name in names),
        )
    for name, layer in zip(names, layers.values(), strict=True):
        root = _describe(layer, name.parent)
        ET.indent(root)
        with writing(name):
            name.write_text(ET.tostring(root, encoding="unicode") + "\n", encoding="utf-8")
    return tuple(names)


def _look_at(path: Path) -> _Map:
    with pixel_space_allowed(), rasterio.open(path) as raster:
        return _Map(
            path=path,
            shape=raster.shape,
            affine=raster.transform,
            crs=raster.crs,
            nodata=raster.nodata,
            legend=read_map_legend(path),
            block=raster.block_shapes[0],
        )


def _name_layers(path: Path, layers: list[list[_Map]]) -> list[Path]:
    if len(layers) == 1:
        return [path]
    named = [_name_crs(layer[0].crs) for layer in layers]
    often = Counter(named)
    named = [
        name if often[name] == 1 else f"{name}_{math.sqrt(abs(layer[0].affine.determinant)):g}"
        for name, layer in zip(named, layers, strict=True)
    ]
    often = Counter(named)
    counted = [
        name if often[name] == 1 else f"{name}_{named[: position + 1].count(name)}"
        for position, name in enumerate(named)
    ]
    return [path.with_name(f"{path.stem}_{name}{path.suffix}") for name in counted]


def _name_crs(crs: CRS) -> str:
    code = crs.to_epsg()
    return f"EPSG{code}" if code else "other"


def _describe(layer: list[_Map], folder: Path) -> ET.Element:
    first = layer[0]
    corners = [~first.affine @ (each.affine.c, each.affine.f) for each in layer]
    left, top = (min(corner[axis] for corner in corners) for axis in (0, 1))
    offsets = [(col - left, row - top) for col, row in corners]
    ends = [(x + m.shape[1], y + m.shape[0]) for (x, y), m in zip(offsets, layer, strict=True)]
    cols, rows = (math.ceil(max(end[axis] for end in ends) - 1e-6) for axis in (0, 1))
    root = ET.Element("VRTDataset", rasterXSize=str(cols), rasterYSize=str(rows))
    ET.SubElement(root, "SRS").text = first.crs.to_wkt()
    place = (first.affine @ Affine.translation(left, top)).to_gdal()
    ET.SubElement(root, "GeoTransform").text = ", ".join(repr(float(part)) for part in place)
    if first.legend is not None:
        metadata = ET.SubElement(root, "Metadata")
        ET.SubElement(metadata, "MDI", key=LEGEND_TAG).text = legend_tag(first.legend)
    band = ET.SubElement(root, "VRTRasterBand", dataType="Byte", band="1")
    _describe_band(band, first)
    # Later sources lie on earlier ones.
    for each, offset in reversed(list(zip(layer, offsets, strict=True))):
        band.append(_describe_source(each, offset, folder))
    return root


def _describe_band(band: ET.Element, first: _Map) -> None:
    if first.nodata is not None:
        ET.SubElement(band, "NoDataValue").text = f"{first.nodata:g}"
    if first.legend is None:
        return
    ET.SubElement(band, "ColorInterp").text = "Palette"
    colors, names = color_table(first.legend), {c.id: c.name for c in first.legend.active}
    table, categories = ET.SubElement(band, "ColorTable"), ET.SubElement(band, "CategoryNames")
    for code in range(max(colors) + 1):
        parts = zip(("c1", "c2", "c3", "c4"), colors.get(code, (0, 0, 0, 0)), strict=True)
        ET.SubElement(table, "Entry", {key: str(part) for key, part in parts})
    for code in range(max(names) + 1):
        ET.SubElement(categories, "Category").text = _printable(names.get(code, ""))


def _printable(text: str) -> str:
    # XML 1.0 has no control characters; a reader would refuse the whole file.
    return "".join(c if c.isprintable() else " " for c in text)


def _describe_source(each: _Map, offset: tuple[float, float], folder: Path) -> ET.Element:
    rows, cols = each.shape
    size = {"xSize": str(cols), "ySize": str(rows)}
    source = ET.Element("ComplexSource", resampling="nearest")
    name = Path(os.path.relpath(each.path, folder)).as_posix()
    ET.SubElement(source, "SourceFilename", relativeToVRT="1").text = name
    ET.SubElement(source, "SourceBand").text = "1"
    block = {"BlockXSize": str(each.block[1]), "BlockYSize": str(each.block[0])}
    whole = {"RasterXSize": str(cols), "RasterYSize": str(rows), "DataType": "Byte"}
    ET.SubElement(source, "SourceProperties", {**whole, **block})  # saves opening it
    ET.SubElement(source, "SrcRect", {"xOff": "0", "yOff": "0", **size})
    x, y = (f"{part:.9g}" for part in offset)
    ET.SubElement(source, "DstRect", {"xOff": x, "yOff": y, **size})
    if each.nodata is not None:
        ET.SubElement(source, "NODATA").text = f"{each.nodata:g}"
    return source
