"""How predicted rows become the files of a map, for one scene or many."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path

from odc.geo.geobox import GeoBox

from landvisor.files import RECORD, write_json, writing
from landvisor.geo.bundle import MapFiles, list_rasters, map_files, write_map
from landvisor.geo.collection import Collection
from landvisor.geo.identify import identify_imagery
from landvisor.geo.legend import Legend
from landvisor.geo.points import Points
from landvisor.geo.scene import Scene
from landvisor.geo.stac import write_stac_item
from landvisor.geo.tiling import Window, full_window, split_blocks
from landvisor.geo.vrt import write_map_vrt
from landvisor.journal import Journal
from landvisor.learn.ensemble import identify_model
from landvisor.learn.model import Model
from landvisor.learn.model_file import save_model
from landvisor.options import Options, Progress
from landvisor.predict.adapt import adapt_scenes
from landvisor.predict.blocks import BlockStore, plan_runs
from landvisor.predict.picture import Picture, plan_pictures
from landvisor.predict.stream import check_fit
from landvisor.predict.team import Task, Team, gather_team
from landvisor.recipe import PredictSpec, Recipe
from landvisor.record import command_line, find_versions, run_record

log = logging.getLogger(__name__)


def map_stem(pictures: Sequence[Scene | Picture], position: int) -> str:
    """Name a map: `map` where it is alone, else by its scene."""
    return "map" if len(pictures) == 1 else pictures[position].name


@dataclass(frozen=True)
class MadeMap:
    """A finished map that is not published yet: where it lies, on earth and on the disk."""

    grid: GeoBox
    files: MapFiles


def make_maps(
    model: Model,
    collection: Collection,
    *,
    work: Path,
    spec: PredictSpec,
    options: Options,
) -> list[MadeMap]:
    """Predict scenes, or go on where a killed run stopped, and make their maps in `work`.

    Args:
        model: What to predict with.
        collection: Scenes that fit the model; all are checked before the first is predicted.
        work: A folder that this process holds; see `landvisor.files.work_folder`.
        spec: Window, overlap, batch and block size; views; matching.
        options: How scenes are read; its `on_pixels` is called over all scenes.

    Returns:
        A map of each scene, or of all of them where `spec.mosaic` says so.

    Raises:
        ModelError: If a scene does not fit.
        OutputError: If writing fails.
    """
    scenes = collection.open_scenes(options.reading)
    for scene in scenes:
        check_fit(model, scene)
    journal = Journal(
        work / "predict",
        {
            "the model": identify_model(model),
            "the imagery": identify_imagery(collection, scenes, options.reading),
            "the options": spec.model_dump(mode="json"),
            "the software": find_versions(),
        },
    )
    if len(journal):
        log.info("going on from the %d files that an earlier attempt finished", len(journal))
    try:
        pictures = plan_pictures(collection, adapt_scenes(model, scenes, spec), spec)
        with gather_team(options) as team:
            return _make(model, pictures, journal, spec=spec, team=team, tell=options.on_pixels)
    except BaseException:
        journal.drop_if_empty()
        if len(journal):
            log.warning("what was finished is kept: the same command goes on from there")
        raise


def _make(
    model: Model,
    pictures: Sequence[Picture],
    journal: Journal,
    *,
    spec: PredictSpec,
    team: Team,
    tell: Progress | None,
) -> list[MadeMap]:
    legend = model.card.legend
    counter = _Counter(sum(full_window(picture.grid.shape).size for picture in pictures), tell)
    stores = [
        BlockStore(
            journal,
            map_stem(pictures, position),
            blocks=list(split_blocks(picture.grid.shape, spec.block)),
            legend=legend,
        )
        for position, picture in enumerate(pictures)
    ]
    missing = [set(store.find_missing()) for store in stores]
    counter.add(sum(store.pixels for store in stores) - sum(b.size for m in missing for b in m))
    tasks = _plan_tasks(pictures, missing, spec, most=team.longest_run(sum(map(len, missing))))
    for packed in team.predict(model, spec, tasks):
        stores[packed.position].write(packed.block, packed.content)
        counter.add(packed.block.size)
        missing[packed.position].discard(packed.block)
        if not missing[packed.position]:
            _assemble(stores[packed.position], pictures[packed.position].grid, journal, legend)
    return [
        MadeMap(picture.grid, _assemble(store, picture.grid, journal, legend))
        for picture, store in zip(pictures, stores, strict=True)
    ]


def _plan_tasks(
    pictures: Sequence[Picture],
    missing: Sequence[AbstractSet[Window]],
    spec: PredictSpec,
    *,
    most: int | None,
) -> Iterator[Task]:
    for position, picture in enumerate(pictures):
        if missing[position]:
            log.info("predicting %s", picture.name)
        for run in plan_runs(picture.grid.shape, spec.block, missing[position], most=most):
            yield Task(position, picture, tuple(run))


def _assemble(store: BlockStore, grid: GeoBox, journal: Journal, legend: Legend) -> MapFiles:
    """Make the files of a map from its blocks, but for those that are finished."""
    files = map_files(journal.folder / "maps", store.stem)
    done = [part.path for part in list_rasters(files, legend) if journal.holds(part.path)]
    with writing(files.classes):
        files.classes.parent.mkdir(exist_ok=True)
    for path in write_map(files, grid, legend=legend, read_blocks=store.read, done=done):
        journal.note(path)
    return files


class _Counter:
    """Counts the pixels that are done, for whoever wants to know."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total = 0, total
        self._progress = progress

    def add(self, pixels: int) -> None:
        """Count pixels, and tell of it."""
        self._done += pixels
        if self._progress and pixels:
            self._progress(self._done, self._total)


def write_bundle(model: Model, folder: Path, *, made: Sequence[MadeMap]) -> list[MapFiles]:
    """Move finished maps into a folder, and write the model and what is known beside them.

    Beside one map lies a STAC item, beside several a virtual raster that shows them as one.

    Args:
        model: What made the maps.
        folder: An existing folder, published later by the caller.
        made: What `make_maps` returned.

    Raises:
        OutputError: If writing fails.
    """
    moved = [published(each.files, folder) for each in made]
    with writing(folder):
        for each, files in zip(made, moved, strict=True):
            for part in fields(MapFiles):
                getattr(each.files, part.name).replace(getattr(files, part.name))
    save_model(model, folder / "model.safetensors")
    if len(made) == 1:
        write_stac_item(folder, grid=made[0].grid, legend=model.card.legend, card=model.card)
    elif all(each.grid.crs is not None for each in made):
        write_map_vrt(folder / "maps.vrt", [files.classes for files in moved])
    return moved


def published(files: MapFiles, folder: Path) -> MapFiles:
    """Return the same files in the folder that they were published as."""
    return MapFiles(*(folder / getattr(files, part.name).name for part in fields(MapFiles)))


def write_run(
    folder: Path,
    recipe: Recipe,
    started: datetime,
    *,
    scenes: Collection,
    labels: Path | str | Points | None,
) -> None:
    """Write `run.json`, the commit record of a filled folder.

    Args:
        folder: The bundle; its files are hashed.
        recipe: All choices.
        started: When the run began.
        scenes: Their image files are hashed.
        labels: The points file; points in memory have no name to record.
    """
    inputs = scenes.files()
    if isinstance(labels, Path | str):
        inputs["points"] = labels
    record = run_record(
        command_line(),
        seed=recipe.seed,
        recipe=recipe.model_dump(mode="json"),
        inputs=inputs,
        started=started,
        outputs=folder,
    )
    write_json(folder / RECORD, record)
