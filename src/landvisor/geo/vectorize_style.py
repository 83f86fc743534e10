"""How polygons of a map look in QGIS: a fill per class, without outlines."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from landvisor.files import writing
from landvisor.geo.legend import LandClass, Legend

_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"


def write_polygon_style(path: Path, *, legend: Legend) -> None:
    """Write the style that QGIS loads by itself when it lies beside the polygons.

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
    ET.indent(root)
    with writing(path):
        text = ET.tostring(root, encoding="unicode")
        path.write_text(f"{_DOCTYPE}{text}\n", encoding="utf-8")


def _add_symbol(symbols: ET.Element, name: str, land_class: LandClass) -> None:
    symbol = ET.SubElement(symbols, "symbol", {"type": "fill", "name": name, "alpha": "1"})
    layer = ET.SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1", "pass": "0"})
    options = ET.SubElement(layer, "Option", type="Map")
    color = ",".join(str(part) for part in (*land_class.rgb, 255))
    for key, value in {"color": color, "style": "solid", "outline_style": "no"}.items():
        ET.SubElement(options, "Option", {"name": key, "type": "QString", "value": value})
