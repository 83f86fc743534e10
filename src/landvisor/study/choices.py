"""What a run is told: a recipe, data and points, and how settings by dotted path change them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError

from landvisor.errors import StudyError
from landvisor.recipe import Recipe, option_paths, parse_recipe
from landvisor.study.spec import DataSpec, PointsSpec, Settings, Subset

_SAME = {
    *("collection", "arrays", "splits", "val_share", "legend", "train", "val", "test"),
    *("nodata", "nodata_tolerance", "subset.val", "subset.test"),
}
_IDLE = (
    *("predict.block", "predict.mosaic", "predict.feather", "predict.crs", "predict.resolution"),
    *("predict.on_error", "predict.backend", "predict.calibrate"),
    *("assess.folds", "assess.buffer", "assess.bootstrap"),
)
_REASONS = {
    "seed": "every replicate has its own; say how many with replicates",
    **dict.fromkeys(
        (f"data.{name}" for name in _SAME),
        "it decides which pixels are scored, which must be the same for all arms; say it in [data]",
    ),
    **dict.fromkeys(_IDLE, "it changes nothing in a study, which maps images one by one in memory"),
}


@dataclass(frozen=True)
class Choices:
    """What a run is told besides its seed.

    Attributes:
        recipe: Of fit and prediction.
        data: Images.
        points: Labels.
    """

    recipe: Recipe
    data: DataSpec
    points: PointsSpec

    def with_values(self, settings: Mapping[str, Any]) -> Choices:
        """Return choices with dotted paths set to new values.

        Raises:
            StudyError: If a path does not exist, may not vary, or a value does not fit it.
            RecipeError: If a value does not fit the recipe.
        """
        parts: dict[str, Settings] = {"data": {}, "points": {}, "recipe": {}}
        for path, value in settings.items():
            check_path(path)
            head, _, rest = path.partition(".")
            part, name = (head, rest) if head in ("data", "points") else ("recipe", path)
            parts[part][name] = value
        return Choices(
            self.recipe.with_values(parts["recipe"]),
            _update(self.data, parts["data"], "data"),
            _update(self.points, parts["points"], "points"),
        )


def parse_base_recipe(content: Settings) -> Recipe:
    """Check the recipe that all arms share.

    Raises:
        RecipeError: If a key is unknown or a value does not fit it.
        StudyError: If it says what changes nothing in a study, or a seed.
    """
    for path in flatten(content, known=option_paths()):
        if path in _REASONS:
            raise StudyError(f"[recipe] sets {path!r}: {_REASONS[path]}; leave it out")
    return parse_recipe(content)


def list_paths() -> list[str]:
    """List every dotted path that a factor may vary."""
    data = [f"data.{name}" for name in DataSpec.model_fields if name != "subset"]
    data += [f"data.subset.{name}" for name in Subset.model_fields]
    points = [f"points.{name}" for name in PointsSpec.model_fields]
    return [path for path in (*option_paths(), *data, *points) if path not in _REASONS]


def check_path(path: str) -> None:
    """Refuse a path that does not exist or may not vary.

    Raises:
        StudyError: Naming the nearest valid one, or why.
    """
    if path in _REASONS:
        raise StudyError(f"{path!r} cannot be a factor: {_REASONS[path]}")
    known = list_paths()
    if path not in known:
        raise_unknown("factor path", path, known)


def raise_unknown(what: str, found: str, known: Iterable[str]) -> NoReturn:
    """Refuse a name, and say which valid one is nearest.

    Raises:
        StudyError: Always.
    """
    names = list(known)
    near = difflib.get_close_matches(found, names, n=1, cutoff=0.0)
    few = f"; there are {', '.join(names)}" if len(names) <= _FEW else ""
    raise StudyError(f"unknown {what} {found!r}; the nearest valid one is {near[0]!r}{few}")


_FEW = 12


def flatten(content: Mapping[str, Any], *, known: Iterable[str], prefix: str = "") -> Settings:
    """Turn nested tables into settings by dotted path; a table that is a value stays one."""
    paths, flat = set(known), dict[str, Any]()
    for key, value in content.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and path not in paths:
            flat |= flatten(value, known=paths, prefix=f"{path}.")
        else:
            flat[path] = value
    return flat


def _update(part: Any, values: Settings, name: str) -> Any:
    """Return a spec with values set, checked."""
    content = part.model_dump()
    for key, value in values.items():
        *parents, last = key.split(".")
        inner = content
        for parent in parents:
            inner = inner[parent]
        inner[last] = value
    return check_spec(type(part), content, name=name)


def check_spec(kind: type[BaseModel], content: Mapping[str, Any], *, name: str) -> Any:
    """Check a table and return the spec that it describes.

    Args:
        kind: Class of the spec.
        content: As TOML gives it.
        name: Of the table, for messages; empty for a whole file.

    Raises:
        StudyError: Naming the first bad key with the nearest valid one, or the bad value.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        location = [str(part) for part in first["loc"]]
        path = ".".join([*([name] if name else []), *location])
        if first["type"] == "extra_forbidden":
            raise_unknown("study key", path, _list_keys(kind, location, path))
        if first["type"] == "missing":
            raise StudyError(f"study key {path!r} is missing; add it") from error
        raise StudyError(f"study key {path!r} has {first['input']!r}: {first['msg']}") from error


def _list_keys(kind: type[BaseModel], location: list[str], path: str) -> list[str]:
    """List the keys that stand beside an unknown one."""
    here: Any = kind
    for part in location[:-1]:
        field = getattr(here, "model_fields", {}).get(part)
        found = _find_spec(field.annotation) if field is not None else None
        here = found or here
    parent = path.rpartition(".")[0]
    return [f"{parent}.{key}" if parent else key for key in here.model_fields]


def _find_spec(annotation: Any) -> Any:
    """Find the spec in an annotation such as `tuple[Spec, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_find_spec(part) for part in getattr(annotation, "__args__", ()))
    return next(filter(None, inner), None)
