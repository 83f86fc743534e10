"""How much each arm counts in a comparison: weights that sum to zero."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from landvisor.errors import StudyError
from landvisor.study.choices import raise_unknown
from landvisor.study.design import Arm, Factor, StudyDesign, format_level
from landvisor.study.spec import Contrast

Weights = dict[str, float]
Levels = dict[str, str]


def weigh_contrast(contrast: Contrast, design: StudyDesign) -> Weights:
    """Return the weight of each arm that a contrast names; all others weigh nothing.

    Arms are compared like with like: what `this` and `than` do not name must occur in the same
    combinations on both sides, and is averaged over.

    Raises:
        StudyError: If a factor or level does not exist, or the sides are not balanced.
    """
    if contrast.trend:
        return _weigh_trend(contrast, design)
    this, than = (_resolve(side, design) for side in (contrast.this, contrast.than))
    if not this or not than:
        raise StudyError("a contrast needs the levels of both `this` and `than`, or a `trend`")
    if contrast.interaction:
        return _weigh_interaction(this, than, design)
    _check_balance(this, than, design)
    return _subtract(_average(this, design), _average(than, design))


def say_contrast(contrast: Contrast) -> str:
    """Say a contrast in few words, as in `link.area=disk - link.area=none`."""
    if contrast.trend:
        where = f" where {_say(contrast.where)}" if contrast.where else ""
        return f"trend of {contrast.trend} ({contrast.scale}){where}"
    if contrast.interaction:
        return f"interaction of {' and '.join(_flatten_names(contrast.this))}"
    return f"{_say(contrast.this)} - {_say(contrast.than)}"


def _say(levels: Mapping[str, Any]) -> str:
    return ", ".join(
        format_level(value) if name == "arm" else f"{name}={format_level(value)}"
        for name, value in _flatten_names(levels).items()
    )


def _resolve(given: Mapping[str, Any], design: StudyDesign) -> Levels:
    """Turn what a file says into names of levels; nested tables are dotted names.

    In a one-at-a-time design, a factor that is not named is at its base.
    """
    found: Levels = {}
    for name, value in _flatten_names(given).items():
        factor = _find_factor(name, design)
        level = format_level(value)
        if level not in factor.levels:
            raise_unknown(f"level of {name!r}", level, factor.levels)
        found[name] = level
    if found and design.kind == "one-at-a-time":
        return {f.name: found.get(f.name, next(iter(f.levels))) for f in design.factors}
    return found


def _flatten_names(given: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in given.items():
        name = f"{prefix}{key}"
        flat |= _flatten_names(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat


def _find_factor(name: str, design: StudyDesign) -> Factor:
    factor = design.factor(name)
    if factor is None:
        raise_unknown("factor", name, [f.name for f in design.factors])
    return factor


def _select(levels: Levels, design: StudyDesign) -> list[Arm]:
    chosen = [arm for arm in design.arms if levels.items() <= arm.levels.items()]
    if not chosen:
        said = ", ".join(f"{name}={level}" for name, level in levels.items())
        raise StudyError(f"no arm has {said}; a {design.kind} design has no such combination")
    return chosen


def _average(levels: Levels, design: StudyDesign) -> Weights:
    arms = _select(levels, design)
    return {arm.name: 1 / len(arms) for arm in arms}


def _subtract(first: Weights, second: Weights) -> Weights:
    names = [*first, *(name for name in second if name not in first)]
    weights = {name: first.get(name, 0.0) - second.get(name, 0.0) for name in names}
    return {name: weight for name, weight in weights.items() if weight}


def _check_balance(this: Levels, than: Levels, design: StudyDesign) -> None:
    named = this.keys() | than.keys()
    sides = [
        sorted(
            tuple(level for name, level in arm.levels.items() if name not in named)
            for arm in _select(levels, design)
        )
        for levels in (this, than)
    ]
    if this == than:
        raise StudyError("a contrast has the same levels in `this` and `than`; let them differ")
    if sides[0] != sides[1] or this.keys() != than.keys():
        raise StudyError(
            "a contrast is not balanced: `this` and `than` do not name the same factors, or not "
            f"the same combinations of the others occur on both sides ({len(sides[0])} and "
            f"{len(sides[1])} arms); name the same factors in both"
        )


def _weigh_interaction(this: Levels, than: Levels, design: StudyDesign) -> Weights:
    names = list(this)
    if design.kind != "full" or len(names) != 2 or names != list(than):
        raise StudyError(
            "an interaction names the same two factors in `this` and `than`, of a full design"
        )
    first, second = names
    for name in names:
        if this[name] == than[name]:
            raise StudyError(f"an interaction compares two levels of {name!r}; one was given")
    mixed = [{first: a[first], second: b[second]} for a, b in ((than, this), (this, than))]
    upper = _subtract(_average(this, design), _average(mixed[0], design))
    return _subtract(upper, _subtract(_average(mixed[1], design), _average(than, design)))


def _weigh_trend(contrast: Contrast, design: StudyDesign) -> Weights:
    """Weigh levels by least squares, scaled to the change from the first level to the last."""
    if contrast.this or contrast.than:
        raise StudyError("a contrast has a `trend`, and `this` or `than`; leave one out")
    factor = _find_factor(contrast.trend, design)
    where = {k: v for k, v in _resolve(contrast.where, design).items() if k != factor.name}
    if design.kind == "one-at-a-time":
        where = {f.name: next(iter(f.levels)) for f in design.factors if f.name != factor.name}
    at = np.array(_place_levels(factor, contrast.scale))
    centred = at - at.mean()
    shares = centred * (at[-1] - at[0]) / (centred**2).sum()
    weights: Weights = {}
    for level, share in zip(factor.levels, shares.tolist(), strict=True):
        averaged = _average({**where, factor.name: level}, design)
        weights |= {name: share * part for name, part in averaged.items() if share}
    return weights


def _place_levels(factor: Factor, scale: str) -> list[float]:
    """Return where levels lie along the trend."""
    if scale == "rank":
        return [float(number) for number in range(len(factor.levels))]
    values = list(factor.values.values())
    numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if not values or len(numbers) < len(values):
        raise StudyError(
            f"a {scale} trend needs numbers, and the levels of {factor.name!r} are "
            f"{', '.join(factor.levels)}; use scale 'rank'"
        )
    if scale == "log" and min(numbers) <= 0:
        raise StudyError(f"a log trend needs levels above 0; {factor.name!r} has {min(numbers)}")
    return [math.log(v) if scale == "log" else float(v) for v in numbers]
