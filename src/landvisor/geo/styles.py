"""How a class raster carries its names and colours: colour table, tags, QGIS style, PAM."""

from __future__ import annotations

import json
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

from landvisor.errors import LegendError, SceneError
from landvisor.files import writing
from landvisor.geo.legend import LandClass, Legend, default_color

LEGEND_TAG = "LANDVISOR_LEGEND"
FACTS_TAG = "LANDVISOR_LABELS"
_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"

Color = tuple[int, int, int, int]


@contextmanager
def pixel_space_allowed() -> Iterator[None]:
    """Open rasters without a place on earth in silence: plain images are welcome here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def color_table(legend: Legend) -> dict[int, Color]:
    """Return red, green, blue and alpha per code; no data is transparent."""
    table: dict[int, Color] = {c.id: (*c.rgb, 255) for c in legend.active}
    return {**table, legend.nodata: (0, 0, 0, 0)}


def legend_tag(legend: Legend) -> str:
    """Return the predicted classes as JSON, for a tag inside the raster."""
    classes = [{"id": c.id, "name": c.name, "color": c.color} for c in legend.active]
    return json.dumps(classes)


def write_qml(path: Path, *, legend: Legend) -> None:
    """Write the style that QGIS loads by itself when it lies beside the raster.

    References:
        QGIS, `QgsPalettedRasterRenderer::writeXml`: `colorPalette` of `paletteEntry`.
    """
    root = ET.Element("qgis", version="3.28", styleCategories="Symbology")
    renderer = ET.SubElement(
        ET.SubElement(root, "pipe"),
        "rasterrenderer",
        {"type": "paletted", "band": "1", "opacity": "1", "alphaBand": "-1", "nodataColor": ""},
    )
    ET.SubElement(renderer, "rasterTransparency")
    palette = ET.SubElement(renderer, "colorPalette")
    for c in legend.active:
        entry = {"value": str(c.id), "color": c.color, "label": _xml_text(c.name), "alpha": "255"}
        ET.SubElement(palette, "paletteEntry", entry)
    ET.SubElement(root, "blendMode").text = "0"
    _write_xml(path, root, head=_DOCTYPE)


def write_category_names(path: Path, *, legend: Legend) -> None:
    """Add the class names to GDAL's side file of a raster; what it holds already is kept.

    Args:
        path: The side file, `<raster>.aux.xml`.
        legend: Its active classes are named; other codes get an empty name.

    References:
        GDAL, `GDALPamRasterBand::SerializeToXML`: the position of a `Category` is its code.
    """
    root = _parse_xml(path) if path.is_file() else ET.Element("PAMDataset")
    band = root.find("PAMRasterBand[@band='1']")
    if band is None:
        band = ET.SubElement(root, "PAMRasterBand", band="1")
    for outdated in band.findall("CategoryNames"):
        band.remove(outdated)
    names = {c.id: _xml_text(c.name) for c in legend.active}
    categories = ET.SubElement(band, "CategoryNames")
    for code in range(max(names) + 1):
        ET.SubElement(categories, "Category").text = names.get(code, "")
    _write_xml(path, root)


def read_map_legend(path: Path | str) -> Legend | None:
    """Read the classes of a class raster from its own tag, or from GDAL's names and colours.

    Returns:
        The legend, or None where the raster names no class.

    Raises:
        SceneError: If there is no raster at `path`.
        LegendError: If what it says about its classes is damaged.
    """
    file = Path(path)
    try:
        with pixel_space_allowed(), rasterio.open(file) as raster:
            tag = raster.tags().get(LEGEND_TAG)
            colors = raster.colormap(1) if raster.colorinterp[0].name == "palette" else {}
    except RasterioIOError as error:
        raise SceneError(f"no raster at {str(file)!r}; give a map that landvisor made") from error
    if tag is not None:
        return _parse_tag(tag, name=str(file))
    return _legend_of_names(_category_names(file), colors)


def read_label_facts(path: Path | str) -> dict[str, Any] | None:
    """Read what a raster of linked or grown labels says of itself; None if it is not one."""
    try:
        with pixel_space_allowed(), rasterio.open(path) as raster:
            text = raster.tags().get(FACTS_TAG)
    except RasterioIOError:
        return None
    return None if text is None else dict(json.loads(text))


def _parse_tag(text: str, *, name: str) -> Legend:
    try:
        found = [(int(c["id"]), str(c["name"]), str(c["color"])) for c in json.loads(text)]
    except (ValueError, KeyError, TypeError) as error:
        raise LegendError(f"the legend inside {name!r} is damaged; give --legend") from error
    return Legend(tuple(LandClass(*parts) for parts in found))


def _category_names(file: Path) -> list[str]:
    side = file.with_name(file.name + ".aux.xml")
    if not side.is_file():
        return []
    categories = _parse_xml(side).findall("PAMRasterBand[@band='1']/CategoryNames/Category")
    return [(category.text or "").strip() for category in categories]


def _legend_of_names(names: list[str], colors: dict[int, Color]) -> Legend | None:
    classes = tuple(
        LandClass(code, name, _hex(colors[code][:3]) if code in colors else default_color(code))
        for code, name in enumerate(names[:255])
        if name
    )
    return Legend(classes) if classes else None


def _hex(rgb: Iterable[int]) -> str:
    return "#" + "".join(f"{part:02x}" for part in rgb)


def _xml_text(text: str) -> str:
    # XML 1.0 has no control characters; a reader would refuse the whole file.
    return "".join(c if c.isprintable() else " " for c in text)


def _parse_xml(path: Path) -> ET.Element:
    try:
        return ET.parse(path).getroot()  # noqa: S314 - expat bounds entity expansion since 2.4
    except ET.ParseError as error:
        raise LegendError(f"{str(path)!r} is not XML ({error}); delete it") from error


def _write_xml(path: Path, root: ET.Element, *, head: str = "") -> None:
    ET.indent(root)
    with writing(path):
        path.write_text(head + ET.tostring(root, encoding="unicode") + "\n", encoding="utf-8")
