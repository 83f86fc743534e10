"""How predicted rows become the files of a map, for one scene or many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path

from landvisor.files import writing
from landvisor.geo.bundle import MapFiles
from landvisor.geo.collection import Collection
from landvisor.geo.points import Points
from landvisor.geo.stac import write_stac_item
from landvisor.geo.vrt import write_map_vrt
from landvisor.learn.model import Model
from landvisor.learn.model_file import save_model
from landvisor.predict.making import DAMAGED, MadeMap
from landvisor.recipe import Recipe
from landvisor.record import write_record


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
        damaged = made[0].files.classes.parents[1] / DAMAGED
        if damaged.exists():
            damaged.replace(folder / DAMAGED)
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
    choices = recipe.model_dump(mode="json")
    write_record(folder, seed=recipe.seed, recipe=choices, inputs=inputs, started=started)
