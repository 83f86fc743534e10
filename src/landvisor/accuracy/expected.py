"""How accurate a map is expected to be before it is assessed, which sizes a sample."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.accuracy.frame import Census, Frame
from landvisor.errors import AssessmentError

_FILE = "assessment.json"
_NEEDED = (
    "give --expected-accuracy: a number such as 0.85, an assessment.json, or a .toml of strata"
)


def read_expected(
    frame: Frame,
    census: Census,
    given: float | Path | Mapping[str, float] | None,
    *,
    needed: bool,
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Find the expected accuracy of every stratum.

    Args:
        frame: What is drawn from.
        census: Its strata.
        given: One number for all; numbers by name of stratum; an `assessment.json`, whose user's
            accuracies are those of the map's classes; or a `.toml` with a line per stratum, as in
            `forest = 0.9`. None looks for an `assessment.json` beside the map.
        needed: Nothing can be drawn without it.

    Returns:
        float64 `[h]`, NaN where it is unknown, and a sentence on where it is from; none if nothing
        is known.

    Raises:
        AssessmentError: If it is needed and not there, is no accuracy, or is of other strata.
    """
    names = [stratum.name for stratum in census.strata.values()]
    if given is None:
        beside = frame.classes.path.with_name(_FILE)
        if frame.strata is None and beside.is_file():
            given = beside
        elif needed:
            raise AssessmentError(f"no accuracy is known that a sample can be sized by; {_NEEDED}")
        else:
            return np.full(len(names), np.nan), ()
    if isinstance(given, int | float):
        return np.full(len(names), _check(given, "--expected-accuracy")), (
            f"every stratum is expected to be right at {given:g} of its pixels",
        )
    where = "" if isinstance(given, Mapping) else f" of {str(given)!r}"
    values = dict(given) if isinstance(given, Mapping) else _read(Path(given), frame)
    return _match(values, names, frame), (f"expected accuracies are those{where}",)


def _read(path: Path, frame: Frame) -> dict[str, Any]:
    """Read accuracies by name of stratum."""
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except OSError as error:
        raise AssessmentError(f"no expected accuracies at {str(path)!r}; {_NEEDED}") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise AssessmentError(f"{str(path)!r} is neither JSON nor TOML; {_NEEDED}") from error
    if path.suffix.lower() == ".toml":
        return content
    return _read_assessment(content, path, frame)


def _read_assessment(content: Any, path: Path, frame: Frame) -> dict[str, Any]:
    """Take user's accuracies as those of the map's classes, or the overall one of the map."""
    try:
        rates = content["rates"]
        users = {c["name"]: rates[f"ua.{c['id']}"] for c in content["classes"]}
        overall = rates["oa"]
    except (KeyError, TypeError) as error:
        raise AssessmentError(f"{str(path)!r} is no assessment; {_NEEDED}") from error
    if frame.kind == "simple":
        return dict.fromkeys(frame.name_strata().values(), overall)
    if frame.strata is not None:
        raise AssessmentError(
            f"{str(path)!r} says how right classes are, not the strata of {frame.strata.name!r}; "
            "give --expected-accuracy as a number or a .toml of strata"
        )
    return users


def _match(values: dict[str, Any], names: list[str], frame: Frame) -> NDArray[np.float64]:
    known = set(frame.name_strata().values())
    strange = [name for name in values if name not in known]
    if strange:
        raise AssessmentError(
            f"an accuracy is expected of {strange[0]!r}, which is no stratum; those of "
            f"{frame.source} are {', '.join(names)}"
        )
    found = [values.get(name) for name in names]
    return np.array(
        [np.nan if v is None else _check(v, n) for v, n in zip(found, names, strict=True)]
    )


def _check(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise AssessmentError(f"{name} has the expected accuracy {value!r}; it is 0 to 1, as 0.85")
    return float(value)
