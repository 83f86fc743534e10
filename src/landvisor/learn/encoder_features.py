"""What a frozen encoder sees around a pixel: its feature maps, read at any place of a window.

Maps stay at their own strides. A place reads them bilinearly, and a strip of pixels reads them
row by row, so a cube of all features over all pixels never exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from landvisor.learn.engines import Engine, TorchEngine
from landvisor.learn.nodes import read_between
from landvisor.learn.scaling import Scaling

MULTIPLE = 32
"""The coarsest stride of any timm encoder: what it reads is padded to multiples of it."""


@dataclass(frozen=True)
class FeatureMap:
    """One feature map of a window.

    Attributes:
        values: `[1, channel, h, w]`, channels last in memory; may reach beyond the window.
        pitch: Pixels of the window per cell; below 1 where a zoomed image is finer.
    """

    values: Tensor
    pitch: float

    @property
    def channels(self) -> int:
        """Number of features."""
        return int(self.values.shape[1])

    def sample(self, coords: NDArray[np.float64]) -> NDArray[np.float32]:
        """Read the map at places, bilinearly and clamped at the border.

        Args:
            coords: `[n, 2]` as (row, col) in the window's pixels, integer = pixel centre.

        Returns:
            float32 `[n, channel]`.
        """
        size = np.array(self.values.shape[-2:]) * self.pitch
        share = 2 * (coords + 0.5) / size - 1  # -1 and 1 are the outer edges of the map
        grid = torch.from_numpy(share[:, ::-1].astype(np.float32).copy())[None, None]
        read = F.grid_sample(self.values, grid, padding_mode="border", align_corners=False)
        return np.asarray(read[0, :, 0].T.numpy())

    def read(self, rows: range, cols: range, *, into: NDArray[np.float32]) -> None:
        """Read the pixels of some rows and columns; equals `sample` at their centres.

        Args:
            rows: Of the window.
            cols: Of the window.
            into: Becomes what is read, `[row, col, channel]`.
        """
        cells = self.values[0].permute(1, 2, 0).numpy()
        read_between(cells, self._locate(rows), self._locate(cols), into)

    def _locate(self, pixels: range) -> NDArray[np.float64]:
        """Return the cells where pixels' centres lie."""
        return (np.array(pixels) + 0.5) / self.pitch - 0.5


@dataclass(frozen=True)
class FrozenEncoder:
    """An encoder that is only read.

    Attributes:
        module: Maps `[b, band, row, col]` to a list of feature maps.
        strides: Pixels per cell of each map, at zoom 1.
        channels: Channels of each map.
        scaling: From native units to what the module reads.
        zooms: How often larger the image is made before it is read, each for a set of maps.
        engine: What computes the module; torch in float32 where None.
    """

    module: nn.Module
    strides: tuple[int, ...]
    channels: tuple[int, ...]
    scaling: Scaling
    zooms: tuple[int, ...]
    engine: Engine | None = None

    def __post_init__(self) -> None:
        self.module.eval().requires_grad_(False)
        self.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stubs

    def encode(self, data: NDArray[Any], valid: NDArray[np.bool_]) -> list[FeatureMap]:
        """Compute the maps of a window `[band, row, col]` at all zooms and strides."""
        image = torch.from_numpy(self.scaling.apply(data, valid))[None]
        with torch.inference_mode():
            return [found for zoom in self.zooms for found in self._encode_at(image, zoom)]

    def trace(self, image: Tensor, zoom: int) -> list[tuple[Tensor, float]]:
        """Compute the maps of a scaled image `[1, band, row, col]` and their pitch, traceably.

        They are those of `encode` in float32, whatever the engine.
        """
        maps = self.module(_zoom_in(image, zoom))
        return [(found, stride / zoom) for found, stride in zip(maps, self.strides, strict=True)]

    def _encode_at(self, image: Tensor, zoom: int) -> list[FeatureMap]:
        image = _zoom_in(image, zoom)
        maps = (self.engine or TorchEngine(self.module, bf16=False)).run(image)
        return [
            FeatureMap(
                found.float().cpu().contiguous(memory_format=torch.channels_last), stride / zoom
            )
            for found, stride in zip(maps, self.strides, strict=True)
        ]

    def load(self, tensors: dict[str, NDArray[Any]]) -> None:
        """Take over weights that `tensors` returned.

        Raises:
            KeyError: If one is missing.
        """
        state = self.module.state_dict()
        self.module.load_state_dict(
            {name: torch.tensor(tensors[name]).reshape(own.shape) for name, own in state.items()}
        )

    def names(self) -> tuple[str, ...]:
        """Name the features, such as `encoder x2 stride 8 17`."""
        return tuple(
            f"encoder x{zoom} stride {stride} {channel}"
            for zoom in self.zooms
            for stride, count in zip(self.strides, self.channels, strict=True)
            for channel in range(count)
        )

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the weights by name, in C order whatever torch keeps them in."""
        state = self.module.state_dict()
        return {name: tensor.cpu().contiguous().numpy() for name, tensor in state.items()}


def _zoom_in(image: Tensor, zoom: int) -> Tensor:
    """Make an image larger, and repeat its border until an encoder can read it."""
    if zoom != 1:
        image = F.interpolate(image, scale_factor=zoom, mode="bilinear", align_corners=False)
    rows, cols = image.shape[-2:]
    return F.pad(image, (0, -cols % MULTIPLE, 0, -rows % MULTIPLE), mode="replicate")


def sample_maps(maps: Sequence[FeatureMap], coords: NDArray[np.float64]) -> NDArray[np.float32]:
    """Read all maps at places; see `FeatureMap.sample`. Returns `[n, feature]`."""
    parts = [np.empty((len(coords), 0), dtype=np.float32)]
    return np.concatenate(parts + [found.sample(coords) for found in maps], axis=1)
