"""How much of a map each class covers, in pixels and on the ground."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from landvisor.geo.class_map import NODATA, open_class_map
from landvisor.geo.legend import Legend
from landvisor.geo.pixel_areas import find_pixel_areas

WARNING = (
    "These are counted pixels, no estimate of area with a confidence interval: what the map "
    "confuses is counted wrongly."
)
NO_PLACE = "unknown: the map has no CRS"


@dataclass(frozen=True)
class ClassArea:
    """What one class covers.

    Attributes:
        id: Of the class.
        name: Of the class.
        pixels: How many.
        area: Square metres; None where the map has no CRS.
        share: Of all area with a class, or of the pixels without a CRS; 0 to 1.
    """

    id: int
    name: str
    pixels: int
    area: float | None
    share: float


@dataclass(frozen=True)
class ClassAreas:
    """What the classes of a map cover.

    Attributes:
        classes: In the order of the legend.
        nodata: Pixels without a class.
        method: How areas are known, as in "ellipsoidal (WGS 84)".
    """

    classes: tuple[ClassArea, ...]
    nodata: int
    method: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        classes = [
            {
                "id": c.id, "name": c.name, "pixels": c.pixels, "m2": c.area,
                "ha": None if c.area is None else c.area / 10_000, "share": c.share,
            }
            for c in self.classes
        ]  # fmt: skip
        return {
            "classes": classes,
            "nodata_pixels": self.nodata,
            "method": self.method,
            "warning": WARNING,
        }

    def table(self) -> str:
        """Lay the areas out for a terminal."""
        head = ("class", "pixels", "m2", "ha", "share")
        total = sum(c.pixels for c in self.classes)
        known = [c.area for c in self.classes if c.area is not None]
        rows = [_cells(c.name, c.pixels, c.area, c.share) for c in self.classes]
        rows.append(_cells("total", total, sum(known) if known else None, 1.0 if total else 0.0))
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in (head, *rows)
        ]
        return "\n".join(
            [*lines, f"no data: {self.nodata:,} pixels", f"area: {self.method}", WARNING]
        )


def measure_areas(source: Path | str, *, legend: Legend | None = None) -> ClassAreas:
    """Measure what each class of a map covers.

    How large pixels are on the ground is said in `pixel_areas.find_pixel_areas`.

    Args:
        source: A class raster, or a folder that `map` or `predict` made.
        legend: Instead of the one in the map.

    Raises:
        SceneError: If the map cannot be read.

    References:
        Olofsson et al. (2014), section 4, doi:10.1016/j.rse.2014.02.015: why counted pixels are no
        estimate of area.
    """
    read = open_class_map(source, legend)
    ground = find_pixel_areas(read.scene.grid)
    pixels, areas = np.zeros(256, dtype=np.int64), np.zeros(256)
    for window in read.strips():
        codes = read.read(window).ravel()
        pixels += np.bincount(codes, minlength=256)
        if ground is not None:
            areas += np.bincount(codes, weights=ground.read(window).ravel(), minlength=256)
    measure = areas if ground is not None else pixels
    whole = float(measure[:NODATA].sum()) or 1.0
    classes = tuple(
        ClassArea(
            c.id,
            c.name,
            int(pixels[c.id]),
            None if ground is None else float(areas[c.id]),
            float(measure[c.id]) / whole,
        )
        for c in read.legend.active
    )
    return ClassAreas(classes, int(pixels[NODATA]), ground.method if ground else NO_PLACE)


def _cells(name: str, pixels: int, area: float | None, share: float) -> tuple[str, ...]:
    metres = ("-", "-") if area is None else (f"{area:,.0f}", f"{area / 10_000:,.2f}")
    return name, f"{pixels:,}", *metres, f"{100 * share:.2f} %"
