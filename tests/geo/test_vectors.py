"""Vector files are read from any format, or refused in one line."""

import geopandas as gpd
import pandas as pd
import pyogrio
import pytest

from landvisor.errors import OutputError, PointsError
from landvisor.geo.vectors import check_geopackage, read_table, read_vectors

FRAME = gpd.GeoDataFrame(
    {"label": ["a", "b"]}, geometry=gpd.points_from_xy([1, 2], [3, 4]), crs="EPSG:4326"
)


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "shp", "fgb", "parquet"])
def test_every_format_gives_the_same_frame(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    FRAME.to_parquet(path) if suffix == "parquet" else FRAME.to_file(path, engine="pyogrio")
    found = read_vectors(path)
    assert sorted(found["label"]) == ["a", "b"]
    assert found.crs.to_epsg() == 4326
    assert sorted(found.geometry.x) == [1, 2]


def test_the_layer_of_points_is_read_and_tables_without_geometry_are_not(tmp_path):
    path = tmp_path / "a.gpkg"
    styles = pd.DataFrame({"styleName": ["x"]})
    _write_table(path, styles)
    FRAME.to_file(path, layer="survey", engine="pyogrio")
    assert len(read_vectors(path)) == 2
    FRAME.iloc[:1].to_file(path, layer="points", engine="pyogrio")
    assert len(read_vectors(path)) == 1


def _write_table(path, table):
    pyogrio.write_dataframe(table, path, layer="layer_styles")


def test_a_file_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(PointsError, match=r"no such file: .*none.gpkg'; give points"):
        read_vectors(tmp_path / "none.gpkg")
    with pytest.raises(PointsError, match="no such file"):
        read_table(tmp_path / "none.csv")


@pytest.mark.parametrize("name", ["a.gpkg", "a.shp", "a.geojson", "a.parquet", "a.fgb"])
def test_a_file_of_another_kind_is_refused_in_one_line(tmp_path, name):
    (tmp_path / name).write_text("hello")
    with pytest.raises(PointsError, match="is not a vector file") as caught:
        read_vectors(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_table_without_geometry_is_refused(tmp_path):
    _write_table(tmp_path / "a.gpkg", pd.DataFrame({"label": ["a"]}))
    with pytest.raises(PointsError, match="a table without geometry"):
        read_vectors(tmp_path / "a.gpkg")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_of_a_table_is_found(tmp_path, separator):
    path = tmp_path / "a.csv"
    lines = [["scene", "col name", "class"], ["a b", "1:2", "x"]]
    path.write_text("\n".join(separator.join(line) for line in lines), encoding="utf-8-sig")
    table = read_table(path)
    assert table.columns.tolist() == lines[0]
    assert table.iloc[0].tolist() == lines[1]


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2,3\n4,5,6,7\n"])
def test_a_file_that_is_no_table_is_refused(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(PointsError, match="is not a CSV table"):
        read_table(tmp_path / "a.csv")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_table_in_another_encoding_is_refused_with_a_way_out(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes("lon,lat,class\n1,2,Grünland\n".encode(encoding))
    with pytest.raises(PointsError, match="is not text in UTF-8; save it so") as caught:
        read_table(tmp_path / "a.csv")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.csv", "a.tif", "a", "a.gpkg.csv"])
def test_points_are_not_written_under_the_name_of_another_format(name):
    with pytest.raises(OutputError, match=rf"--suspects '{name}' .*; end it in .gpkg"):
        check_geopackage(name, option="--suspects")
    check_geopackage("a.GPKG")
