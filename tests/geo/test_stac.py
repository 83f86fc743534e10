"""A map's STAC item places it on earth and describes its model."""

import json
from pathlib import Path
from typing import Any

import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from shapely.geometry import Point, shape

from landvisor.card import Card, card_classes
from landvisor.geo.legend import LandClass, Legend
from landvisor.geo.stac import write_stac_item
from landvisor.recipe import Recipe

LEGEND = Legend(
    (
        LandClass(1, "open water", "#0000ff"),
        LandClass(4, "tree", "#00aa00"),
        LandClass(9, "cloud", "#ffffff", ignore=True),
    )
)
CARD = Card(
    kind="network",
    classes=card_classes(LEGEND),
    bands=("red", "nir"),
    dtype="uint16",
    mean=(1.0, 2.0),
    std=(1.0, 1.0),
    recipe=Recipe(),
)


def _item(folder: Path, grid: GeoBox) -> dict[str, Any]:
    path = write_stac_item(folder, grid=grid, legend=LEGEND, card=CARD)
    assert path == folder / "stac-item.json"
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("step", [-10, 10])
def test_geometry_is_the_footprint_in_longitude_and_latitude(tmp_path: Path, step: int) -> None:
    grid = GeoBox((400, 500), Affine(10, 0, 5e5, 0, step, 5e6), "EPSG:32630")
    item = _item(tmp_path, grid)
    outline = shape(item["geometry"])
    assert outline.is_valid
    assert outline.exterior.is_ccw
    assert item["bbox"] == pytest.approx(outline.bounds)
    to_lonlat = Transformer.from_crs("EPSG:32630", "OGC:CRS84", always_xy=True)
    middle = to_lonlat.transform(5e5 + 2500, 5e6 + step * 200)
    assert outline.contains(Point(*middle))
    assert item["properties"]["proj:code"] == "EPSG:32630"


def test_a_map_without_crs_has_no_geometry_and_no_bbox(tmp_path: Path) -> None:
    item = _item(tmp_path, GeoBox((4, 5), Affine.identity(), None))
    assert item["geometry"] is None
    assert "bbox" not in item


def test_the_model_is_described_by_the_mlm_extension(tmp_path: Path) -> None:
    item = _item(tmp_path, GeoBox((4, 5), Affine(1, 0, 0, 0, -1, 0), "EPSG:3857"))
    facts = item["properties"]
    required = {"mlm:name", "mlm:architecture", "mlm:tasks", "mlm:input", "mlm:output"}
    assert required <= set(facts)
    assert facts["mlm:tasks"] == ["semantic-segmentation"]
    assert facts["mlm:input"][0]["bands"] == ["red", "nir"]
    assert facts["mlm:input"][0]["input"]["data_type"] == "uint16"
    assert facts["mlm:output"][0]["result"]["shape"][1] == 2
    assert "mlm:model" in item["assets"]["model"]["roles"]
    assert any("/mlm/" in url for url in item["stac_extensions"])


@pytest.mark.parametrize(
    ("model", "said"), [("unet", "unet (mobilenetv2_100)"), ("plain_unet", "plain_unet")]
)
def test_an_encoder_is_named_where_there_is_one(tmp_path: Path, model: str, said: str) -> None:
    grid = GeoBox((4, 5), Affine(1, 0, 0, 0, -1, 0), "EPSG:3857")
    card = CARD.model_copy(update={"recipe": Recipe().with_values({"net.model": model})})
    path = write_stac_item(tmp_path, grid=grid, legend=LEGEND, card=card)
    assert json.loads(path.read_text())["properties"]["mlm:architecture"] == said


def test_classes_of_the_map_are_the_predicted_ones(tmp_path: Path) -> None:
    item = _item(tmp_path, GeoBox((4, 5), Affine(1, 0, 0, 0, -1, 0), "EPSG:3857"))
    assert item["assets"]["map"]["classification:classes"] == [
        {"value": 1, "name": "open_water", "title": "open water", "color_hint": "0000FF"},
        {"value": 4, "name": "tree", "title": "tree", "color_hint": "00AA00"},
    ]
    assert set(item["assets"]) == {"map", "probabilities", "uncertainty", "model"}
