"""How far what averaged weights say was believed, class by class, and how often it was right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Verdict:
    """What validation says of a network.

    Attributes:
        scores: By name.
        told: `[n, class]`: the network's probabilities at the places of validation.
        right: `[n]`: whether the most probable class is that of the place.
    """

    scores: dict[str, float]
    told: NDArray[np.float32]
    right: NDArray[np.bool_]


def describe_accepted(tally: Tensor, names: Sequence[str]) -> dict[str, float]:
    """Return the share of each class's cells that was believed, as `accepted.water`.

    Args:
        tally: `[2, class]`: cells that were said to be of a class, and those believed of them.
        names: Of the classes; one without a cell is left out.
    """
    pairs = zip(names, *tally.tolist(), strict=True)
    return {f"accepted.{name}": believed / seen for name, seen, believed in pairs if seen}


def describe_agreed(verdict: Verdict, thresholds: Tensor, names: Sequence[str]) -> dict[str, float]:
    """Hold what would be believed at the places of validation against their classes.

    Args:
        verdict: What the network that teaches says there.
        thresholds: `[class]`: probability from which a class is believed.
        names: Of the classes.

    Returns:
        `checked.water`, at how many places water is said and believed, and `agreed.water`, the
        share of these that is water; the latter is left out where there is none.
    """
    label = verdict.told.argmax(axis=1)
    believed = verdict.told.max(axis=1) >= thresholds.numpy()[label]
    checked, agreed = (
        np.bincount(label[which], minlength=len(names)).tolist()
        for which in (believed, believed & verdict.right)
    )
    counted = {f"checked.{name}": float(n) for name, n in zip(names, checked, strict=True)}
    triples = zip(names, agreed, checked, strict=True)
    return {**{f"agreed.{name}": good / n for name, good, n in triples if n}, **counted}
