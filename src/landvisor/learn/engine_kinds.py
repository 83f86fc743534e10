"""Which engines there are, by name, and what each leaves in files for others to load."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landvisor.errors import ModelError
from landvisor.learn.engine_parts import Part
from landvisor.learn.engines import Engine, TorchEngine
from landvisor.learn.engines_onnx import EXTRA as ONNX
from landvisor.learn.engines_onnx import OnnxEngine, export_module
from landvisor.learn.engines_openvino import EXTRA as OPENVINO
from landvisor.learn.engines_openvino import (
    OpenVinoEngine,
    convert_module,
    quantise,
    save_for_bf16,
    save_openvino,
)

Images = Sequence[NDArray[np.float32]]


@dataclass(frozen=True)
class EngineKind:
    """One way to compute the parts of a model.

    Attributes:
        load: Makes the engine of a part from the file that `write` left.
        write: Writes that file, and perhaps another of the same stem beside it; given are the
            part, images that it reads, and the file. None needs no file.
        suffix: Of the file.
        packages: What must be installed.
        extra: Which of landvisor's extras installs them.
        calibrates: `write` looks at the images.
        processor: It computes on processors alone.
        exact: Name of the kind that stands in for it where `Part.exact` asks for that.
    """

    load: Callable[[Part, Path], Engine]
    write: Callable[[Part, Images, Path], None] | None = None
    suffix: str = ""
    packages: tuple[str, ...] = ()
    extra: str = ""
    calibrates: bool = False
    processor: bool = True
    exact: str = ""

    @property
    def installed(self) -> bool:
        """Tell whether its packages are there, without importing them."""
        return all(importlib.util.find_spec(package) for package in self.packages)

    def check(self, name: str) -> None:
        """Refuse a kind that is not installed.

        Raises:
            ModelError: If a package is missing.
        """
        if not self.installed:
            raise ModelError(
                f"backend {name!r} needs {' and '.join(self.packages)}, not all of which are "
                f"installed; pip install 'landvisor[{self.extra}]'"
            )


class Recorder:
    """An engine that keeps what it was asked about, image by image, to calibrate others with."""

    def __init__(self, engine: Engine) -> None:
        self.images: list[NDArray[np.float32]] = []
        self._engine = engine

    def run(self, image: Tensor) -> tuple[Tensor, ...]:
        """See `landvisor.learn.engines.Engine.run`."""
        self.images += [single[None].numpy().copy() for single in image]
        return self._engine.run(image)


def _write_openvino(part: Part, _: Images, path: Path) -> None:
    save_openvino(convert_module(part.module, _example(part)), path)


def _write_bf16(part: Part, _: Images, path: Path) -> None:
    example = _example(part)
    save_for_bf16(convert_module(part.module, example), path, shape=example.shape)


def _write_int8(part: Part, images: Images, path: Path) -> None:
    save_openvino(quantise(convert_module(part.module, _example(part)), images), path)


def _write_onnx(part: Part, _: Images, path: Path) -> None:
    path.write_bytes(export_module(part.module, _example(part)).SerializeToString())


def _example(part: Part) -> Tensor:
    device = next(part.module.parameters()).device
    return part.example().to(device)


def _openvino(write: Callable[[Part, Images, Path], None], *, bf16: bool = False) -> EngineKind:
    packages = ("openvino", "nncf") if write is _write_int8 else ("openvino",)
    return EngineKind(
        load=lambda _, path: OpenVinoEngine(path, bf16=bf16),
        write=write,
        suffix=".xml",
        packages=packages,
        extra=OPENVINO,
        calibrates=write is _write_int8,
        exact="" if write is _write_openvino else _OPENVINO,
    )


def _torch(*, bf16: bool) -> EngineKind:
    exact = REFERENCE if bf16 else ""
    return EngineKind(
        load=lambda part, _: TorchEngine(part.module, bf16=bf16), processor=False, exact=exact
    )


REFERENCE, _OPENVINO = "torch-fp32", "openvino-fp32"
ENGINES: dict[str, EngineKind] = {
    REFERENCE: _torch(bf16=False),
    _OPENVINO: _openvino(_write_openvino),
    "onnxruntime-fp32": EngineKind(
        load=lambda _, path: OnnxEngine(path),
        write=_write_onnx,
        suffix=".onnx",
        packages=("onnx", "onnxscript", "onnxruntime"),
        extra=ONNX,
    ),
    "torch-bf16": _torch(bf16=True),
    "openvino-bf16": _openvino(_write_bf16, bf16=True),
    "openvino-int8": _openvino(_write_int8),
}
"""Engines by name, from the most exact to the least."""
LOW = ("torch-bf16", "openvino-bf16")
"""Engines that multiply in bfloat16, which only pays where the hardware does."""


def find_kind(name: str, part: Part) -> EngineKind:
    """Return what computes a part if an engine was named."""
    kind = ENGINES[name]
    return ENGINES[kind.exact] if part.exact and kind.exact else kind


def has_accelerator() -> bool:
    """Tell whether networks run on something other than the processor."""
    return torch.cuda.is_available()
