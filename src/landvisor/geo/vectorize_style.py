"""How polygons of a map look in QGIS: a fill per class, kept in the GeoPackage itself.

A style beside the file would have the name of that of the map, `map.qml`, for `map.gpkg`.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pandas as pd
import pyogrio

from landvisor.geo.legend import LandClass, Legend

STYLES = "layer_styles"
"""Layer that QGIS keeps styles in."""


def add_style(path: Path, *, layer: str, legend: Legend) -> None:
    """Add the style that QGIS loads by itself for a layer of a GeoPackage.

    References:
        QGIS, `QgsOgrProviderMetadata::saveStyle`: the columns; a style is found by the names of
        its table and geometry column.
    """
    found = pyogrio.read_info(path, layer=layer)
    style = {
        "f_table_catalog": "", "f_table_schema": "", "f_table_name": layer,
        "f_geometry_column": found["geometry_name"] or "geom", "styleName": layer,
        "styleQML": make_polygon_style(legend), "styleSLD": "", "useAsDefault": True,
        "description": "classes", "owner": "", "ui": "", "update_time": pd.Timestamp(0, tz="UTC"),
    }  # fmt: skip
    pyogrio.write_dataframe(pd.DataFrame([style]), path, layer=STYLES)


def make_polygon_style(legend: Legend) -> str:
    """Return a style in QGIS's own words: classes by id, filled, without outlines.

    References:
        QGIS, `QgsCategorizedSymbolRenderer::save`: `categories` that name their `symbols`;
        `QgsSimpleFillSymbolLayer::properties`: names and values of the options.
    """
    root = ET.Element("qgis", version="3.28", styleCategories="Symbology")
    renderer = ET.SubElement(
        root, "renderer-v2", {"type": "categorizedSymbol", "attr": "class_id", "symbollevels": "0"}
    )
    categories, symbols = ET.SubElement(renderer, "categories"), ET.SubElement(renderer, "symbols")
    for number, c in enumerate(legend.active):
        # XML 1.0 has no control characters
        label = "".join(part if part.isprintable() else " " for part in c.name)
        entry = {"value": str(c.id), "symbol": str(number), "label": label, "render": "true"}
        ET.SubElement(categories, "category", {**entry, "type": "integer"})
        _add_symbol(symbols, str(number), c)
    ET.SubElement(root, "blendMode").text = "0"
    return ET.tostring(root, encoding="unicode")


def _add_symbol(symbols: ET.Element, name: str, land_class: LandClass) -> None:
    symbol = ET.SubElement(symbols, "symbol", {"type": "fill", "name": name, "alpha": "1"})
    layer = ET.SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1", "pass": "0"})
    options = ET.SubElement(layer, "Option", type="Map")
    color = ",".join(str(part) for part in (*land_class.rgb, 255))
    for key, value in {"color": color, "style": "solid", "outline_style": "no"}.items():
        ET.SubElement(options, "Option", {"name": key, "type": "QString", "value": value})
