"""What computes a model's networks while scenes are predicted, and how the fastest is chosen.

A backend is chosen once, by trial on windows of the scenes; what it needs is then in files, so that
a run that goes on, or another process, computes with the same bytes and never calibrates again.
"""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from landvisor.errors import ModelError
from landvisor.files import hash_file
from landvisor.geo.scene import Scene
from landvisor.geo.tiling import cover
from landvisor.learn.device import uses_bf16
from landvisor.learn.engine_kinds import (
    ENGINES,
    LOW,
    REFERENCE,
    EngineKind,
    Recorder,
    find_kind,
    has_accelerator,
)
from landvisor.learn.engine_parts import Part, change_engines, has_trees, list_parts
from landvisor.learn.engines import Engine
from landvisor.learn.model import Model
from landvisor.predict.trials import Ground, Trial, draw_batches, try_model
from landvisor.predict.views import find_views
from landvisor.recipe import PredictSpec

log = logging.getLogger(__name__)

AS_FITTED = "torch"
"""The backend that leaves a model as it is: torch, in the precision of its own recipe."""
LEAST_AGREEMENT = 0.995
_WORTH = 200  # windows: fewer are predicted before a choice among backends has paid for itself
_GAIN = 1.1  # a less exact backend must be so much faster than a more exact one
_SAMPLE = 24  # windows to judge by, and as many others to calibrate with


class Backend(BaseModel):
    """What computes a model's networks; `model_dump_json` stores it.

    Attributes:
        name: One of `landvisor.learn.engine_kinds.ENGINES`, or `torch`: as the model was fitted.
        trials: How fast and how exact each candidate was.
        files: SHA-256 of what `apply_backend` loads, by name in the folder.
        versions: Of the packages that computed the trials.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    trials: tuple[Trial, ...] = ()
    files: dict[str, str] = {}
    versions: dict[str, str] = {}

    @property
    def agreement(self) -> float | None:
        """Share of valid pixels with the class of torch in float32; None where not tried."""
        found = (trial.agreement for trial in self.trials if trial.name == self.name)
        return next(found, None)


def prepare_backend(
    model: Model, scenes: Sequence[Scene], spec: PredictSpec, *, folder: Path
) -> Backend:
    """Choose what computes a model's networks on scenes, and write what it needs.

    `auto` tries all that is installed and takes the fastest that agrees with torch in float32 on
    the class of `LEAST_AGREEMENT` of the valid pixels. Where there is little to predict, or trees
    take nearly all the time whatever computes the network, nothing is tried and the model stays as
    it was fitted. A backend that is named is used whatever comes out.

    Args:
        model: What will predict.
        scenes: As the model will read them: after `landvisor.predict.adapt.adapt_scenes`.
        spec: `backend`, and the window, overlap, batch and views that will be used.
        folder: An existing folder; files of no other use are removed from it.

    Raises:
        ModelError: If the backend that is named is not installed.
        SceneError: If a file is damaged.
    """
    if spec.backend not in (AS_FITTED, "auto"):
        ENGINES[spec.backend].check(spec.backend)
    names = _list_candidates(model, scenes, spec)
    judged = draw_batches(scenes, spec, count=_SAMPLE, seed=1) if names else []
    if not judged:
        return Backend(name=AS_FITTED)
    reference = _change(model, REFERENCE, folder)
    ground = Ground.measure(reference, judged)
    images = _record(reference, scenes, spec) if any(ENGINES[n].calibrates for n in names) else {}
    trials = [ground.reference(REFERENCE)]
    for name in [name for name in names if name != REFERENCE]:
        _write(model, name, folder, images)
        trials.append(_judge(try_model(_change(model, name, folder), ground, name=name)))
    chosen = _choose(trials, spec.backend)
    files = {path.name: hash_file(path) for path in _find_files(folder, chosen)}
    _clear(folder, names, keep=files)
    return Backend(
        name=chosen, trials=tuple(trials), files=files, versions=_list_versions(ENGINES[chosen])
    )


def apply_backend(model: Model, backend: Backend, *, folder: Path) -> Model:
    """Return the model, computed by a backend.

    Args:
        model: The same that `prepare_backend` was given.
        backend: What it returned, or that read back from JSON.
        folder: Where its files lie.

    Raises:
        ModelError: If a file is missing or has changed, or packages have other versions than
            those that the backend was chosen with: results would not be the same.
    """
    if backend.name == AS_FITTED:
        return model
    kind = ENGINES[backend.name]
    kind.check(backend.name)
    installed = _list_versions(kind)
    if installed != backend.versions:
        raise ModelError(
            f"backend {backend.name!r} was prepared with {_say(backend.versions)} but "
            f"{_say(installed)} is installed; install the former, or start anew"
        )
    for file, digest in backend.files.items():
        if not (folder / file).is_file() or hash_file(folder / file) != digest:
            raise ModelError(f"{file!r} of backend {backend.name!r} is missing or has changed in "
                             f"{str(folder)!r}; start anew")  # fmt: skip
    return _change(model, backend.name, folder)


def _list_candidates(model: Model, scenes: Sequence[Scene], spec: PredictSpec) -> list[str]:
    """List what to try besides the reference; nothing where there is nothing to choose."""
    if spec.backend == AS_FITTED:
        return []
    if not list_parts(model):
        if spec.backend != "auto":
            log.warning("the model has no network, so backend %s changes nothing", spec.backend)
        return []
    if spec.backend != "auto":
        return [spec.backend]
    sizes = (len(cover(s.shape, size=spec.window, overlap=spec.shared)) for s in scenes)
    if has_trees(model) or sum(sizes) * len(find_views(spec)) < _WORTH:
        return []
    device = torch.device("cuda" if has_accelerator() else "cpu")
    fits = [
        name
        for name, kind in ENGINES.items()
        if kind.installed
        and not (kind.processor and has_accelerator())
        and (name not in LOW or uses_bf16("auto", device))
    ]
    # exporting takes ONNX Runtime longer than all the others, and it is no faster than OpenVINO
    skipped = {REFERENCE, "onnxruntime-fp32" if "openvino-fp32" in fits else ""}
    return [name for name in fits if name not in skipped]


def _judge(trial: Trial) -> Trial:
    if trial.agreement >= LEAST_AGREEMENT:
        return trial
    return trial.model_copy(
        update={
            "refused": f"only {100 * trial.agreement:.2f} % of pixels have the class of "
            f"{REFERENCE}, and {100 * LEAST_AGREEMENT:.1f} % are needed"
        }
    )


def _choose(trials: list[Trial], wanted: str) -> str:
    """Return the backend to use, and say why."""
    reference = best = trials[0]
    for trial in trials[1:]:
        if trial.refused and wanted == "auto":
            log.info("backend %s is refused: %s", trial.name, trial.refused)
        elif trial.refused:
            log.warning("backend %s is used as asked for, but %s", trial.name, trial.refused)
        elif trial.megapixels_per_second > _GAIN * best.megapixels_per_second:
            best = trial
    chosen = best if wanted == "auto" else trials[-1]
    log.info(
        "backend %s: %.2f megapixels a second, %.1f times %s; %.2f %% of pixels have its class",
        chosen.name,
        chosen.megapixels_per_second,
        chosen.megapixels_per_second / reference.megapixels_per_second,
        REFERENCE,
        100 * chosen.agreement,
    )
    return chosen.name


def _record(
    reference: Model, scenes: Sequence[Scene], spec: PredictSpec
) -> dict[str, list[np.ndarray]]:
    """Return by part what it reads of windows that judge nothing."""
    recorders: dict[str, Recorder] = {}

    def listen(part: Part) -> Engine:
        recorders[part.name] = Recorder(part.engine)
        return recorders[part.name]

    listening = change_engines(reference, listen)
    for data, valid in draw_batches(scenes, spec, count=_SAMPLE, seed=0):
        listening.predict(data, valid)
    return {name: recorder.images for name, recorder in recorders.items()}


def _write(model: Model, name: str, folder: Path, images: dict[str, list[np.ndarray]]) -> None:
    for part in list_parts(model):
        kind = find_kind(name, part)
        if kind.write is not None:
            kind.write(part, images.get(part.name, []), _locate(folder, name, part))


def _change(model: Model, name: str, folder: Path) -> Model:
    return change_engines(
        model, lambda part: find_kind(name, part).load(part, _locate(folder, name, part))
    )


def _locate(folder: Path, name: str, part: Part) -> Path:
    return folder / f"{name}.{part.name}{find_kind(name, part).suffix}"


def _find_files(folder: Path, name: str) -> list[Path]:
    return sorted(folder.glob(f"{name}.*"))


def _clear(folder: Path, names: Sequence[str], *, keep: dict[str, str]) -> None:
    for name in names:
        for path in _find_files(folder, name):
            if path.name not in keep:
                path.unlink()


def _list_versions(kind: EngineKind) -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("torch", *kind.packages)}


def _say(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
