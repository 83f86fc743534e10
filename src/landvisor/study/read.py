"""How a study file is read and checked: strict TOML, and claims that can be tested."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landvisor.errors import StudyError
from landvisor.study.choices import check_spec, raise_unknown
from landvisor.study.contrast import weigh_contrast
from landvisor.study.design import StudyDesign, make_design
from landvisor.study.metrics import STANDARD, check_metric
from landvisor.study.spec import HypothesisSpec, StudySpec

_VARIANT = "variant"


@dataclass(frozen=True)
class Study:
    """A study that was read and checked.

    Attributes:
        spec: All that it says, defaults filled in.
        design: Its factors and arms.
        variant: `` or the name of the variant that overrides some of it.
        folder: Where its file lies; paths of data are relative to it unless told otherwise.
    """

    spec: StudySpec
    design: StudyDesign
    variant: str
    folder: Path

    def frozen(self) -> dict[str, Any]:
        """Return what must not change once the first run is done: the claims and their rules."""
        return freeze(self.spec)


def freeze(spec: StudySpec) -> dict[str, Any]:
    """Return the part of a study that is fixed at its first run, as plain values."""
    content = spec.model_dump(mode="json")
    return {name: content[name] for name in ("hypothesis", "scoring", "analysis")}


def hash_frozen(frozen: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what `freeze` returned."""
    return hashlib.sha256(json.dumps(frozen, sort_keys=True).encode()).hexdigest()


def read_study(path: Path | str, *, variant: str = "") -> Study:
    """Read a study from strict TOML.

    Args:
        path: The file; its name without suffix is the study's unless it has a `name`.
        variant: A table of `[variant]` whose values take the place of others; none if empty.

    Raises:
        StudyError: If the file is missing, is not TOML, has an unknown key or bad value, names
            what does not exist, or asks for a comparison that cannot be made or makes no sense.
        RecipeError: If the recipe of an arm is none.
    """
    file = Path(path)
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise StudyError(f"no study at {str(file)!r}; give a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyError(f"study {str(file)!r} is not TOML: {error}") from error
    content.setdefault("name", file.stem)
    return parse_study(content, variant=variant, folder=file.parent)


def parse_study(content: Mapping[str, Any], *, variant: str = "", folder: Path) -> Study:
    """Check nested tables and return the study that they describe; see `read_study`."""
    tables = dict(content)
    variants = tables.pop(_VARIANT, {})
    if variant and variant not in variants:
        if not variants:
            raise StudyError(f"the study has no variant {variant!r}: it has none; leave it out")
        raise_unknown("variant", variant, variants)
    for name in variants if isinstance(variants, Mapping) else ():
        _check_all(_merge(tables, variants[name]))  # a variant nobody has run yet is checked too
    merged = _merge(tables, variants[variant]) if variant else tables
    spec, design = _check_all(merged)
    return Study(spec, design, variant, folder)


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        inner = merged.get(key)
        both = isinstance(inner, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(inner, value) if both else value  # type: ignore[arg-type]
    return merged


def _check_all(content: Mapping[str, Any]) -> tuple[StudySpec, StudyDesign]:
    spec: StudySpec = check_spec(StudySpec, content, name="")
    _check_data(spec)
    design = make_design(spec)
    _check_scorings(spec)
    names = [hypothesis.name for hypothesis in spec.hypothesis]
    if len(set(names)) < len(names):
        raise StudyError("two hypotheses have one name; let each have its own")
    for hypothesis in spec.hypothesis:
        _check_hypothesis(hypothesis, spec, design)
    for metric in spec.analysis.metrics:
        check_metric(metric, said="analysis.metrics")
    return spec, design


def _check_data(spec: StudySpec) -> None:
    data = spec.data
    if bool(data.collection) == bool(data.arrays):
        raise StudyError("[data] names a collection or arrays, one of both")
    if data.splits and len(data.splits) != len(data.arrays):
        raise StudyError(
            f"data.splits names {len(data.splits)} and data.arrays {len(data.arrays)}; need one "
            "split for each file of arrays"
        )
    if not spec.seeds or len(set(spec.seeds)) < len(spec.seeds):
        raise StudyError(f"replicates {spec.replicates!r} found; give seeds, each once")


def _check_scorings(spec: StudySpec) -> None:
    if STANDARD in spec.scoring:
        raise StudyError(f"scoring {STANDARD!r} is every study's own; give yours another name")
    known = [STANDARD, *spec.scoring]
    wanted = [spec.analysis.scoring, *(hypothesis.scoring for hypothesis in spec.hypothesis)]
    for name in wanted:
        if name not in known:
            raise_unknown("scoring", name, known)
    for name, scoring in spec.scoring.items():
        if scoring.reference == "linked" and scoring.link.area == "none":
            raise StudyError(f"scoring {name!r} links nothing; set its link.area to another")
        if scoring.reference != "masks" and scoring.border:
            raise StudyError(f"scoring {name!r} is not of masks, which have borders; set border 0")
        if scoring.reference != "masks" and scoring.points.strategy == "masks":
            raise StudyError(f"scoring {name!r} is at points; set its points.strategy to another")


def _check_hypothesis(claim: HypothesisSpec, spec: StudySpec, design: StudyDesign) -> None:
    said = f"hypothesis {claim.name!r}"
    check_metric(claim.metric, said=said)
    try:
        weigh_contrast(claim.contrast, design)
    except StudyError as error:
        raise StudyError(f"{said}: {error}") from error
    for test in (claim.test, spec.analysis.test):
        if len(spec.seeds) < 2 and test != "images":
            raise StudyError(
                f"{said} is tested by {test!r} on one replicate, which shows no spread between "
                "seeds; give replicates = 3, or test = 'images'"
            )
