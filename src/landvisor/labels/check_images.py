"""What is wrong with images: sizes, bands, values, no-data and masks that repeat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from landvisor.errors import LandvisorError
from landvisor.geo.collection import Item
from landvisor.geo.legend import Legend
from landvisor.geo.mask_values import count_values, describe_unknown
from landvisor.geo.scene import Scene, name_crs
from landvisor.geo.survey import Survey, join_surveys, survey_scenes
from landvisor.labels.detectors import detect_identical_masks
from landvisor.labels.findings import Finding, Level, attempt
from landvisor.labels.looks import Look, MaskLook, look_at_mask
from landvisor.parallel import map_ordered
from landvisor.phrases import list_few, say_count

_BLACK_SHARE = 0.01


def check_scenes(scenes: Sequence[Scene], looks: Sequence[Look]) -> list[Finding]:
    """Check sizes, bands, values and no-data of scenes.

    Args:
        scenes: The scenes, all of which can be read.
        looks: What they look like.
    """
    found: list[Finding] = []
    if not scenes:
        return [Finding("problem", "no scene can be opened")]
    found += _check_kinship(scenes)
    found += [Finding("note", note) for note in dict.fromkeys(n for s in scenes for n in s.notes)]
    if len({len(scene.bands) for scene in scenes}) > 1:
        return found
    surveys = attempt(survey_scenes, scenes, found=found)
    if surveys is not None:
        found += _check_values(scenes, join_surveys(surveys), looks)
    return found


def check_masks(
    items: Sequence[Item],
    scenes: Sequence[Scene],
    looks: Sequence[Look],
    *,
    legend: Legend | None,
    needed: bool,
) -> list[Finding]:
    """Check the masks of a collection.

    Args:
        items: Scenes that can be read, with their masks.
        scenes: The same scenes, opened.
        looks: What they look like.
        legend: Their classes, or None.
        needed: The masks are the labels, so that a wrong one is a problem.
    """
    which = [position for position, item in enumerate(items) if item.mask]
    if not which:
        return []
    found: list[Finding] = []
    pixels: dict[int, int] = {}
    masked = []
    read = map_ordered(lambda i: _try_mask(items[i], scenes[i], legend), which)
    for position, known in zip(which, read, strict=True):
        if isinstance(known, LandvisorError):
            found.append(Finding("problem" if needed else "note", str(known)))
            continue
        masked.append(replace(looks[position], mask=known[1]))
        for value, count in known[0].items():
            pixels[value] = pixels.get(value, 0) + count
    found += _check_shared(masked)
    if not masked:
        return found
    if legend is None:
        text = f"masks hold the values {list_few(map(str, sorted(pixels)))} but there is no legend"
        return [*found, Finding("problem" if needed else "note", f"{text}; give --legend")]
    total = max(1, sum(pixels.values()))
    shares = (f"{c.name} {100 * pixels.get(c.id, 0) / total:.2f} %" for c in legend.classes)
    found.append(Finding("ok", f"{say_count(len(masked), 'mask')}: {', '.join(shares)} of pixels"))
    return found + [Finding("note", text) for text in describe_unknown(pixels, legend)]


def _try_mask(
    item: Item, scene: Scene, legend: Legend | None
) -> tuple[dict[int, int], MaskLook] | LandvisorError:
    try:
        mask = item.read_mask(scene)
    except LandvisorError as error:
        return error
    return count_values(mask), look_at_mask(mask, legend)


def _check_shared(looks: Sequence[Look]) -> list[Finding]:
    """Say which images share a drawn mask though they show different things."""
    told = [look for look in looks if look.seen.any()]
    if not told or len({len(look.mean) for look in told}) > 1:
        return []
    verdict = detect_identical_masks(told)
    names = [told[i].name for i in np.flatnonzero(verdict.suspect)]
    if not names:
        return []
    images = say_count(len(names), "image")  # one alone where the others of its mask are alike
    text = f"{images} unlike others that have exactly the same mask: {list_few(names)}"
    rows = tuple({"image": name} for name in names)
    return [Finding("note", f"{text}; `landvisor clean` leaves them out", rows)]


def _check_kinship(scenes: Sequence[Scene]) -> list[Finding]:
    """Say size, bands, type and CRS, and where scenes differ in them."""
    first = scenes[0]
    shapes = sorted({scene.shape for scene in scenes})
    size = " to ".join(f"{r} × {c}" for r, c in dict.fromkeys((shapes[0], shapes[-1])))
    name = first.name if len(scenes) == 1 else say_count(len(scenes), "scene")
    found = [
        Finding(
            "ok",
            f"{name}: {size} pixels (rows × columns), {_describe_bands(first)}, "
            f"{first.dtype}, {_crs(first)}",
        )
    ]
    kinds: tuple[tuple[Level, str, Callable[[Scene], object]], ...] = (
        ("problem", "numbers of bands", lambda scene: len(scene.bands)),
        ("note", "band names", lambda scene: tuple(map(str.casefold, scene.bands))),
        ("note", "data types", lambda scene: scene.dtype),
        ("note", "CRSs", _crs),
    )
    for level, what, value in kinds:
        others = [scene for scene in scenes if value(scene) != value(first)]
        if others:
            example = f"{first.name} has {value(first)}, {others[0].name} has {value(others[0])}"
            found.append(Finding(level, f"scenes differ in {what}: {example}"))
    return found


def _check_values(scenes: Sequence[Scene], whole: Survey, looks: Sequence[Look]) -> list[Finding]:
    about = "" if whole.whole else "about "
    share = f"{about}{100 * whole.valid / whole.pixels:.1f} % of pixels hold data"
    if not any(look.seen.any() for look in looks):
        return [Finding("problem", f"{share}; check the no-data value and the area of interest")]
    found = [Finding("ok", share), Finding("ok", f"values: {_ranges(scenes[0], whole)}")]
    bare = [look.name for look in looks if not look.seen.any()]
    dead = [name for name, same in zip(scenes[0].bands, whole.constant, strict=True) if same]
    partly = _find_dead(scenes, looks, set(dead))
    black = whole.black / max(1, whole.valid)
    lossy = " --nodata-tolerance 6" if scenes[0].dtype == np.uint8 else ""
    said = (
        (bare, f"scenes without data: {list_few(bare)}"),
        (dead, f"bands with one value only, which tell nothing: {list_few(dead)}"),
        (partly, f"scenes where a band has one value only: {list_few(partly)}"),
        (whole.infinite, f"infinite values in {say_count(whole.infinite, 'pixel')}; declare them "
         "as no-data"),
        (black >= _BLACK_SHARE, f"{about}{100 * black:.1f} % of valid pixels lie in black "
         f"areas; if that is no-data, say --nodata 0{lossy}"),
    )  # fmt: skip
    return found + [Finding("note", text) for occurs, text in said if occurs]


def _find_dead(scenes: Sequence[Scene], looks: Sequence[Look], known: set[str]) -> list[str]:
    """Name the bands that have one value in single scenes, scene by scene."""
    named = []
    for scene, look in zip(scenes, looks, strict=True):
        bands = [b for b, same in zip(scene.bands, look.flat, strict=True) if same]
        named += [f"{scene.name} ({', '.join(bands)})"] if set(bands) - known else []
    return named


def _ranges(scene: Scene, survey: Survey) -> str:
    limits = zip(scene.bands, survey.low, survey.high, strict=True)
    return ", ".join(f"{name} {low:g} to {high:g}" for name, low, high in limits)


def _describe_bands(scene: Scene) -> str:
    return f"{say_count(len(scene.bands), 'band')} ({', '.join(scene.bands)})"


def _crs(scene: Scene) -> str:
    return name_crs(scene) or "no CRS"
