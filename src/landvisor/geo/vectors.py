"""How vector files are read: one frame from any format, and what is wrong in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
from pyogrio.errors import DataLayerError, DataSourceError

from landvisor.errors import PointsError

FORMATS = (".gpkg", ".geojson", ".json", ".shp", ".fgb", ".parquet", ".geoparquet", ".csv")


def read_vectors(path: Path | str) -> Any:
    """Read a vector file as a GeoDataFrame in its own CRS.

    Args:
        path: GeoPackage, GeoJSON, Shapefile, FlatGeobuf or (Geo)Parquet.

    Raises:
        PointsError: If there is no such file or it is not a vector file.
    """
    file = Path(path)
    if not file.exists():
        raise PointsError(f"no such file: {str(file)!r}; give points, for example a GeoPackage")
    try:
        if file.suffix.lower() in {".parquet", ".geoparquet"}:
            return gpd.read_parquet(file)
        frame = gpd.read_file(file, engine="pyogrio")
    except (DataSourceError, DataLayerError, ValueError, OSError) as error:
        raise PointsError(
            f"{str(file)!r} is not a vector file that can be read; need one of {', '.join(FORMATS)}"
        ) from error
    if "geometry" not in frame:
        raise PointsError(f"{str(file)!r} holds a table without geometry; give points")
    return frame


def read_table(path: Path | str) -> pd.DataFrame:
    """Read a CSV file as a table of text and numbers.

    Raises:
        PointsError: If there is no such file, or it is not a table.
    """
    file = Path(path)
    if not file.exists():
        raise PointsError(f"no such file: {str(file)!r}; give points, for example a CSV")
    try:
        return pd.read_csv(file, sep=None, engine="python", encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise PointsError(f"{str(file)!r} is not a CSV table: {error}") from error
