"""Class names and colours travel with a map and come back from it."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from landvisor.errors import LegendError, OutputError, SceneError
from landvisor.geo.legend import LandClass, Legend
from landvisor.geo.styles import (
    LEGEND_TAG,
    color_table,
    legend_tag,
    read_map_legend,
    write_category_names,
    write_qml,
)

LEGEND = Legend(
    (
        LandClass(2, 'Wälder & <"Büsche">', "#11aa33"),
        LandClass(5, "water", "#0000ff"),
        LandClass(7, "cloud", "#ffffff", ignore=True),
        LandClass(8, "river", "#0000aa", merged_into=5),
    )
)


def _write_raster(path: Path, *, legend: Legend | None, tag: str | None = None) -> Path:
    shape = {"height": 2, "width": 3, "count": 1, "dtype": "uint8"}
    place = {"crs": "EPSG:32630", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
    with rasterio.open(path, "w", driver="GTiff", **shape, **place) as raster:
        raster.write(np.ones((1, 2, 3), dtype=np.uint8))
        if legend is not None:
            raster.write_colormap(1, color_table(legend))
        if tag is not None:
            raster.update_tags(**{LEGEND_TAG: tag})
    return path


def test_colours_are_those_of_active_classes_and_no_data_is_transparent() -> None:
    assert color_table(LEGEND) == {
        0: (0, 0, 0, 0),
        2: (0x11, 0xAA, 0x33, 255),
        5: (0, 0, 255, 255),
    }


def test_a_class_with_id_zero_keeps_its_colour() -> None:
    table = color_table(Legend((LandClass(0, "sand", "#ffee00"),)))
    assert table == {0: (0xFF, 0xEE, 0, 255), 255: (0, 0, 0, 0)}


def test_a_qgis_style_lists_each_predicted_class_once(tmp_path: Path) -> None:
    write_qml(tmp_path / "map.qml", legend=LEGEND)
    root = ElementTree.parse(tmp_path / "map.qml").getroot()
    entries = root.findall("pipe/rasterrenderer[@type='paletted']/colorPalette/paletteEntry")
    found = [(e.get("value"), e.get("label"), e.get("color")) for e in entries]
    assert found == [("2", 'Wälder & <"Büsche">', "#11aa33"), ("5", "water", "#0000ff")]


def test_gdal_reads_the_category_names(tmp_path: Path) -> None:
    path = _write_raster(tmp_path / "map.tif", legend=LEGEND)
    write_category_names(tmp_path / "map.tif.aux.xml", legend=LEGEND)
    with rasterio.open(path) as raster:
        assert str(tmp_path / "map.tif.aux.xml") in raster.files
    # A virtual raster spells out what GDAL itself found in the side file.
    rasterio.shutil.copy(path, tmp_path / "copy.vrt", driver="VRT")
    root = ElementTree.parse(tmp_path / "copy.vrt").getroot()
    names = [c.text for c in root.findall("VRTRasterBand/CategoryNames/Category")]
    assert names == [None, None, 'Wälder & <"Büsche">', None, None, "water"]
    assert len(root.findall("VRTRasterBand/ColorTable/Entry")) > 5


def test_names_are_added_to_what_the_side_file_holds(tmp_path: Path) -> None:
    path = _write_raster(tmp_path / "map.tif", legend=LEGEND)
    side = tmp_path / "map.tif.aux.xml"
    side.write_text(
        '<PAMDataset><PAMRasterBand band="1"><CategoryNames><Category>old</Category>'
        '</CategoryNames><Metadata><MDI key="STATISTICS_MEAN">1</MDI></Metadata>'
        "</PAMRasterBand></PAMDataset>"
    )
    write_category_names(side, legend=LEGEND)
    with rasterio.open(path) as raster:
        assert raster.tags(1)["STATISTICS_MEAN"] == "1"
    assert "old" not in side.read_text()


def test_a_legend_is_read_from_names_and_colours_alone(tmp_path: Path) -> None:
    path = _write_raster(tmp_path / "map.tif", legend=LEGEND)
    write_category_names(tmp_path / "map.tif.aux.xml", legend=LEGEND)
    assert read_map_legend(path) == Legend(LEGEND.active)


def test_the_tag_inside_the_file_is_enough(tmp_path: Path) -> None:
    path = _write_raster(tmp_path / "map.tif", legend=None, tag=legend_tag(LEGEND))
    assert read_map_legend(path) == Legend(LEGEND.active)


def test_a_raster_that_names_no_class_has_no_legend(tmp_path: Path) -> None:
    assert read_map_legend(_write_raster(tmp_path / "map.tif", legend=LEGEND)) is None


@pytest.mark.parametrize("tag", ["", "{", "[1]", '[{"id": 1}]', '[{"id": "a", "name": 1}]'])
def test_a_damaged_tag_is_an_error(tmp_path: Path, tag: str) -> None:
    path = _write_raster(tmp_path / "map.tif", legend=None, tag=tag or "null")
    with pytest.raises(LegendError, match="damaged"):
        read_map_legend(path)


def test_a_damaged_side_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "map.tif.aux.xml").write_text("<PAMDataset>")
    with pytest.raises(LegendError, match="not XML"):
        write_category_names(tmp_path / "map.tif.aux.xml", legend=LEGEND)


def test_a_missing_raster_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="no raster"):
        read_map_legend(tmp_path / "nothing.tif")


def test_a_style_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        write_qml(tmp_path / "missing" / "map.qml", legend=LEGEND)


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
LEGENDS = st.dictionaries(st.integers(0, 254), NAMES, min_size=1, max_size=6).filter(
    lambda names: len(set(names.values())) == len(names)
)


@settings(deadline=None, max_examples=40)
@given(LEGENDS)
def test_any_names_survive_tag_and_style(
    tmp_path_factory: pytest.TempPathFactory, names: dict[int, str]
) -> None:
    legend = Legend(tuple(LandClass(code, name, "#010203") for code, name in names.items()))
    folder = tmp_path_factory.getbasetemp()
    assert [c["name"] for c in json.loads(legend_tag(legend))] == list(names.values())
    write_qml(folder / "any.qml", legend=legend)
    (folder / "any.aux.xml").unlink(missing_ok=True)
    write_category_names(folder / "any.aux.xml", legend=legend)
    entries = ElementTree.parse(folder / "any.qml").getroot().iter("paletteEntry")
    assert [int(e.get("value", "")) for e in entries] == list(names)
    categories = list(ElementTree.parse(folder / "any.aux.xml").getroot().iter("Category"))
    assert len(categories) == max(names) + 1
