"""Which formats a model can be exported to, what each file says of itself, and what runs it."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from landvisor.files import publish_directory, publish_file
from landvisor.learn.engines import Engine
from landvisor.learn.engines_onnx import OnnxEngine, export_module
from landvisor.learn.engines_openvino import OpenVinoEngine, convert_module, save_openvino
from landvisor.learn.ensemble import hash_tensors
from landvisor.learn.model import Model

Metadata = dict[str, str]
OPENVINO_FILE = "model.xml"
_OVERLAP_PERCENT = 25  # edges of a tile see less around
_IR_VERSION = 8  # what onnxruntime 1.14 reads, the oldest with the operators of set 18


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        write: Writes a graph; given are the graph, an image that it reads, metadata, and where to.
        run: Opens what was written.
        unit: What an input of 1 means in native units.
        fixed: It reads one tile of one size at a time.
        publish: `publish_file`, or `publish_directory` where the format is more than one file.
    """

    write: Callable[[nn.Module, Tensor, Metadata, Path], None]
    run: Callable[[Path], Engine]
    unit: float = 1.0
    fixed: bool = False
    publish: Callable[..., AbstractContextManager[Path]] = publish_file


def describe_model(model: Model) -> Metadata:
    """Return what any exported file says of a model; all values are JSON."""
    card, legend = model.card, model.card.legend
    content: dict[str, Any] = {
        "class_names": {str(number): name for number, name in enumerate(legend.names)},
        "class_ids": list(legend.ids),
        "class_colors": [land_class.color for land_class in legend.active],
        "bands": list(card.bands),
        "dtype": card.dtype,
        "input_mean": list(card.input_mean),
        "input_std": list(card.input_std),
        "notes": list(card.notes),
        "landvisor_version": importlib.metadata.version("landvisor"),
        "tensors_sha256": hash_tensors(model.predictor.tensors()),
    }
    return {key: json.dumps(value, ensure_ascii=False) for key, value in content.items()}


def describe_for_deepness(model: Model, *, tile: int, pixel_size: float | None) -> Metadata:
    """Return the further metadata that the QGIS plugin Deepness reads, all as JSON.

    With these its form is filled in by "Load default parameters". A threshold above 0 would give
    class 0 to all pixels of which no class is that sure, and its filter of small segments would
    change what the model says.

    Args:
        model: Its bands are counted.
        tile: Side of a tile in pixels.
        pixel_size: In metres; None leaves the key out, and the user's own value stands.

    References:
        https://github.com/PUTvision/qgis-plugin-deepness, below src/deepness:
        processing/models/model_base.py, methods `get_metadata_*` and `get_outputs_channel_names`
        (keys and JSON; names by consecutive numbers from 0), and
        `get_metadata_standarization_parameters` (subtracted and divided after values have become
        0..1; old versions assume three bands where they are missing);
        deepness_dockwidget.py, `_load_default_model_parameters` (resolution in centimetres per
        pixel, overlap in percent, a threshold of 0 is off);
        processing/models/model_types.py and segmentor.py (the type is "Segmentor").
    """
    bands = len(model.card.bands)
    content: dict[str, Any] = {
        "model_type": "Segmentor",
        "tile_size": tile,
        "tiles_overlap": _OVERLAP_PERCENT,
        "standardization_mean": [0.0] * bands,
        "standardization_std": [1.0] * bands,
        "seg_thresh": 0.0,
        "seg_small_segment": 0,
    }
    if pixel_size is not None:
        content["resolution"] = 100 * pixel_size
    return {key: json.dumps(value) for key, value in content.items()}


def _write_onnx(
    graph: nn.Module, example: Tensor, metadata: Metadata, path: Path, *, fixed: bool = False
) -> None:
    proto = export_module(graph, example, fixed=fixed)
    proto.ir_version = min(proto.ir_version, _IR_VERSION)
    for key, value in metadata.items():
        proto.metadata_props.add(key=key, value=value)
    path.write_bytes(proto.SerializeToString())


def _write_tile(graph: nn.Module, example: Tensor, metadata: Metadata, path: Path) -> None:
    _write_onnx(graph, example, metadata, path, fixed=True)


def _write_openvino(graph: nn.Module, example: Tensor, metadata: Metadata, folder: Path) -> None:
    model = convert_module(graph, example)
    for key, value in metadata.items():
        model.set_rt_info(value, ["landvisor", key])
    save_openvino(model, folder / OPENVINO_FILE)


FORMATS = {
    "onnx": Format(_write_onnx, OnnxEngine),
    # processing/models/preprocessing_utils.py of the plugin divides values of any type by 255
    "deepness": Format(_write_tile, OnnxEngine, unit=255.0, fixed=True),
    "openvino": Format(
        _write_openvino,
        lambda folder: OpenVinoEngine(folder / OPENVINO_FILE, bf16=False),
        publish=publish_directory,
    ),
}
