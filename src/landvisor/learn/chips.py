"""Which parts of the imagery are read around places, and how they become chips and windows."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from landvisor.geo.legend import Legend
from landvisor.geo.places import Places
from landvisor.geo.scene import Pixels, Scene
from landvisor.geo.tiling import Shape, Window, cover, most_interior
from landvisor.learn.augment import (
    Chip,
    apply_geometry,
    draw_geometry,
    jitter_colour,
    make_generator,
)
from landvisor.learn.scaling import Scaling
from landvisor.learn.targets import Geometry, Targets, crop_targets, make_targets, move_targets
from landvisor.recipe import FitSpec

_ROOM = 1.5  # sides of a chip: enough for a crop to move, and for a zoom of 0.75


@dataclass(frozen=True, order=True)
class Region:
    """A window of one scene of the collection."""

    scene: int
    window: Window


@dataclass(frozen=True)
class RegionCache:
    """Decoded regions as memory-mapped files, each written when it is first read.

    Args:
        scenes: The scenes that `Region.scene` counts.
        folder: Where the files go. What another cache left there is overwritten, not read.
    """

    scenes: Sequence[Scene]
    folder: Path
    checksums: dict[Region, int] = field(default_factory=dict)

    def read(self, region: Region) -> Pixels:
        """Return the pixels of a region, in native units."""
        self.checksum(region)
        data, valid = (np.load(path, mmap_mode="r") for path in self._paths(region))
        return Pixels(data, valid)

    def checksum(self, region: Region) -> int:
        """Decode a region if that has not happened yet, and return the CRC-32 of its content."""
        if region not in self.checksums:
            pixels = self.scenes[region.scene].read(region.window)
            arrays = tuple(np.ascontiguousarray(part) for part in pixels)
            self.folder.mkdir(parents=True, exist_ok=True)
            for path, array in zip(self._paths(region), arrays, strict=True):
                np.save(path, array)
            self.checksums[region] = zlib.crc32(
                arrays[1].tobytes(), zlib.crc32(arrays[0].tobytes())
            )
        return self.checksums[region]

    def _paths(self, region: Region) -> tuple[Path, Path]:
        window = region.window
        stem = f"{region.scene}_{window.row}_{window.col}_{window.rows}x{window.cols}"
        return self.folder / f"{stem}.npy", self.folder / f"{stem}_valid.npy"


def find_regions(
    places: Places, shapes: Sequence[Shape], *, size: int, overlap: int
) -> list[tuple[Region, NDArray[np.int64]]]:
    """Find the windows that places are most interior to.

    Args:
        places: Places on any of the scenes.
        shapes: `(rows, cols)` of every scene.
        size: Side of the windows.
        overlap: Pixels that neighbouring windows share.

    Returns:
        Regions with at least one place, in order, each with the positions of its places; every
        place occurs once.
    """
    found = []
    for scene in np.unique(places.scene):
        here = np.flatnonzero(places.scene == scene)
        windows = cover(shapes[scene], size=size, overlap=overlap)
        nearest = most_interior(places.coords[here], windows)
        found += [
            (Region(int(scene), windows[index]), here[nearest == index])
            for index in np.unique(nearest)
        ]
    return found


def group_by_shape(
    found: list[tuple[Region, NDArray[np.int64]]], batch_size: int
) -> Iterator[list[tuple[Region, NDArray[np.int64]]]]:
    """Put regions of one shape together, at most `batch_size` of them."""
    for shape in sorted({region.window.shape for region, _ in found}):
        alike = [item for item in found if item[0].window.shape == shape]
        for start in range(0, len(alike), batch_size):
            yield alike[start : start + batch_size]


@dataclass(frozen=True)
class Lesson:
    """What chips carry for a teacher's sake.

    Attributes:
        colour: Strength of colour changes that the teacher does not see; None shows it nothing.
        guide: Probabilities `[class, cell, cell]` of each region, 0 without data; None has none.
        stride: Pixels a side of a cell, as chips carry the guide.
    """

    colour: float | None = None
    guide: Mapping[Region, NDArray[np.float16]] | None = None
    stride: int = 1


@dataclass(frozen=True)
class Material:
    """What chips are cut from: regions and all places on each of them.

    Attributes:
        regions: Parts of the scenes, each with a place at least.
        targets: Per region, the places on its pixels, counted from its first pixel.
        side: Rows and columns of a chip.
    """

    regions: tuple[Region, ...]
    targets: tuple[Targets, ...]
    side: int


def gather_material(
    places: Places, shapes: Sequence[Shape], *, legend: Legend, chip: int
) -> Material:
    """Choose regions around places, a scene being one region if it is little more than a chip.

    Regions measure 1.5 chips and share half a chip, so that every place lies on one where it is
    a quarter of a chip from the edge, or as far from it as the scene allows.

    Args:
        places: Labelled places.
        shapes: `(rows, cols)` of every scene.
        legend: Its active classes are what is learned.
        chip: Largest side of a chip; it shrinks where no scene is as large.
    """
    found = find_regions(places, shapes, size=int(chip * _ROOM), overlap=chip // 2)
    on_scene = {s: make_targets(places.on_scene(s), legend) for s in {r.scene for r, _ in found}}
    pairs = [(region, crop_targets(on_scene[region.scene], region.window)) for region, _ in found]
    pairs = [(region, targets) for region, targets in pairs if len(targets)]
    longest = max((max(region.window.shape) for region, _ in pairs), default=chip)
    return Material(
        regions=tuple(region for region, _ in pairs),
        targets=tuple(targets for _, targets in pairs),
        side=min(chip, -(-longest // 32) * 32),
    )


class ChipDataset(Dataset[Chip]):
    """Chips of one epoch; each follows from (seed, epoch, index) alone.

    Args:
        material: Where chips come from.
        cache: Where pixels come from.
        scaling: What standardises them.
        spec: How chips are varied.
        deviation: `[band]`: standard deviation of the standardised imagery.
        seed: Of the run.
        lesson: What else chips carry.
    """

    def __init__(
        self,
        material: Material,
        cache: RegionCache,
        *,
        scaling: Scaling,
        spec: FitSpec,
        deviation: NDArray[np.float32],
        seed: int,
        lesson: Lesson | None = None,
    ) -> None:
        self.material = material
        self.cache = cache
        self.scaling = scaling
        self.spec = spec
        self.deviation = deviation
        self.seed = seed
        self.lesson = lesson or Lesson()
        self.epoch = 0

    def __len__(self) -> int:
        return count_steps(len(self.material.regions), self.spec) * self.spec.batch_size

    def __getitem__(self, index: int) -> Chip:
        generator = make_generator(self.seed, epoch=self.epoch, sample=index)
        chosen = self._choose(index)
        region, targets = self.material.regions[chosen], self.material.targets[chosen]
        pixels = self.cache.read(region)
        shape, side = pixels.valid.shape, (self.material.side, self.material.side)
        geometry = self._draw(generator, targets, shape=shape)
        image, valid = apply_geometry(pixels.data, pixels.valid, geometry=geometry, out_size=side)
        plain = self.scaling.apply(image, valid)
        strength = max(self.spec.colour, self.lesson.colour or 0)
        varied = jitter_colour(plain, generator, strength=strength, std=self.deviation)
        np.copyto(varied, 0, where=~valid)
        return Chip(
            varied,
            valid,
            move_targets(targets, geometry, shape=shape, out_size=side),
            plain=None if self.lesson.colour is None else plain,
            guide=self._guide(region, geometry, shape=shape),
        )

    def _guide(
        self, region: Region, geometry: Geometry, *, shape: Shape
    ) -> NDArray[np.float32] | None:
        if self.lesson.guide is None:
            return None
        found = self.lesson.guide[region]
        moved, _ = apply_geometry(
            found,
            np.asarray(found.any(axis=0)),
            geometry=geometry,
            out_size=(self.material.side, self.material.side),
            shape=shape,
            stride=self.lesson.stride,
        )
        return moved

    def _choose(self, index: int) -> int:
        """Go through all regions in an order of its own before any comes again."""
        count = len(self.material.regions)
        lap, position = divmod(index, count)
        order = np.random.default_rng([self.seed, self.epoch, lap, 1]).permutation(count)
        return int(order[position])

    def _draw(self, generator: np.random.Generator, targets: Targets, *, shape: Shape) -> Geometry:
        geometry = draw_geometry(
            generator,
            shape=shape,
            out_size=(self.material.side, self.material.side),
            flips=self.spec.flips,
            scale=self.spec.scale,
        )
        anchor = targets.coords[[generator.integers(len(targets))]]
        return _hold(generator, geometry, anchor=anchor, shape=shape, side=self.material.side)


def _hold(
    generator: np.random.Generator,
    geometry: Geometry,
    *,
    anchor: NDArray[np.float64],
    shape: Shape,
    side: int,
) -> Geometry:
    """Draw the crop again among those that hold a place: others teach nothing.

    It also gives places at a region's edge, which few free crops reach, their turn.
    """
    place = replace(geometry, offset=(0, 0)).forward(anchor, shape)[0]
    offset = list(geometry.offset)
    for axis, length in enumerate(geometry.turned(shape)):
        room = int(length * geometry.zoom + 1e-6) - side
        if room > 0:
            pixel = int(np.floor(place[axis] + 0.5))
            first, last = max(0, pixel - side + 1), min(room, pixel)
            offset[axis] = int(generator.integers(min(first, room), max(last, 0), endpoint=True))
    return replace(geometry, offset=(offset[0], offset[1]))


def count_steps(regions: int, spec: FitSpec) -> int:
    """Count the steps of an epoch: as asked, or so many that each region occurs at least once.

    An epoch is made of full batches, for batch statistics of a single chip are worth little, and
    of four steps at least, for otherwise a single small scene would hardly be trained on.
    """
    return spec.steps or max(-(-regions // spec.batch_size), 4)
