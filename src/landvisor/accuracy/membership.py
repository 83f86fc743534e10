"""Which stratum each unit of a sample was drawn from, and how large the strata are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from landvisor.accuracy.frame import Census, Frame, Stratum, check_codes
from landvisor.accuracy.record import DrawRecord
from landvisor.errors import AssessmentError
from landvisor.geo.class_map import NODATA
from landvisor.phrases import list_few

_STRATUM, _CHANCE = "stratum", "inclusion_prob"
_EQUAL = 1e-6  # relative difference of chances of a stratum that a file's digits may make


@dataclass(frozen=True, eq=False)
class Membership:
    """The strata of a sample.

    Attributes:
        strata: Name and size of each.
        stratum: int64 `[n]`: position in `strata` of each unit.
        source: What the strata are, in words.
        notes: What was decided, one sentence each.
    """

    strata: tuple[Stratum, ...]
    stratum: NDArray[np.int64]
    source: str
    notes: tuple[str, ...] = ()


def find_membership(
    frame: Frame,
    census: Census,
    *,
    pixels: NDArray[np.int64],
    mapped: NDArray[np.int64],
    table: Any,
    record: DrawRecord | None,
) -> Membership:
    """Find the stratum of every unit.

    Args:
        frame: The map and, where one was given, the raster of strata.
        census: Pixels of the frame's own strata.
        pixels: `[n, 2]`: (row, col) of the units.
        mapped: `[n]`: class ids of the map there.
        table: The units' rows of the points table.
        record: How the file says that the units were drawn, or None.

    Raises:
        AssessmentError: If the strata of the units are not those of the map, raster or record, or
            have no size.
    """
    if frame.kind == "simple":
        return _take_whole(frame, census, table, record)
    if frame.strata is not None:
        return _take_raster(frame, census, pixels)
    if _STRATUM in table and table[_STRATUM].notna().any():
        return _take_column(frame, census, table, record)
    return Membership(*_take_codes(census, mapped), frame.source)


def _take_whole(frame: Frame, census: Census, table: Any, record: DrawRecord | None) -> Membership:
    (stratum,) = census.strata.values() if record is None else record.strata
    chances = _read_chances(table)
    if chances is not None and not _is_one(chances):
        raise AssessmentError(
            f"column {_CHANCE!r} runs from {chances.min():g} to {chances.max():g}, but units of a "
            "simple random sample have equal chances; give --design stratified"
        )
    return Membership((stratum,), np.zeros(len(table), dtype=np.int64), frame.source)


def _take_raster(frame: Frame, census: Census, pixels: NDArray[np.int64]) -> Membership:
    assert frame.strata is not None, "the frame has a raster"
    found = frame.strata.sample(pixels)
    codes = check_codes(found.data[0], found.valid, name=frame.strata.name)
    off = int((codes == NODATA).sum())
    if off:
        raise AssessmentError(
            f"{off} of {len(codes)} labelled places lie on no-data of {frame.strata.name!r}, in no "
            "stratum; give the strata that the sample was drawn from"
        )
    return Membership(*_take_codes(census, codes.astype(np.int64)), frame.source)


def _take_codes(
    census: Census, codes: NDArray[np.int64]
) -> tuple[tuple[Stratum, ...], NDArray[np.int64]]:
    table = np.full(256, -1, dtype=np.int64)
    table[list(census.strata)] = np.arange(len(census.strata))
    return tuple(census.strata.values()), table[codes]


def _take_column(frame: Frame, census: Census, table: Any, record: DrawRecord | None) -> Membership:
    """Take strata by the names that units carry, and sizes from wherever they are known."""
    if table[_STRATUM].isna().any():
        raise AssessmentError(
            f"{int(table[_STRATUM].isna().sum())} of {len(table)} labelled places have no entry in "
            f"column {_STRATUM!r}; fill it, or leave the column out where the strata are the "
            "classes of the map"
        )
    names = [_clean(name) for name in table[_STRATUM]]
    strata, source, notes = _size_strata(names, frame, census, table, record)
    position = {stratum.name: k for k, stratum in enumerate(strata)}
    strange = sorted(set(names) - set(position))
    if strange:
        raise AssessmentError(
            f"column {_STRATUM!r} names {strange[0]!r}, which is no stratum of {source}; those "
            f"are {list_few(position, shown=10)}: the strata do not match the sample"
        )
    return Membership(strata, np.array([position[name] for name in names]), source, notes)


def _size_strata(
    names: Sequence[str], frame: Frame, census: Census, table: Any, record: DrawRecord | None
) -> tuple[tuple[Stratum, ...], str, tuple[str, ...]]:
    if record is not None:
        return record.strata, record.source, ("the file says how its places were drawn",)
    chances = _read_chances(table)
    if chances is not None:
        strata = _invert_chances(names, chances)
        said = f"sizes of strata follow from {_CHANCE!r}; no place may have been left out since"
        return strata, f"column {_STRATUM!r}", (said,)
    return tuple(census.strata.values()), frame.source, ()


def _invert_chances(names: Sequence[str], chances: NDArray[np.float64]) -> tuple[Stratum, ...]:
    """Find how large strata are that so many units were drawn from with such a chance."""
    strata = []
    for name in sorted(set(names)):
        own = chances[[other == name for other in names]]
        if not _is_one(own):
            raise AssessmentError(
                f"column {_CHANCE!r} runs from {own.min():g} to {own.max():g} in stratum "
                f"{name!r}; units of a stratum have equal chances"
            )
        strata.append(Stratum(name, round(len(own) / float(own[0])), None))
    return tuple(strata)


def _read_chances(table: Any) -> NDArray[np.float64] | None:
    """Read the chances of the units; None where a file has none.

    Raises:
        AssessmentError: If one is missing, or not above 0 and at most 1.
    """
    if _CHANCE not in table or table[_CHANCE].isna().all():
        return None
    chances = pd.to_numeric(table[_CHANCE], errors="coerce").to_numpy(dtype=np.float64)
    wrong = ~((chances > 0) & (chances <= 1))
    if wrong.any():
        found = table[_CHANCE][wrong].iloc[0]
        raise AssessmentError(
            f"column {_CHANCE!r} holds {found!r}; need for each place the chance, above 0 and at "
            "most 1, that it was drawn"
        )
    return np.asarray(chances)


def _is_one(values: NDArray[np.float64]) -> bool:
    return bool(values.max() - values.min() <= _EQUAL * values.max())


def _clean(name: Any) -> str:
    """Write a stratum's number as its name is: 3.0 is what a table makes of 3."""
    if isinstance(name, float) and name.is_integer():
        return str(int(name))
    return str(name).strip()
