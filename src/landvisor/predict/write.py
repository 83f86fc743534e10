"""How predicted rows become the files of a map, for one scene or many."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path

from landvisor.files import RECORD, command_line, run_record, write_json
from landvisor.geo.bundle import MapFiles, MapWriter, map_files
from landvisor.geo.collection import Collection
from landvisor.geo.points import Points
from landvisor.geo.scene import Scene
from landvisor.geo.stac import write_stac_item
from landvisor.learn.model import Model
from landvisor.learn.model_file import save_model
from landvisor.options import Progress
from landvisor.predict.adapt import adapt_scenes
from landvisor.predict.stream import check_fit, predict_rows
from landvisor.recipe import PredictSpec, Recipe

log = logging.getLogger(__name__)


def map_stem(scenes: Sequence[Scene], position: int) -> str:
    """Name a scene's map: `map` where it is alone, else the scene's own name."""
    return "map" if len(scenes) == 1 else scenes[position].name


def write_maps(
    model: Model,
    scenes: Sequence[Scene],
    *,
    folder: Path,
    spec: PredictSpec,
    progress: Progress | None = None,
) -> list[MapFiles]:
    """Predict scenes and write their maps into a folder.

    Args:
        model: What to predict with.
        scenes: Scenes that fit the model; all are checked before the first is predicted.
        folder: An existing folder, published later by the caller.
        spec: Window, overlap and batch size; views; matching.
        progress: Called with (rows done, rows in all) over all scenes.

    Raises:
        ModelError: If a scene does not fit.
        OutputError: If writing fails.
    """
    for scene in scenes:
        check_fit(model, scene)
    seen = adapt_scenes(model, scenes, spec)
    total = sum(scene.shape[0] for scene in scenes)
    done, written = 0, []
    for position, scene in enumerate(seen):
        stem = map_stem(scenes, position)
        log.info("predicting %s", scene.name)
        with MapWriter(folder, scene.grid, legend=model.card.legend, stem=stem) as writer:
            for rows in predict_rows(model, scene, spec):
                writer.write(
                    rows.window,
                    classes=rows.classes,
                    probabilities=rows.probabilities,
                    valid=rows.valid,
                )
                done += rows.window.rows
                if progress:
                    progress(done, total)
        written.append(map_files(folder, stem))
    return written


def write_bundle(
    model: Model,
    scenes: Sequence[Scene],
    folder: Path,
    *,
    spec: PredictSpec,
    progress: Progress | None = None,
) -> list[MapFiles]:
    """Write the maps of scenes, the model, and a STAC item where there is one map.

    Raises:
        ModelError: If a scene does not fit.
        OutputError: If writing fails.
    """
    files = write_maps(model, scenes, folder=folder, spec=spec, progress=progress)
    save_model(model, folder / "model.safetensors")
    if len(scenes) == 1:
        write_stac_item(folder, grid=scenes[0].grid, legend=model.card.legend, card=model.card)
    return files


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
