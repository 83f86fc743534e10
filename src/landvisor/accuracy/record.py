"""How a sample was drawn, kept beside its places: the layer `strata` of their GeoPackage."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyogrio
from pyogrio.errors import DataSourceError

from landvisor.accuracy.frame import Stratum
from landvisor.errors import AssessmentError

LAYER = "strata"
_COLUMNS = ("stratum", "pixels", "area_m2", "units", "design", "source", "map_sha256")


@dataclass(frozen=True)
class DrawRecord:
    """How a sample was drawn.

    Attributes:
        kind: `simple` or `stratified`.
        source: What the strata are, in words.
        strata: All that hold a pixel.
        units: Places that were drawn in each.
        digest: Of the map, see `Census.digest`.
        allocation: How units were dealt to strata, in words.
        seed: Of the draw.
    """

    kind: str
    source: str
    strata: tuple[Stratum, ...]
    units: tuple[int, ...]
    digest: str
    allocation: str = ""
    seed: int = 0


def write_record(record: DrawRecord, path: Path) -> None:
    """Add a record to a GeoPackage, as a layer without geometry."""
    table = pd.DataFrame(
        {
            "stratum": [stratum.name for stratum in record.strata],
            "pixels": [stratum.pixels for stratum in record.strata],
            "area_m2": pd.array([stratum.area for stratum in record.strata], dtype="Float64"),
            "units": list(record.units),
            "design": record.kind,
            "source": record.source,
            "allocation": record.allocation,
            "seed": record.seed,
            "map_sha256": record.digest,
        }
    )
    pyogrio.write_dataframe(table, path, layer=LAYER, driver="GPKG")


def read_record(path: Path) -> DrawRecord | None:
    """Read how the places of a file were drawn; None where it does not say.

    Raises:
        AssessmentError: If the layer is there but not what `write_record` made.
    """
    if path.suffix.lower() != ".gpkg" or not path.is_file():
        return None
    try:
        if LAYER not in [str(name) for name, _ in pyogrio.list_layers(path)]:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a table without geometry is what is expected
            table = pyogrio.read_dataframe(path, layer=LAYER)
    except DataSourceError:
        return None  # what is wrong with the file is said where its places are read
    if not set(_COLUMNS) <= set(table.columns):
        return None  # somebody else's layer of that name
    return _parse(table, path)


def _parse(table: Any, path: Path) -> DrawRecord:
    try:
        strata = tuple(
            Stratum(str(row.stratum), int(row.pixels), _read_area(row.area_m2))
            for row in table.itertuples()
        )
        kinds = {str(kind) for kind in table["design"]}
        first = table.iloc[0]
        if len(kinds) > 1 or not kinds <= {"simple", "stratified"}:
            raise ValueError(f"design {sorted(kinds)}")
        if any(stratum.pixels < 1 for stratum in strata):
            raise ValueError("a stratum without pixels")
        return DrawRecord(
            kind=kinds.pop(),
            source=str(first["source"]),
            strata=strata,
            units=tuple(int(units) for units in table["units"]),
            digest=str(first["map_sha256"]),
        )
    except (ValueError, TypeError, IndexError) as error:
        raise AssessmentError(
            f"layer {LAYER!r} of {str(path)!r} does not say how its places were drawn ({error}); "
            "take it from the file that `landvisor sample --from-map` wrote"
        ) from error


def _read_area(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
