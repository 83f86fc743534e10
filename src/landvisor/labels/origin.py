"""Who placed points, and how well: noted in their columns, repeated by every later result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from landvisor.geo.points import Points
from landvisor.labels.strategies import DrawRule

ORACLE = "oracle interior"


def name_placement(strategy: str, rule: DrawRule) -> str:
    """Name who chose the pixels: chance, a grid, clusters, or an oracle that sees the objects."""
    if strategy == "per_object" and rule.placement == "interior":
        return ORACLE
    return strategy if strategy in ("grid", "clustered") else "random"


def note_origin(frame: Any, strategy: str, rule: DrawRule) -> Any:
    """Note in columns how points were drawn; `describe_origin` reads them."""
    spoiled = {name: getattr(rule, name) for name in ("jitter", "noise") if getattr(rule, name)}
    return frame.assign(strategy=strategy, placement=name_placement(strategy, rule), **spoiled)


def describe_origin(points: Points) -> tuple[str, ...]:
    """Say what every result learned from points must repeat: who placed them, how well.

    Args:
        points: Any points; of simulated ones, what `note_origin` wrote in their columns is told.

    Returns:
        A sentence each on points simulated from masks, placed by an oracle, moved, or given
        wrong classes; nothing for points that people placed.
    """
    frame, count = points.frame, len(points)
    if not count:
        return ()
    drawn = _words(frame, "source") == "simulated"  # others may mean something else by `noise`
    jitter, noise = (np.where(drawn, _numbers(frame, name), 0) for name in ("jitter", "noise"))
    oracle = drawn & (_words(frame, "placement") == ORACLE)
    said = (
        (drawn, "are simulated from masks: no analyst saw them"),
        (oracle, "lie at the most interior pixel of their object: "
         "an oracle placed them, no analyst can; do not call them random"),
        (jitter > 0, f"were moved at random by up to {jitter.max():g} pixels"),
        (noise > 0, f"are of a draw that gave up to {noise.max():.0%} of them a wrong class"),
    )  # fmt: skip
    return tuple(f"{m.sum():,} of {count:,} points {text}" for m, text in said if m.any())


def _words(frame: Any, column: str) -> NDArray[Any]:
    return np.asarray(frame[column] if column in frame else np.full(len(frame), ""))


def _numbers(frame: Any, column: str) -> NDArray[np.float64]:
    """Read a column of numbers; 0 where there is none."""
    if column not in frame:
        return np.zeros(len(frame))
    found = pd.to_numeric(frame[column], errors="coerce").fillna(0)
    return np.asarray(found.to_numpy(dtype=np.float64))
