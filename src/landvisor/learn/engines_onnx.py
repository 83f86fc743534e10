"""ONNX Runtime: a module as an ONNX file, which many programs read."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from landvisor.learn.engines import import_package

EXTRA = "onnx"
INPUT = "image"
_OPERATORS = 18  # the set that torch writes by itself; later ones need a newer onnxruntime


def export_module(module: nn.Module, example: Tensor, *, fixed: bool = False) -> Any:
    """Turn a module into an ONNX model.

    Args:
        module: In evaluation mode; its one argument is called `image`.
        example: An image `[b, band, row, col]` that it can read, with more than one of each.
        fixed: Read images of the example's shape only; else batch, rows and columns are free.

    Returns:
        An `onnx.ModelProto`.

    Raises:
        ModelError: If onnx or onnxscript is not installed.
    """
    for package in ("onnx", "onnxscript"):
        import_package(package, extra=EXTRA)
    free = torch.export.Dim.DYNAMIC
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # the exporter warns of itself
        program: Any = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            verbose=False,
            opset_version=_OPERATORS,
            input_names=[INPUT],
            dynamic_shapes=None if fixed else {INPUT: {0: free, 2: free, 3: free}},
        )
    return program.model_proto


class OnnxEngine:
    """An ONNX file, in float32, for images of any shape.

    Args:
        path: The file.

    Raises:
        ModelError: If onnxruntime is not installed.
    """

    def __init__(self, path: Path) -> None:
        runtime = import_package("onnxruntime", extra=EXTRA)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1  # each thread that asks computes an image of its own
        options.inter_op_num_threads = 1
        self._session = runtime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )

    def run(self, image: Tensor) -> tuple[Tensor, ...]:
        """See `landvisor.learn.engines.Engine.run`."""
        found = self._session.run(None, {INPUT: image.contiguous().numpy()})
        return tuple(torch.from_numpy(maps) for maps in found)
