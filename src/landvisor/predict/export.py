"""How a model becomes a file that other programs run, checked against torch before it appears."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from landvisor.errors import ModelError
from landvisor.files import check_output
from landvisor.geo.scene import Scene
from landvisor.learn.engine_parts import change_engines
from landvisor.learn.engines import Engine, TorchEngine
from landvisor.learn.model import Model
from landvisor.predict.export_formats import (
    FORMATS,
    Format,
    Metadata,
    describe_for_deepness,
    describe_model,
)
from landvisor.predict.export_graph import MeanGraph, find_networks
from landvisor.predict.stream import check_fit
from landvisor.predict.trials import draw_batches
from landvisor.recipe import PredictSpec
from landvisor.record import write_record

log = logging.getLogger(__name__)

TOLERANCE = 1e-3
"""Largest difference in probability from torch: a quarter of a step in `probabilities.tif`."""
_SHAPES = ((1, 64, 96), (3, 45, 70), (2, 130, 33))  # checked where the size is free
_WINDOWS = 8  # of real imagery
_Networks = list[tuple[float, Model]]


@dataclass(frozen=True)
class ExportSpec:
    """What is exported.

    Attributes:
        format: One of `landvisor.predict.export_formats.FORMATS`.
        tile: Side in pixels of what `deepness` reads, and of windows to check with.
        pixel_size: Metres per pixel at which `deepness` shall read imagery; None takes that of
            the imagery it is checked on, if it has one.
        network_only: Leave out members that are not networks.
    """

    format: str = "onnx"
    tile: int = 512
    pixel_size: float | None = None
    network_only: bool = False


def export_model(
    model: Model,
    out: Path | str,
    *,
    spec: ExportSpec,
    scenes: Sequence[Scene] = (),
    overwrite: bool = False,
) -> None:
    """Write a model for other programs; it is published once it says what torch says.

    Args:
        model: A network or an ensemble of networks.
        out: A file, or a folder for `openvino`.
        spec: What is exported.
        scenes: Real imagery to check with, besides random pixels.
        overwrite: Replace an earlier output.

    Raises:
        ModelError: If a member has trees, a package is missing, imagery does not fit, or the file
            disagrees with torch.
        OutputError: If the output exists or cannot be written.
    """
    started, how = datetime.now(UTC), FORMATS[spec.format]
    check_output(out, overwrite=overwrite)
    networks = find_networks(model, network_only=spec.network_only)
    for scene in scenes:
        _check_scene(model, scene, spec.tile if how.fixed else 1)
    graph = MeanGraph(networks, unit=how.unit).cpu().eval()
    shape = (1, spec.tile, spec.tile) if how.fixed else (2, 64, 96)
    example = torch.zeros(shape[0], len(model.card.bands), *shape[1:])
    with how.publish(out, overwrite=overwrite) as aside:
        how.write(graph, example, _describe(model, spec, scenes), aside)
        _compare(how, how.run(aside), networks, _list_images(model, spec, scenes))
        if aside.is_dir():
            recipe = model.card.recipe
            choices = recipe.model_dump(mode="json")
            write_record(aside, seed=recipe.seed, recipe=choices, inputs={}, started=started)


def _check_scene(model: Model, scene: Scene, side: int) -> None:
    check_fit(model, scene)
    if min(scene.shape) < side:
        raise ModelError(
            f"scene {scene.name!r} of {scene.shape[0]} x {scene.shape[1]} pixels is smaller than a "
            f"tile of {side}; check on a larger one, or lower --tile"
        )


def _describe(model: Model, spec: ExportSpec, scenes: Sequence[Scene]) -> Metadata:
    metadata = describe_model(model)
    if spec.format != "deepness":
        return metadata
    size = spec.pixel_size or next(filter(None, map(_find_pixel_size, scenes)), None)
    if size is None:
        log.warning("no pixel size was given or found, so the plugin's user has to know it")
    return metadata | describe_for_deepness(model, tile=spec.tile, pixel_size=size)


def _find_pixel_size(scene: Scene) -> float | None:
    crs = scene.grid.crs
    return abs(float(scene.grid.resolution.x)) if crs is not None and crs.projected else None


def _list_images(model: Model, spec: ExportSpec, scenes: Sequence[Scene]) -> Iterator[NDArray[Any]]:
    """Yield random and real batches `[b, band, row, col]` in native units."""
    generator = np.random.default_rng(0)
    limits = np.array([(band[0], band[-1]) for band in model.card.histogram])
    if not len(limits):
        limits = np.stack([np.subtract(model.card.mean, model.card.std),
                           np.add(model.card.mean, model.card.std)], axis=1)  # fmt: skip
    fixed = FORMATS[spec.format].fixed
    for count, *side in ((1, spec.tile, spec.tile),) if fixed else _SHAPES:
        drawn = generator.uniform(size=(count, *side, len(limits))) * np.diff(limits).T[0]
        yield np.moveaxis((drawn + limits[:, 0]).astype(model.card.dtype), -1, 1)
    windows = PredictSpec(window=spec.tile, batch_size=1)
    for data, _ in draw_batches(scenes, windows, count=_WINDOWS, seed=0) if scenes else ():
        yield data


def _compare(
    how: Format, engine: Engine, networks: _Networks, images: Iterator[NDArray[Any]]
) -> None:
    exact = [
        (weight, change_engines(model, lambda part: TorchEngine(part.module, bf16=False)))
        for weight, model in networks
    ]
    worst, pixels = 0.0, 0
    for data in images:
        valid = ~np.isnan(data).any(axis=1)  # all that a file can know of no-data
        wanted = sum(weight * model.predict(data, valid) for weight, model in exact)
        (found,) = engine.run(torch.from_numpy(data.astype(np.float32) / np.float32(how.unit)))
        worst = max(worst, float(np.abs(found.numpy() - wanted).max()))
        pixels += valid.size
    if not worst <= TOLERANCE:
        raise ModelError(
            f"what was exported differs from torch by {worst:.2g} in probability, where "
            f"{TOLERANCE:g} is the most; nothing was written, please report it"
        )
    log.info("probabilities differ from torch by %.1g at most, at %d pixels", worst, pixels)
