"""Which classes exist: their ids, names and colours, and which are ignored or merged."""

from __future__ import annotations

import colorsys
import json
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import LegendError

UNLABELLED = -1
_KEYS = {"id", "name", "color", "ignore", "as"}
# What maps of land cover have in common, most specific words first.
_USUAL_COLORS = (
    ("wetland", "#7fb8a4"), ("emergent", "#5f9ea0"), ("marsh", "#7fb8a4"), ("mangrove", "#2f7f73"),
    ("deep water", "#1f4e8c"), ("subtidal", "#3f7fbf"), ("water", "#2f6fb0"), ("river", "#4a8fd0"),
    ("lake", "#2f6fb0"), ("snow", "#e8f1f8"), ("ice", "#cfe3f0"), ("forest", "#1f6b3a"),
    ("tree", "#1f6b3a"), ("wood", "#3c7d4a"), ("shrub", "#8a9a4b"), ("scrub", "#8a9a4b"),
    ("herbaceous", "#a6cf6f"), ("grass", "#a6cf6f"), ("meadow", "#a6cf6f"), ("pasture", "#c3d98b"),
    ("crop", "#ecc94f"), ("agricult", "#ecc94f"), ("wetsand", "#b59b6b"), ("sand", "#e6d3a3"),
    ("beach", "#e6d3a3"), ("bare", "#b89b7a"), ("barren", "#b89b7a"), ("soil", "#a67c52"),
    ("rock", "#8d8d8d"), ("road", "#555a66"), ("urban", "#c4412f"), ("built", "#c4412f"),
    ("building", "#c4412f"), ("impervious", "#9a5a50"), ("background", "#b7b7a4"),
)  # fmt: skip
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class LandClass:
    """One class of a legend.

    Attributes:
        id: 0 to 254; it never changes meaning.
        name: What reports and maps call it.
        color: `#rrggbb`.
        ignore: Never trained on, scored or predicted.
        merged_into: Id of the class that takes its labels (`as` in the file), or None.
    """

    id: int
    name: str
    color: str
    ignore: bool = False
    merged_into: int | None = None

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Return the colour as three values of 0 to 255."""
        red, green, blue = bytes.fromhex(self.color[1:])
        return red, green, blue


@dataclass(frozen=True)
class Legend:
    """The classes of a map, in order.

    Args:
        classes: At least one class; ids and names are unique, colours are `#rrggbb`.

    Raises:
        LegendError: If an id or name occurs twice, an id or colour is out of range, or a class
            is merged into one that does not exist.
    """

    classes: tuple[LandClass, ...]

    def __post_init__(self) -> None:
        _check_classes(self.classes)

    @property
    def active(self) -> tuple[LandClass, ...]:
        """Classes that are trained on, scored and predicted, in order."""
        return tuple(c for c in self.classes if not c.ignore and c.merged_into is None)

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of the active classes, in order: what position k of a probability means."""
        return tuple(c.id for c in self.active)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the active classes, in order."""
        return tuple(c.name for c in self.active)

    @property
    def nodata(self) -> int:
        """Code of "no data" in a class raster: 0, or 255 where a predicted class has id 0."""
        return 255 if 0 in self.ids else 0

    def resolve(self, labels: NDArray[np.integer]) -> NDArray[np.int64]:
        """Follow merges and drop what is ignored or unknown.

        Args:
            labels: Class ids of any shape.

        Returns:
            Ids of active classes, and `UNLABELLED` (-1) for ignored and unknown values.
        """
        table = np.full(256, UNLABELLED, dtype=np.int64)
        for land_class in self.classes:
            target = self._target(land_class)
            table[land_class.id] = UNLABELLED if target.ignore else target.id
        values = np.asarray(labels)
        known = (values >= 0) & (values <= 254)
        return np.asarray(np.where(known, table[np.where(known, values, 255)], UNLABELLED))

    def to_index(self, labels: NDArray[np.integer]) -> NDArray[np.int64]:
        """Turn ids of active classes into positions 0..k-1; anything else becomes -1."""
        table = np.full(256, UNLABELLED, dtype=np.int64)
        table[list(self.ids)] = np.arange(len(self.ids))
        values = np.asarray(labels)
        known = (values >= 0) & (values <= 254)
        return np.asarray(np.where(known, table[np.where(known, values, 255)], UNLABELLED))

    def find(self, name: str) -> LandClass | None:
        """Find a class by name, without regard to case and surrounding blanks."""
        wanted = name.strip().casefold()
        return next((c for c in self.classes if c.name.strip().casefold() == wanted), None)

    def with_class(self, name: str, *, color: str | None = None) -> Legend:
        """Add a class with the lowest free id above all others."""
        number = max((c.id for c in self.classes), default=0) + 1
        added = LandClass(number, name, color or default_color(number))
        return replace(self, classes=(*self.classes, added))

    def _target(self, land_class: LandClass) -> LandClass:
        by_id = {c.id: c for c in self.classes}
        seen = {land_class.id}
        while land_class.merged_into is not None:
            land_class = by_id[land_class.merged_into]
            if land_class.id in seen:
                raise LegendError(
                    f"class {land_class.name!r} is merged into itself; break the circle of `as`"
                )
            seen.add(land_class.id)
        return land_class


def legend_from_names(names: Iterable[str]) -> Legend:
    """Give text classes the ids 1..n in sorted order, coloured as maps usually colour them.

    Names that differ in case or surrounding blanks alone are one class, as for `Legend.find`.
    """
    spellings = sorted({name.strip() for name in names}, reverse=True)
    ordered = sorted({name.casefold(): name for name in spellings}.values())
    return _make_legend(dict(enumerate(ordered, 1)))


def legend_from_ids(ids: Iterable[int], names: dict[int, str] | None = None) -> Legend:
    """Make a legend of numbered classes, named "class N" unless `names` says otherwise."""
    known = names or {}
    return _make_legend({i: known.get(i, f"class {i}") for i in sorted({int(i) for i in ids})})


def _make_legend(names: dict[int, str]) -> Legend:
    """Colour classes by the words in their names, no colour twice, the rest by number."""
    taken: set[str] = set()
    classes = []
    for number, name in names.items():
        words = name.casefold()
        fitting = (c for word, c in _USUAL_COLORS if word in words and c not in taken)
        color = next(fitting, default_color(number))
        taken.add(color)
        classes.append(LandClass(number, name, color))
    return Legend(tuple(classes))


def default_color(number: int) -> str:
    """Return a colour for a class number; neighbours differ by the golden angle of hue."""
    hue = (0.33 + number * 0.61803398875) % 1.0
    lightness = (0.45, 0.6, 0.35)[number % 3]
    rgb = colorsys.hls_to_rgb(hue, lightness, 0.55)
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)


def read_legend(path: Path | str) -> Legend:
    """Read `legend.toml`: `[[class]]` tables with `id, name, color, ignore, as`.

    Raises:
        LegendError: If the file is missing, is not TOML, or holds an unknown key or bad class.
    """
    file = Path(path)
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise LegendError(f"no legend at {str(file)!r}; give a legend.toml") from error
    except tomllib.TOMLDecodeError as error:
        raise LegendError(f"legend {str(file)!r} is not TOML: {error}") from error
    tables = content.get("class")
    if not isinstance(tables, list) or not tables or set(content) != {"class"}:
        raise LegendError(f"legend {str(file)!r} needs `[[class]]` tables and nothing else")
    names = {str(t.get("name")): t.get("id") for t in tables}
    return Legend(tuple(_parse_class(table, names, file) for table in tables))


def write_legend(legend: Legend, path: Path | str) -> None:
    """Write a legend as `legend.toml`."""
    Path(path).write_text("\n".join(_format_class(c) for c in legend.classes), encoding="utf-8")


def _parse_class(table: dict[str, object], names: dict[str, object], file: Path) -> LandClass:
    unknown = set(table) - _KEYS
    if unknown or "id" not in table:
        found = f"unknown key {sorted(unknown)[0]!r}" if unknown else "a class without id"
        raise LegendError(f"legend {str(file)!r} has {found}; a class has {', '.join(_KEYS)}")
    number = table["id"]
    if not isinstance(number, int) or isinstance(number, bool):
        raise LegendError(f"legend {str(file)!r} has id {number!r}; an id is a whole number")
    merged = table.get("as")
    target = names.get(merged, merged) if isinstance(merged, str) else merged
    if target is not None and not isinstance(target, int):
        raise LegendError(f"legend {str(file)!r} merges into {merged!r}, which no class is named")
    return LandClass(
        id=number,
        name=str(table.get("name", f"class {number}")),
        color=str(table.get("color", default_color(number))),
        ignore=bool(table.get("ignore", False)),
        merged_into=target,
    )


def _format_class(land_class: LandClass) -> str:
    # JSON's escapes are TOML's as well; DEL alone is free in one and not in the other.
    name = json.dumps(land_class.name, ensure_ascii=False).replace("\x7f", "\\u007f")
    lines = ["[[class]]", f"id = {land_class.id}", f"name = {name}"]
    lines.append(f'color = "{land_class.color}"')
    if land_class.ignore:
        lines.append("ignore = true")
    if land_class.merged_into is not None:
        lines.append(f"as = {land_class.merged_into}")
    return "\n".join(lines) + "\n"


def _check_classes(classes: Sequence[LandClass]) -> None:
    ids = [c.id for c in classes]
    names = [c.name for c in classes]
    if not classes:
        raise LegendError("a legend without classes was given; it needs at least one")
    everything: tuple[tuple[str, list[int] | list[str]], ...] = (("id", ids), ("name", names))
    for what, values in everything:
        twice = next((v for i, v in enumerate(values) if v in values[:i]), None)
        if twice is not None:
            raise LegendError(f"the legend has the {what} {twice!r} twice; make it unique")
    for land_class in classes:
        if not 0 <= land_class.id <= 254:
            raise LegendError(f"class id {land_class.id} found; ids are 0 to 254")
        if not _COLOR.fullmatch(land_class.color):
            raise LegendError(f"colour {land_class.color!r} found; colours are '#rrggbb'")
        if land_class.merged_into is not None and land_class.merged_into not in ids:
            raise LegendError(
                f"class {land_class.name!r} is merged into {land_class.merged_into}, "
                "which the legend lacks"
            )
