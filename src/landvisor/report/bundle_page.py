"""The report of a finished bundle: reads its files back, small, and fills the page."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landvisor.accuracy.assess import Assessment
from landvisor.card import Card
from landvisor.files import RECORD
from landvisor.geo.bundle import MapFiles
from landvisor.geo.legend import Legend
from landvisor.geo.places import SOURCES, Places
from landvisor.geo.rasters import open_scene
from landvisor.geo.scene import Scene, name_crs
from landvisor.geo.thumbnail import read_thumbnail, shrink_step
from landvisor.geo.tiling import split_blocks
from landvisor.labels.material import Material
from landvisor.record import command_line
from landvisor.report.canvas import figure_to_png
from landvisor.report.composite import stretch_rgb
from landvisor.report.figures import Marks, draw_overview
from landvisor.report.map_page import MapPage, render_map_page

SIZE = 900
_BLOCK = 1024
_MAPS = (
    "classes, with names and colours",
    "probability of every class",
    "normalised entropy and margin",
    "style for QGIS",
)
_FILES = {
    "assessment.json": "confusion counts, rates and intervals",
    "model.safetensors": "the model and its card",
    "stac-item.json": "for catalogues",
    RECORD: "versions, seeds, hashes and command",
}


def write_report(
    folder: Path,
    files: Sequence[MapFiles],
    *,
    material: Material,
    card: Card,
    assessment: Assessment | None,
) -> None:
    """Write `report.html` and `overview.png` into a bundle that holds its maps already.

    Args:
        folder: The bundle.
        files: Maps in scene order; the page shows the scene with the most labelled places.
        material: What was learned from.
        card: The model's card.
        assessment: The stated accuracy, or None.
    """
    shown = int(np.bincount(material.places.scene, minlength=len(files)).argmax())
    page = _describe(shown, files, material=material, card=card, assessment=assessment)
    (folder / "report.html").write_text(render_map_page(page), encoding="utf-8")
    assert page.uncertainty is not None, "every map comes with its uncertainty"
    overview = draw_overview(
        page.rgb,
        page.classes,
        uncertainty=page.uncertainty,
        legend=page.legend,
        marks=page.marks,
    )
    (folder / "overview.png").write_bytes(figure_to_png(overview))


def _describe(
    shown: int,
    files: Sequence[MapFiles],
    *,
    material: Material,
    card: Card,
    assessment: Assessment | None,
) -> MapPage:
    scene, legend = material.scenes[shown], card.legend
    pixels = read_thumbnail(scene, size=SIZE)
    classes = read_thumbnail(open_scene(files[shown].classes), size=SIZE)
    unsure = read_thumbnail(open_scene(files[shown].uncertainty), size=SIZE)
    return MapPage(
        title=f"Land cover of {scene.name}" if len(files) == 1 else "Land cover of a collection",
        summary=_summarise(scene, len(files), card),
        legend=legend,
        rgb=stretch_rgb(pixels.data, pixels.valid, bands=scene.bands),
        classes=np.where(classes.valid, classes.data[0], legend.nodata).astype(np.uint8),
        uncertainty=np.where(unsure.valid, unsure.data[0] / 254.0, np.nan),
        marks=_marks(material.places.on_scene(shown), scene),
        assessment=assessment.to_dict() if assessment else None,
        shares=measure_shares([file.classes for file in files], legend),
        training=_training_facts(material, card),
        history=card.training.get("history", {}),
        notes=card.notes,
        command=shlex.join(command_line()),
        files=_list_files(files),
    )


def _list_files(files: Sequence[MapFiles]) -> list[tuple[str, str]]:
    """Name the files beside the report; the record is written after it."""
    folder, first = files[0].classes.parent, files[0]
    alone = len(files) == 1
    lead = "" if alone else "of each scene, here the first: "
    parts = zip((first.classes, first.probabilities, first.uncertainty, first.style), _MAPS,
                strict=True)  # fmt: skip
    others = [(n, text) for n, text in _FILES.items() if (folder / n).exists() or n == RECORD]
    return [*((path.name, lead + text) for path, text in parts), *others]


def measure_shares(maps: Sequence[Path], legend: Legend) -> dict[int, float]:
    """Return each class's share of the mapped pixels of all maps, by id."""
    counts = np.zeros(256, dtype=np.int64)
    for path in maps:
        scene = open_scene(path)
        for block in split_blocks(scene.shape, _BLOCK):
            pixels = scene.read(block)
            counts += np.bincount(pixels.data[0][pixels.valid], minlength=256)
    total = max(int(counts.sum()), 1)
    return {i: float(counts[i] / total) for i in legend.ids}


def _summarise(scene: Scene, count: int, card: Card) -> str:
    rows, cols = scene.shape
    what = f"{rows} by {cols} pixels, {len(scene.bands)} bands"
    where = f" in {name_crs(scene)}" if scene.georeferenced else ", no CRS"
    many = f" One of {count} scenes is shown: {scene.name}." if count > 1 else ""
    return f"{what}{where}. Model: {card.recipe.net.model}.{many}"


def _marks(places: Places, scene: Scene) -> Marks:
    step = shrink_step(scene.shape, SIZE)
    rows, cols = (places.coords / step).T
    return Marks(rows=rows, cols=cols, labels=places.label)


def _training_facts(material: Material, card: Card) -> list[tuple[str, str]]:
    places = material.places
    names = {c.id: c.name for c in material.legend.classes}
    found, counts = np.unique(places.label, return_counts=True)
    per_class = ", ".join(f"{names[int(i)]} {n}" for i, n in zip(found, counts, strict=True))
    return [
        ("labelled places", f"{len(places)}: {per_class}"),
        ("source of labels", _count_sources(places.source)),
        ("imagery", f"{_count_scenes(material)}, bands {', '.join(card.bands)}"),
        ("model", card.recipe.net.model),
        ("seed", str(card.recipe.seed)),
        ("chosen by validation", f"{_say_scores(card)}. This is no statement of accuracy: what "
         "chooses a model flatters it."),
    ]  # fmt: skip


def _count_scenes(material: Material) -> str:
    count = len(material.scenes)
    return f"{count} scene{'s' * (count > 1)}"


def _count_sources(sources: NDArray[np.uint8]) -> str:
    counts = {name: int((sources == code).sum()) for name, code in SOURCES.items()}
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count)


def _say_scores(card: Card) -> str:
    plain = (str, int, float)
    known = {k: v for k, v in card.validation.items() if isinstance(v, plain)}
    names = {"oa": "overall accuracy", "mean_f1": "mean F1", "mean_iou": "mean IoU"}
    return ", ".join(f"{names.get(k, k.replace('_', ' '))} {_say(v)}" for k, v in known.items())


def _say(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
