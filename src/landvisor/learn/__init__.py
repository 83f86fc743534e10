"""Models that learn from labelled places: the home of all torch code but prediction's.

Importing this package runs one guard. PyPI's torchvision links against CUDA libraries that a
CPU-only torch lacks; its own import then fails with "operator torchvision::nms does not exist"
and takes timm, lightning, torchmetrics and segmentation-models-pytorch down with it. Declaring
the two bare operators first cures that. Where torchvision's library loads, nothing is declared.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch

_Library: Any = torch.library.Library  # untyped in torch
_OPERATORS: list[Any] = []


def _guard_torchvision() -> None:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or _OPERATORS:
        return
    library = next(Path(spec.origin).parent.glob("_C*.so"), None)
    if library is None or _loads(library):
        return
    declared: Any = _Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _OPERATORS.append(declared)  # the operators live as long as this object


def _loads(library: Path) -> bool:
    try:
        load: Any = torch.ops.load_library
        load(str(library))
    except OSError:
        return False
    return True


_guard_torchvision()
