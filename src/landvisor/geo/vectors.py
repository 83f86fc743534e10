"""How vector files are read: one frame from any format, and what is wrong in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

from landvisor.errors import OutputError, PointsError

FORMATS = (".gpkg", ".geojson", ".json", ".shp", ".fgb", ".parquet", ".geoparquet", ".csv")
_SEPARATORS = (",", ";", "\t", "|")


def read_vectors(path: Path | str, *, what: str = "points, for example a GeoPackage") -> Any:
    """Read a vector file as a GeoDataFrame in its own CRS.

    Of several layers the one named `points` is read, else the first that has geometry.

    Args:
        path: GeoPackage, GeoJSON, Shapefile, FlatGeobuf or (Geo)Parquet.
        what: What the file should hold, for the message where it does not exist.

    Raises:
        PointsError: If there is no such file or it is not a vector file.
    """
    file = Path(path)
    if not file.exists():
        raise PointsError(f"no such file: {str(file)!r}; give {what}")
    try:
        if file.suffix.lower() in {".parquet", ".geoparquet"}:
            return gpd.read_parquet(file)
        frame = gpd.read_file(file, engine="pyogrio", layer=_find_layer(file))
    except (DataSourceError, DataLayerError, ValueError, OSError) as error:
        raise PointsError(
            f"{str(file)!r} is not a vector file that can be read; need one of {', '.join(FORMATS)}"
        ) from error
    if "geometry" not in frame:
        raise PointsError(f"{str(file)!r} holds a table without geometry; give points")
    return frame


def check_geopackage(path: Path | str, *, option: str = "--out") -> None:
    """Refuse to write points under the name of another format.

    Args:
        path: Where they shall go.
        option: What the user named it with.

    Raises:
        OutputError: If the name does not end in `.gpkg`.
    """
    if Path(path).suffix.lower() != ".gpkg":
        raise OutputError(
            f"{option} {str(path)!r} is not named as a GeoPackage, which points are written as; "
            "end it in .gpkg"
        )


def _find_layer(file: Path) -> str | None:
    """Find the layer to read; QGIS keeps styles as a layer without geometry beside the data."""
    names = [str(name) for name, geometry in pyogrio.list_layers(file) if geometry is not None]
    return "points" if "points" in names else next(iter(names), None)


def read_table(path: Path | str) -> pd.DataFrame:
    """Read a CSV file as a table of text and numbers.

    The separator is whichever of comma, semicolon, tab and bar the first line has most of.

    Raises:
        PointsError: If there is no such file, it is not in UTF-8, or it is not a table.
    """
    file = Path(path)
    if not file.exists():
        raise PointsError(f"no such file: {str(file)!r}; give points, for example a CSV")
    try:
        with file.open(encoding="utf-8-sig") as stream:
            separator = max(_SEPARATORS, key=stream.readline().count)
        return pd.read_csv(file, sep=separator, skipinitialspace=True, encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        # which of the older encodings it is cannot be told, and a wrong one spoils class names
        raise PointsError(
            f"{str(file)!r} is not text in UTF-8; save it so: in a spreadsheet as 'CSV UTF-8', in "
            "QGIS with the encoding UTF-8"
        ) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise PointsError(
            f"{str(file)!r} is not a CSV table ({error}); need a first line "
            "with the names of the columns, and a place in each other one"
        ) from error
