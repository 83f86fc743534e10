"""OpenVINO: a module as a graph for Intel's and ARM's processors, in float32, bfloat16 or int8."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from threading import Lock, local
from typing import Any
from xml.etree import ElementTree

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landvisor.learn.bf16_rounding import round_filters
from landvisor.learn.engines import import_package

EXTRA = "openvino"
_SHAPES = 8  # graphs compiled at a time: window sizes of scenes and views, whole batches and rests
_FILTERS = ("Convolution", "GroupConvolution")
_EXACT_FIRST, _EXACT_LAST = 3, 1  # filters


def convert_module(module: nn.Module, example: Tensor) -> Any:
    """Turn a module into an OpenVINO model that reads images of any size.

    Args:
        module: In evaluation mode.
        example: An image `[b, band, row, col]` that it can read.

    Raises:
        ModelError: If openvino is not installed.
    """
    openvino = import_package("openvino", extra=EXTRA)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # tracing warns of every size that it sees
        return openvino.convert_model(module, example_input=example)


def quantise(model: Any, images: Sequence[NDArray[np.float32]]) -> Any:
    """Quantise a model to int8 after training, its ranges taken from images.

    Args:
        model: From `convert_module`, in float32.
        images: Each `[1, band, row, col]`, normalised; all are used, in this order.

    Raises:
        ModelError: If nncf is not installed.
    """
    nncf = import_package("nncf", extra=EXTRA)
    # its own set_log_level would silence the handlers of everybody else's loggers too
    logging.getLogger("nncf").setLevel(logging.ERROR)
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():  # it draws progress bars
        warnings.simplefilter("ignore")
        return nncf.quantize(model, nncf.Dataset(list(images)), subset_size=len(images))


def save_openvino(model: Any, path: Path) -> None:
    """Write a model as `path`, an .xml file, and the .bin file of its weights beside it."""
    openvino = import_package("openvino", extra=EXTRA)
    openvino.save_model(model, str(path), compress_to_fp16=False)


def save_for_bf16(model: Any, path: Path, *, shape: Sequence[int]) -> None:
    """Write a model of which bfloat16 computes all but the first filters and the last.

    What they round, no layer averages out: the image's own values, and the logits. They are few,
    so that float32 costs little. The weights of all others are rounded here; see
    `landvisor.learn.bf16_rounding`.

    Args:
        model: From `convert_module`; its weights change.
        path: Of the .xml file; see `save_openvino`.
        shape: Of an image `[b, band, row, col]` to try the file on.
    """
    make_constant = import_package("openvino", extra=EXTRA).opset13.constant
    filters = [node for node in model.get_ordered_ops() if node.get_type_name() in _FILTERS]
    for node in filters[_EXACT_FIRST:-_EXACT_LAST]:
        weights = node.input_value(1).get_node()
        if weights.get_type_name() == "Constant":
            rounded = make_constant(round_filters(weights.data))
            node.input(1).replace_source_output(rounded.output(0))
    save_openvino(model, path)
    plain = path.read_bytes()
    edges = filters[:_EXACT_FIRST] + filters[-_EXACT_LAST:]
    _mark_exact(path, {node.get_friendly_name() for node in edges})
    try:
        OpenVinoEngine(path, bf16=True).run(torch.zeros(tuple(shape)))
    except RuntimeError:  # OpenVINO cannot put every two layers of different precision in a row
        path.write_bytes(plain)


def _mark_exact(path: Path, names: set[str]) -> None:
    """Mark layers as ones that keep their precision, which only the file's own form can say."""
    tree = ElementTree.parse(path)  # noqa: S314 - written by OpenVINO a moment ago
    for layer in tree.iterfind("layers/layer"):
        if layer.get("name") in names and layer.get("type") in _FILTERS:
            told = layer.find("rt_info")
            if told is None:
                told = ElementTree.Element("rt_info")
                layer.insert(1, told)  # after its attributes
            ElementTree.SubElement(told, "attribute", {"name": "precise", "version": "0"})
    tree.write(path)


class OpenVinoEngine:
    """A model file, compiled anew for each shape of images.

    Compiled for one shape it is a seventh faster than for all.

    Args:
        path: The .xml file.
        bf16: Multiply in bfloat16; OpenVINO itself would choose it wherever there is hardware.

    Raises:
        ModelError: If openvino is not installed.
    """

    def __init__(self, path: Path, *, bf16: bool) -> None:
        self._core = import_package("openvino", extra=EXTRA).Core()
        self._model = self._core.read_model(str(path))
        # Each thread that asks computes an image of its own, with one thread of OpenVINO's.
        self._options = {
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": torch.get_num_threads(),
            # pinned threads of two processes would sit on the same cores
            "ENABLE_CPU_PINNING": False,
        }
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._compiling = Lock()
        self._own = local()  # requests: one computes an image at a time

    def run(self, image: Tensor) -> tuple[Tensor, ...]:
        """See `landvisor.learn.engines.Engine.run`."""
        request = self._request(tuple(image.shape))
        found = request.infer([image.contiguous().numpy()], share_inputs=True)
        return tuple(torch.from_numpy(found[port]) for port in request.model_outputs)

    def _request(self, shape: tuple[int, ...]) -> Any:
        """Return this thread's own request for a shape."""
        compiled = self._compile(shape)
        known: dict[tuple[int, ...], tuple[Any, Any]] = self._own.__dict__.setdefault("known", {})
        if shape not in known or known[shape][0] is not compiled:
            known[shape] = compiled, compiled.create_infer_request()
        return known[shape][1]

    def _compile(self, shape: tuple[int, ...]) -> Any:
        with self._compiling:
            if shape not in self._compiled:
                if len(self._compiled) == _SHAPES:
                    del self._compiled[next(iter(self._compiled))]
                fixed = self._model.clone()
                fixed.reshape(list(shape))
                self._compiled[shape] = self._core.compile_model(fixed, "CPU", self._options)
            return self._compiled[shape]
