"""The whole chain: fit, predict, assess, map. The only module that knows all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from landvisor.accuracy.assess import Assessment
from landvisor.accuracy.frame import Kind
from landvisor.accuracy.reference import hold_against
from landvisor.errors import RecipeError
from landvisor.files import publish_file, work_folder, write_json
from landvisor.geo.bundle import MapFiles
from landvisor.geo.collection import CollectionSource, as_collection
from landvisor.geo.points import Points
from landvisor.learn.curves import make_curves
from landvisor.learn.model import Model
from landvisor.learn.model_file import ModelSource, list_models, load_models, save_model
from landvisor.learn.once import fit_once
from landvisor.learn.prepare import prepare
from landvisor.learn.train import fit_material
from landvisor.options import Options
from landvisor.predict.making import make_maps
from landvisor.predict.weigh import weigh_on_places
from landvisor.predict.write import published, write_bundle, write_run
from landvisor.recipe import Recipe
from landvisor.report.bundle_page import write_report
from landvisor.upload import find_anchor, publish_folder


@dataclass(frozen=True)
class MapResult:
    """What `map` made: its folder, how good it is (None where not asked), and the model."""

    folder: Path
    assessment: Assessment | None
    model: Model


def fit(
    scenes: CollectionSource,
    points: Path | str | Points | None,
    *,
    recipe: Recipe | None = None,
    out: Path | str | None = None,
    options: Options | None = None,
) -> Model:
    """Fit a model to labelled places.

    Args:
        scenes: A file, folder, glob, `collection.csv`, array, `Scene` or `Collection`.
        points: A points file or `Points`; None learns from every labelled pixel of the masks.
        recipe: All choices; the defaults where None.
        out: Where to write the model, a `.safetensors` file; None writes nothing.
        options: What surrounds the run.

    Raises:
        LandvisorError: One of its children, in one line, where input or output is at fault.

    Example:
        ``landvisor.fit("scene.tif", "points.gpkg", out="model.safetensors")``
    """
    how = options or Options()
    curves = None
    if out is not None:
        how.check_out(out, kind="file", read=[*as_collection(scenes).sources(), points])
        curves = make_curves(how, Path(out))
    leads = how.ranks.leads  # the caches of other processes would only meet in one folder
    with work_folder(out if leads else None) as folder:
        material, settled, learner = prepare(
            scenes, points, recipe or Recipe(), how, folder=folder, curves=curves
        )
        model = fit_material(learner, material, settled, val_split=how.val_split)
    if out is not None and leads:
        with publish_file(out, overwrite=how.overwrite) as aside:
            save_model(model, aside)
        if curves is not None:
            curves.publish(overwrite=how.overwrite)
    return model


def predict(
    model: ModelSource,
    scenes: CollectionSource,
    *,
    out: Path | str,
    recipe: Recipe | None = None,
    weights: Sequence[float] | None = None,
    weigh_on: Path | str | Points | None = None,
    options: Options | None = None,
) -> list[MapFiles]:
    """Predict scenes with a model, or the mean of several, and publish the maps as one folder.

    Args:
        model: A model or its file, or a list of them.
        scenes: What to predict; see `fit`.
        out: Folder to make; it appears only when all is written and read back.
        recipe: Its `predict` part is used; the (first) model's own where None.
        weights: One per model of a list, equal by default; only their ratios count.
        weigh_on: Places no model learned from, to fit weights to: of `options.val_split`, or all.
        options: What surrounds the run.

    Raises:
        LandvisorError: One of its children, in one line, where input or output is at fault.

    Example:
        ``landvisor.predict("model.safetensors", "scene.tif", out="maps")``
    """
    how, started = options or Options(), datetime.now(UTC)
    collection = as_collection(scenes).select(how.split)
    how.check_out(out, kind="folder", read=[*collection.sources(), *list_models(model), weigh_on])
    loaded = load_models(model, weights=weights)
    choices = recipe or loaded.card.recipe
    if weigh_on is not None:
        known = as_collection(scenes).select(how.val_split or how.split)
        loaded = weigh_on_places(loaded, known, weigh_on, options=how, spec=choices.predict)
    with work_folder(find_anchor(out)) as work:
        made = make_maps(loaded, collection, work=work, spec=choices.predict, options=how)
        with publish_folder(out, work=work, overwrite=how.overwrite) as folder:
            files = write_bundle(loaded, folder, made=made)
            write_run(folder, choices, started, scenes=collection, labels=weigh_on)
    return [published(file, Path(out)) for file in files]


def assess(
    maps: Path | str,
    reference: CollectionSource | Points,
    *,
    border: int = 0,
    seed: int = 0,
    design: Kind | None = None,
    strata: Path | str | None = None,
    options: Options | None = None,
) -> Assessment:
    """Hold finished maps against the masks of a collection, or against points.

    Args:
        maps: A map file, or the folder that `map` or `predict` made.
        reference: A collection with masks, a mask raster, a points file or `Points`.
        border: Leave out mask pixels this close to a class border, in pixels.
        seed: Of the bootstrap.
        design: `simple` or `stratified`: how points were drawn at random from the map, for
            estimates of its accuracy and of areas; a file of `draw_sample` says it by itself.
        strata: Raster of the strata, where they are not the map's classes.
        options: What surrounds the run.

    Raises:
        LandvisorError: One of its children, in one line, where input is at fault.

    Example:
        ``print(landvisor.assess("maps", "collection.csv").table())``
    """
    how, raster = options or Options(), None if strata is None else Path(strata)
    return hold_against(
        Path(maps), reference, options=how, border=border, seed=seed, design=design, strata=raster
    )


def map(  # noqa: A001 - the verb of the trade, and of the command line
    scenes: CollectionSource,
    points: Path | str | Points | None,
    *,
    out: Path | str,
    recipe: Recipe | None = None,
    options: Options | None = None,
) -> MapResult:
    """Turn imagery and labelled places into a map with a stated accuracy: the main job.

    Args:
        scenes: A file, folder, glob, `collection.csv`, array, `Scene` or `Collection`.
        points: A points file or `Points`; None learns from the masks of the collection.
        out: Folder to make; it appears only when all is written and read back.
        recipe: All choices; the defaults where None.
        options: What surrounds the run.

    Raises:
        LandvisorError: One of its children, in one line, where input or output is at fault.

    Example:
        ``landvisor.map("scene.tif", "points.gpkg", out="result")``
    """
    how, started = options or Options(), datetime.now(UTC)
    how.check_alone()
    how.check_out(out, kind="folder", read=[*as_collection(scenes).sources(), points])
    if recipe is not None and recipe.predict.mosaic != "none":
        raise RecipeError("map makes a map of each scene; predict makes a mosaic, with its model")
    with work_folder(find_anchor(out)) as work:
        material, settled, learner = prepare(scenes, points, recipe or Recipe(), how, folder=work)
        model, stated = fit_once(learner, material, settled, scenes=scenes, options=how, work=work)
        used = as_collection(scenes).for_learning(how.split, how.val_split)
        made = make_maps(model, used, work=work, spec=settled.predict, options=how)
        with publish_folder(out, work=work, overwrite=how.overwrite) as folder:
            files = write_bundle(model, folder, made=made)
            if stated is not None:
                write_json(folder / "assessment.json", stated.to_dict())
            write_report(folder, files, material=material, card=model.card, assessment=stated)
            write_run(folder, settled, started, scenes=as_collection(scenes), labels=points)
    return MapResult(Path(out), stated, model)
