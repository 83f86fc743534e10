"""What a check found, in plain sentences, and how an error becomes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from landvisor.errors import LandvisorError

Level = Literal["ok", "note", "problem"]
T = TypeVar("T")


@dataclass(frozen=True)
class Finding:
    """One thing that was found; a `problem` would stop `map`.

    Attributes:
        level: `ok`, `note` or `problem`.
        text: One sentence.
        rows: What the sentence counts, one by one, most important first; empty where the sentence
            says all.
    """

    level: Level
    text: str
    rows: tuple[dict[str, Any], ...] = ()


def attempt(function: Callable[..., T], *given: object, found: list[Finding]) -> T | None:
    """Call a function; what it refuses becomes a problem."""
    try:
        return function(*given)
    except LandvisorError as error:
        found.append(Finding("problem", str(error)))
        return None
