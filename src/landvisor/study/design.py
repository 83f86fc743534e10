"""Which arms a study has: factors and their levels, or named settings, and what each is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from landvisor.errors import RecipeError, StudyError
from landvisor.study.choices import Choices, check_path, flatten, list_paths, parse_base_recipe
from landvisor.study.spec import Settings, StudySpec

ARM = "arm"
"""The one factor of a paired design."""

BASE = "base"
"""The arm of a one-at-a-time design in which every factor has its first level."""


@dataclass(frozen=True)
class Factor:
    """A factor with its levels in order.

    Attributes:
        name: A dotted path, or the name of a bundle of settings.
        levels: What a run is told by name of the level.
        values: The levels as they stand in the file, by name; a bundle has none.
    """

    name: str
    levels: dict[str, Settings]
    values: dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """One combination of levels.

    Attributes:
        name: As reports call it.
        levels: Level by factor.
        settings: What it changes.
        choices: All that its runs are told.
    """

    name: str
    levels: dict[str, str]
    settings: Settings
    choices: Choices


@dataclass(frozen=True)
class StudyDesign:
    """Factors, and the arms that a design makes of them, in order."""

    kind: str
    factors: tuple[Factor, ...]
    arms: tuple[Arm, ...]

    def factor(self, name: str) -> Factor | None:
        """Find a factor by its name."""
        return next((factor for factor in self.factors if factor.name == name), None)


def make_design(spec: StudySpec) -> StudyDesign:
    """List the factors and arms of a study.

    Raises:
        StudyError: If there are too few arms, two are the same, or a factor cannot vary.
        RecipeError: If an arm's recipe is none.
    """
    base = Choices(parse_base_recipe(spec.recipe), spec.data, spec.points)
    factors = _list_factors(spec)
    combinations = _combine(spec.design, factors)
    arms = tuple(
        _make_arm(_name_arm(spec.design, levels, factors), levels, factors, base)
        for levels in combinations
    )
    _check_arms(arms)
    return StudyDesign(spec.design, factors, arms)


def format_level(value: Any) -> str:
    """Say a level as text, as in `0.25`, `true` or `256, 256`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(format_level, value)) or "none"
    return str(value)


def _list_factors(spec: StudySpec) -> tuple[Factor, ...]:
    if spec.design == "paired":
        if spec.factors or not spec.arms:
            raise StudyError("design 'paired' compares the settings of [arms]; list them there")
        levels = {name: _flatten(settings) for name, settings in spec.arms.items()}
        return (Factor(ARM, levels, {}),)
    if spec.arms or not spec.factors:
        raise StudyError(
            f"design {spec.design!r} combines the levels of [factors]; list them there"
        )
    return tuple(_make_factor(name, given) for name, given in _gather(spec.factors).items())


def _gather(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Find factors in nested tables: `fit.lr = [...]` is written with or without quotes."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        name = f"{prefix}{key}"
        if not isinstance(value, Mapping):
            found[name] = value
        elif value and all(isinstance(level, Mapping) for level in value.values()):
            lists = [not _holds_settings(level) for level in value.values()]
            found |= _gather(value, f"{name}.") if any(lists) else {name: value}
        else:
            found |= _gather(value, f"{name}.")
    return found


def _holds_settings(level: Mapping[str, Any]) -> bool:
    """Tell the settings of a level, whose paths are known, from further names of a factor."""
    known = set(list_paths())
    return all(
        path in known or "." in path for path in flatten(level, known=known)
    )  # what is wrong with a path is said where it is checked


def _make_factor(name: str, given: Any) -> Factor:
    if isinstance(given, Mapping):
        levels = {label: _flatten(settings) for label, settings in given.items()}
        values: dict[str, Any] = {}
    elif isinstance(given, list):
        check_path(name)
        levels = {format_level(value): {name: value} for value in given}
        values = {format_level(value): value for value in given}
        if len(levels) < len(given):
            raise StudyError(f"factor {name!r} has a level twice; list each once")
    else:
        raise StudyError(
            f"factor {name!r} has {given!r}; give a list of values, or a table of named settings"
        )
    if len(levels) < 2:
        raise StudyError(f"factor {name!r} has {len(levels)} level; it needs two at least")
    return Factor(name, levels, values)


def _flatten(settings: Mapping[str, Any]) -> Settings:
    if not isinstance(settings, Mapping):
        raise StudyError(f"settings {settings!r} found; write them as {{ 'fit.lr' = 0.001 }}")
    flat = flatten(settings, known=list_paths())
    for path in flat:
        check_path(path)
    return flat


def _combine(kind: str, factors: tuple[Factor, ...]) -> list[dict[str, str]]:
    names = [factor.name for factor in factors]
    if kind != "one-at-a-time":
        rows = product(*(factor.levels for factor in factors))
        return [dict(zip(names, row, strict=True)) for row in rows]
    base = _list_first(factors)
    others = [
        {**base, factor.name: level} for factor in factors for level in list(factor.levels)[1:]
    ]
    return [base, *others]


def _list_first(factors: tuple[Factor, ...]) -> dict[str, str]:
    return {factor.name: next(iter(factor.levels)) for factor in factors}


def _name_arm(kind: str, levels: Mapping[str, str], factors: tuple[Factor, ...]) -> str:
    """Name an arm by its levels: all of them, or those in which it departs from the base."""
    if len(factors) == 1:
        return levels[factors[0].name]
    usual = _list_first(factors) if kind == "one-at-a-time" else {}
    told = [f"{name}={level}" for name, level in levels.items() if usual.get(name) != level]
    return ", ".join(told) or BASE


def _make_arm(name: str, levels: dict[str, str], factors: tuple[Factor, ...], base: Choices) -> Arm:
    settings: Settings = {}
    for factor in factors:
        new = factor.levels[levels[factor.name]]
        twice = next((path for path in new if path in settings), None)
        if twice is not None:
            raise StudyError(f"two factors set {twice!r}; let each path be set by one of them")
        settings |= new
    try:
        return Arm(name, levels, settings, base.with_values(settings))
    except (RecipeError, StudyError) as error:
        raise type(error)(f"arm {name!r}: {error}") from error


def _check_arms(arms: tuple[Arm, ...]) -> None:
    if len(arms) < 2:
        raise StudyError(f"the study has {len(arms)} arm; a comparison needs two at least")
    for number, arm in enumerate(arms):
        same = next((a for a in arms[:number] if a.choices == arm.choices), None)
        if same is not None:
            raise StudyError(
                f"arms {same.name!r} and {arm.name!r} are told the same; let them differ"
            )
