"""Which losses an expression such as "ce + 0.5*dice" adds up, and how much each counts."""

from __future__ import annotations

import math
import re
from decimal import Decimal

from landvisor.errors import RecipeError

Terms = tuple[tuple[float, str], ...]
"""Factor and name of every loss of a sum, as written."""

PLACE_LOSSES = ("focal", "ce", "bce", "bce_dice_focal")
"""Losses with terms that are sums over places: label smoothing acts on them."""
SET_LOSSES = ("dice", "jaccard", "lovasz")
"""Losses that compare the set of places of a class with what is taken for it."""
LOSS_NAMES = PLACE_LOSSES + SET_LOSSES

_TERM = re.compile(r"\s*(?:([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*\*\s*)?([a-z_]+)\s*")


def parse_loss(expression: str) -> Terms:
    """Read a sum of losses: names joined by `+`, each after a factor and `*` or alone.

    Args:
        expression: As in `"ce"` or `"ce + 0.5*dice"`. Factors are plain decimals above 0; there
            are no brackets, signs or exponents, and each loss occurs once.

    Raises:
        RecipeError: Naming the first term that is not of this form, and the losses there are.
    """
    terms = tuple(_parse_term(text, expression) for text in expression.split("+"))
    names = [name for _, name in terms]
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"loss {expression!r} has {name!r} twice; add up their factors")
    return terms


def say_loss(terms: Terms) -> str:
    """Write a sum of losses in the one way in which equal sums are equal strings."""
    return " + ".join(name if f == 1 else f"{_say_factor(f)}*{name}" for f, name in terms)


def takes_smoothing(terms: Terms) -> bool:
    """Tell whether label smoothing acts on any term."""
    return any(name in PLACE_LOSSES for _, name in terms)


def _say_factor(factor: float) -> str:
    return f"{Decimal(repr(factor)).normalize():f}"  # str(1e-5) would have an exponent


def _parse_term(text: str, expression: str) -> tuple[float, str]:
    found = _TERM.fullmatch(text)
    if found is None or found[2] not in LOSS_NAMES:
        raise RecipeError(
            f"loss {expression!r} has the term {text.strip()!r}; write a sum such as "
            f"'ce + 0.5*dice' of the losses {', '.join(LOSS_NAMES)}"
        )
    factor = 1.0 if found[1] is None else float(found[1])
    if not 0 < factor < math.inf:
        raise RecipeError(
            f"loss {expression!r} has a factor of {found[1]}; give a finite one above 0, or "
            "leave the term out"
        )
    return factor, found[2]
