"""How predicted rows become the files of a map, for one scene or many."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path

from landvisor.files import RECORD, write_json, writing
from landvisor.geo.bundle import MapFiles, list_rasters, map_files, write_map
from landvisor.geo.collection import Collection
from landvisor.geo.identify import identify_imagery
from landvisor.geo.legend import Legend
from landvisor.geo.points import Points
from landvisor.geo.scene import Scene
from landvisor.geo.stac import write_stac_item
from landvisor.geo.tiling import full_window, split_blocks
from landvisor.journal import Journal
from landvisor.learn.ensemble import identify_model
from landvisor.learn.model import Model
from landvisor.learn.model_file import save_model
from landvisor.options import Options, Progress
from landvisor.parallel import work_ahead
from landvisor.predict.adapt import adapt_scenes
from landvisor.predict.blocks import BlockStore, cut_blocks, find_area, pack, plan_runs
from landvisor.predict.stream import check_fit, predict_rows
from landvisor.recipe import PredictSpec, Recipe
from landvisor.record import command_line, find_versions, run_record

log = logging.getLogger(__name__)


def map_stem(scenes: Sequence[Scene], position: int) -> str:
    """Name a scene's map: `map` where it is alone, else the scene's own name."""
    return "map" if len(scenes) == 1 else scenes[position].name


def make_maps(
    model: Model,
    collection: Collection,
    *,
    work: Path,
    spec: PredictSpec,
    options: Options,
) -> list[Path]:
    """Predict scenes, or go on where a killed run stopped, and make their maps in `work`.

    Args:
        model: What to predict with.
        collection: Scenes that fit the model; all are checked before the first is predicted.
        work: A folder that this process holds; see `landvisor.files.work_folder`.
        spec: Window, overlap, batch and block size; views; matching.
        options: How scenes are read; its `on_pixels` is called over all scenes.

    Returns:
        The files of all maps.

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
        return _make(model, adapt_scenes(model, scenes, spec), journal, spec=spec, options=options)
    except BaseException:
        journal.drop_if_empty()
        if len(journal):
            log.warning("what was finished is kept: the same command goes on from there")
        raise


def _make(
    model: Model, scenes: Sequence[Scene], journal: Journal, *, spec: PredictSpec, options: Options
) -> list[Path]:
    legend = model.card.legend
    tell = _Counter(sum(full_window(scene.shape).size for scene in scenes), options.on_pixels)
    made: list[Path] = []
    for position, scene in enumerate(scenes):
        log.info("predicting %s", scene.name)
        blocks = list(split_blocks(scene.shape, spec.block))
        store = BlockStore(journal, map_stem(scenes, position), blocks=blocks, legend=legend)
        _fill(store, model, scene, spec=spec, tell=tell)
        made += _assemble(store, scene, journal, legend=legend)
    return made


def _fill(
    store: BlockStore, model: Model, scene: Scene, *, spec: PredictSpec, tell: _Counter
) -> None:
    """Predict the blocks that are missing."""
    missing = store.find_missing()
    tell.add(full_window(scene.shape).size - sum(block.size for block in missing))
    for run in plan_runs(scene.shape, spec.block, missing):
        parts = predict_rows(model, scene, spec, area=find_area(run))
        blocks = work_ahead(cut_blocks(parts, run, legend=model.card.legend), most=1)
        for block, planes in blocks:
            store.write(block, pack(planes))
            tell.add(block.size)


def _assemble(store: BlockStore, scene: Scene, journal: Journal, *, legend: Legend) -> list[Path]:
    """Make the files of a scene's map, but for those that are finished."""
    files = map_files(journal.folder / "maps", store.stem)
    names = [part.path for part in list_rasters(files, legend)]
    done = [path for path in names if journal.holds(path.relative_to(journal.folder).as_posix())]
    with writing(files.classes):
        files.classes.parent.mkdir(exist_ok=True)
    for path in write_map(files, scene.grid, legend=legend, read_blocks=store.read, done=done):
        journal.note(path)
    return [*names, files.style, files.names]


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


def write_bundle(
    model: Model, scenes: Sequence[Scene], folder: Path, *, made: Sequence[Path]
) -> list[MapFiles]:
    """Move finished maps into a folder, and write the model and what is known beside them.

    Args:
        model: What made the maps.
        scenes: What they are of; a STAC item is written where there is one.
        folder: An existing folder, published later by the caller.
        made: What `make_maps` returned.

    Raises:
        OutputError: If writing fails.
    """
    with writing(folder):
        for path in made:
            path.replace(folder / path.name)
    save_model(model, folder / "model.safetensors")
    if len(scenes) == 1:
        write_stac_item(folder, grid=scenes[0].grid, legend=model.card.legend, card=model.card)
    return [map_files(folder, map_stem(scenes, position)) for position in range(len(scenes))]


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
