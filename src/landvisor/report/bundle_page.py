"""The report of a finished bundle: reads its files back, small, and fills the page."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landvisor.accuracy.assess import Assessment
from landvisor.accuracy.buffer import measure_distances
from landvisor.accuracy.folds import assign_folds
from landvisor.accuracy.units import cut_scene
from landvisor.card import Card
from landvisor.files import RECORD
from landvisor.geo.bundle import MapFiles
from landvisor.geo.legend import Legend
from landvisor.geo.places import SOURCES, Places
from landvisor.geo.planes import lay_out
from landvisor.geo.rasters import open_scene
from landvisor.geo.scene import Scene, name_crs
from landvisor.geo.thumbnail import read_thumbnail, shrink_step
from landvisor.geo.tiling import split_blocks
from landvisor.labels.material import Material
from landvisor.record import command_line
from landvisor.report.canvas import figure_to_png
from landvisor.report.composite import stretch_rgb
from landvisor.report.figures import Marks, draw_overview
from landvisor.report.fold_map import FoldMap
from landvisor.report.map_page import MapPage, render_map_page

History = Mapping[str, Sequence[float]]
SIZE = 900
_BLOCK = 1024
_MAPS = (
    "classes, with names and colours",
    "probability of every class",
    "normalised entropy, margin and, of several models, their disagreement",
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
    rgb = stretch_rgb(pixels.data, pixels.valid, bands=scene.bands)
    histories = list(find_histories(card))
    return MapPage(
        title=f"Land cover of {scene.name}" if len(files) == 1 else "Land cover of a collection",
        summary=_summarise(scene, len(files), card),
        legend=legend,
        rgb=rgb,
        classes=np.where(classes.valid, classes.data[0], legend.nodata).astype(np.uint8),
        uncertainty=np.where(unsure.valid, unsure.data[0] / 254.0, np.nan),
        marks=_marks(material.places.on_scene(shown), scene),
        assessment=assessment.to_dict() if assessment else None,
        shares=measure_shares([file.classes for file in files], legend),
        training=_training_facts(material, card),
        history=histories[0] if histories else {},
        other_histories=histories[1:],
        folds=_map_folds(shown, material, card, assessment, rgb=rgb),
        notes=card.notes,
        command=shlex.join(command_line()),
        files=_list_files(files),
    )


def find_histories(card: Card) -> Iterator[History]:
    """Yield what each training of a network recorded: of a model, or of an ensemble's members."""
    own = card.training.get("history")
    if own:
        yield own
        return
    for member in card.extra.get("members", ()):
        yield from find_histories(Card.model_validate(member["card"]))


def _map_folds(
    shown: int,
    material: Material,
    card: Card,
    assessment: Assessment | None,
    *,
    rgb: NDArray[np.uint8],
) -> FoldMap | None:
    """Deal the places to folds again, as the assessment did, and show those of one scene."""
    apart = None if assessment is None else assessment.separation
    here = material.places.scene == shown
    if apart is None or not here.any():
        return None
    folds = assign_folds(
        material.places,
        shapes=material.shapes,
        folds=apart.folds,
        seed=card.recipe.seed,
        scene_groups=material.groups,
        hold_out=card.recipe.assess.hold_out,
        distance=max(apart.dependence.distance, apart.sight.distance),
    )
    laid = lay_out(material.places, [scene.grid for scene in material.scenes])
    fold = int(np.bincount(folds.fold[here]).argmax())
    near = measure_distances(laid, folds, only=fold)[0] < apart.taken
    scene = material.scenes[shown]
    step = shrink_step(scene.shape, SIZE)
    rows, cols = (material.places.coords[here] / step).T
    return FoldMap(
        rgb=rgb,
        rows=rows,
        cols=cols,
        fold=folds.fold[here],
        cells=None if folds.size is None else cut_scene(scene.shape, folds.size),
        shown=fold,
        dropped=(near & (folds.fold != fold))[here],
        buffer=apart.taken / step,
        told=f"{apart.taken:.0f} pixels" if apart.taken else "none",
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
