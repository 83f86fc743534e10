"""How a chip is varied between epochs, and how chips become a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landvisor.geo.tiling import Shape
from landvisor.learn.targets import Geometry, Targets
from landvisor.recipe import Flips


@dataclass(frozen=True)
class Chip:
    """One training sample.

    Attributes:
        image: float32 `[band, row, col]`, normalised.
        valid: bool `[row, col]`; False is no data, which is neither labelled nor unlabelled.
        targets: Labelled places in pixels of the chip.
        plain: The image as a teacher sees it, before its colours were changed; or None.
        guide: float32 `[class, cell, cell]`: what an instant model says, 0 without data; or None.
    """

    image: NDArray[np.float32]
    valid: NDArray[np.bool_]
    targets: Targets
    plain: NDArray[np.float32] | None = None
    guide: NDArray[np.float32] | None = None


class Batch(NamedTuple):
    """Chips of one size as tensors, their places joined.

    Attributes:
        image: float32 `[b, band, row, col]`.
        valid: bool `[b, row, col]`.
        coords: float32 `[n, 2]`: (row, col) in pixels of the chip.
        batch: int64 `[n]`: the chip of each place.
        label: int64 `[n]`.
        weight: float32 `[n]`.
        plain: As `image`, for a teacher; or None.
        guide: float32 `[b, class, cell, cell]`; or None.
    """

    image: Tensor
    valid: Tensor
    coords: Tensor
    batch: Tensor
    label: Tensor
    weight: Tensor
    plain: Tensor | None = None
    guide: Tensor | None = None


def make_generator(seed: int, *, epoch: int, sample: int) -> np.random.Generator:
    """Return the source of randomness of one sample in one epoch, whoever draws it."""
    return np.random.default_rng([seed, epoch, sample])


def draw_geometry(
    generator: np.random.Generator,
    *,
    shape: Shape,
    out_size: Shape,
    flips: Flips = True,
    scale: tuple[float, float] = (1.0, 1.0),
) -> Geometry:
    """Draw how a source becomes a chip.

    Args:
        generator: Source of randomness.
        shape: `(rows, cols)` of the source. From `out_size / scale[0]` on, no chip reaches
            beyond it.
        out_size: `(rows, cols)` of the chip.
        flips: Draw one of the eight symmetries of the square, or none; `sideways` draws whether
            columns run backwards.
        scale: Smallest and largest zoom, drawn evenly in its logarithm.

    Returns:
        A geometry whose crop lies inside the source where it is large enough, at random; where
        it is smaller, the whole source lies inside the chip.
    """
    turns = int(generator.integers(4)) if flips is True else 0
    mirror = bool(generator.integers(2)) if flips else False
    low, high = np.log(scale)
    zoom = float(np.exp(generator.uniform(low, high)))
    turned = Geometry(turns=turns).turned(shape)
    row, col = (
        _draw_offset(generator, int(have * zoom + 1e-6) - need)
        for have, need in zip(turned, out_size, strict=True)
    )
    return Geometry(mirror=mirror, turns=turns, zoom=zoom, offset=(row, col))


def apply_geometry(
    image: NDArray[Any],
    valid: NDArray[np.bool_],
    *,
    geometry: Geometry,
    out_size: Shape,
    shape: Shape | None = None,
    stride: int = 1,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Turn, zoom and crop an image by the very affine that moves its places.

    Without a zoom pixels are copied. With one they are interpolated bilinearly from valid
    neighbours alone, and are valid where those have at least half of the weight.

    Args:
        image: `[band, row, col]`.
        valid: `[row, col]`.
        geometry: What `move_targets` is given too.
        out_size: `(rows, cols)` of the chip in pixels.
        shape: `(rows, cols)` in pixels of the source that `image` covers in cells of any size;
            None where its cells are pixels.
        stride: Pixels a cell of the result has along each side.

    Returns:
        float32 `[band, *out_size / stride]` and its validity; invalid pixels, those from beyond the
        source among them, are 0.
    """
    known = np.where(valid, image, 0).astype(np.float32)
    planes = np.concatenate([known, valid[None].astype(np.float32)])
    planes = _turn(planes, geometry)
    lengths = geometry.turned(shape or valid.shape)
    for axis, (length, wanted) in enumerate(zip(lengths, out_size, strict=True), start=1):
        planes = _resample(
            planes, geometry, axis=axis, length=length, count=wanted // stride, stride=stride
        )
    share = planes[-1]
    inside = share >= 0.5
    return np.where(inside, planes[:-1] / np.where(inside, share, 1), 0), inside


def jitter_colour(
    data: NDArray[np.float32],
    generator: np.random.Generator,
    *,
    strength: float,
    std: float | NDArray[np.float32] = 1.0,
) -> NDArray[np.float32]:
    """Change the brightness and contrast of each band of a normalised image at random.

    Args:
        data: `[band, row, col]`, about 0; contrast is changed about 0.
        generator: Source of randomness.
        strength: Largest change of brightness as a share of `std`, and of contrast as a share
            of itself; 0 changes nothing.
        std: Deviation of the bands in the units of `data`: one for all, or `[band]`.
    """
    contrast, brightness = generator.uniform(-strength, strength, (2, len(data), 1, 1))
    shift = brightness * np.reshape(std, (-1, 1, 1))
    return np.asarray(data * (1 + contrast) + shift, dtype=np.float32)


def collate(chips: list[Chip]) -> Batch:
    """Stack chips of one size and join their places, each with the number of its chip."""
    targets = [chip.targets for chip in chips]
    count = torch.tensor([len(part) for part in targets])
    coords = np.concatenate([part.coords for part in targets]).astype(np.float32)
    return Batch(
        image=torch.from_numpy(np.stack([chip.image for chip in chips])),
        plain=_stack([chip.plain for chip in chips]),
        guide=_stack([chip.guide for chip in chips]),
        valid=torch.from_numpy(np.stack([chip.valid for chip in chips])),
        coords=torch.from_numpy(coords),
        batch=torch.repeat_interleave(torch.arange(len(chips)), count),
        label=torch.from_numpy(np.concatenate([part.label for part in targets])),
        weight=torch.from_numpy(np.concatenate([part.weight for part in targets])),
    )


def _stack(parts: list[NDArray[np.float32] | None]) -> Tensor | None:
    known = [part for part in parts if part is not None]
    return torch.from_numpy(np.stack(known)) if known else None


def _draw_offset(generator: np.random.Generator, room: int) -> int:
    return int(generator.integers(min(room, 0), max(room, 0), endpoint=True))


def _turn(planes: NDArray[np.float32], geometry: Geometry) -> NDArray[np.float32]:
    mirrored = planes[:, :, ::-1] if geometry.mirror else planes
    return np.rot90(mirrored, geometry.turns, axes=(1, 2))


def _resample(
    planes: NDArray[np.float32],
    geometry: Geometry,
    *,
    axis: int,
    length: int,
    count: int,
    stride: int = 1,
) -> NDArray[np.float32]:
    """Zoom and crop along one axis: a zoom has no cross terms, so the axes part."""
    pixels = planes.shape[axis]
    place = (np.arange(count) + 0.5) * stride + geometry.offset[axis - 1]
    place = place / geometry.zoom * (pixels / length) - 0.5
    inner = np.clip(place, 0, pixels - 1)
    first = np.floor(inner).astype(np.int64)
    inside = (place >= -0.5) & (place < pixels - 0.5)
    after = ((inner - first) * inside).astype(np.float32)
    before = inside.astype(np.float32) - after
    last = np.minimum(first + 1, pixels - 1)
    stretch = [-1 if at == axis else 1 for at in range(3)]
    result = planes.take(first, axis) * before.reshape(stretch)
    if after.any():
        result += planes.take(last, axis) * after.reshape(stretch)
    return np.asarray(result)
