"""What a training sample is: a chip cut from a region, and varied as the recipe says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from landvisor.learn.augment import Chip, draw_geometry, jitter_colour, make_generator
from landvisor.learn.copy_paste import centre_on, draw_class, draw_spot, paste
from landvisor.learn.cutting import Cutting, cut, hold_place
from landvisor.learn.distort import distort, draw_shifts
from landvisor.learn.recolour import Curves, bend_curves, measure_curves, recolour
from landvisor.learn.regions import Region, RegionCache
from landvisor.learn.sampling import Material, Origin, Sampler
from landvisor.learn.scaling import Scaling
from landvisor.learn.targets import Geometry
from landvisor.recipe import FitSpec

_PASTE, _RECOLOUR, _DISTORT = 6, 8, 9  # streams of random numbers, apart from those of `sampling`


@dataclass(frozen=True)
class Lesson:
    """What chips carry for a teacher's sake.

    Attributes:
        colour: Strength of colour changes that the teacher does not see; None shows it nothing.
        guide: Probabilities `[class, cell, cell]` of each region, 0 without data; None has none.
        stride: Pixels a side of a cell, as chips carry the guide.
        unlabelled: Share of the chips that come from regions without a place.
    """

    colour: float | None = None
    guide: Mapping[Region, NDArray[np.float16]] | None = None
    stride: int = 1
    unlabelled: float = 0.0


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
        self.sampler = Sampler(
            material, seed, unlabelled=self.lesson.unlabelled, balanced=spec.balanced_chips
        )
        self.epoch = 0
        self._curves: dict[Region, Curves | None] = {}

    def __len__(self) -> int:
        return count_steps(len(self.material.regions), self.spec) * self.spec.batch_size

    def __getitem__(self, index: int) -> Chip:
        generator = make_generator(self.seed, epoch=self.epoch, sample=index)
        origin = self.sampler.choose(index, epoch=self.epoch)
        found = self._distort(self._paste(self._cut_chip(origin, generator), index), index)
        plain = self.scaling.apply(found.image, found.valid)
        moved = self._recolour(found, origin.region, index)
        seen = plain if moved is None else self.scaling.apply(moved, found.valid)
        strength = max(self.spec.colour, self.lesson.colour or 0)
        varied = jitter_colour(seen, generator, strength=strength, std=self.deviation)
        np.copyto(varied, 0, where=~found.valid)
        return Chip(
            varied,
            found.valid,
            found.targets,
            plain=None if self.lesson.colour is None else plain,
            guide=found.guide,
        )

    def _cut_chip(self, origin: Origin, generator: np.random.Generator) -> Cutting:
        side = self.material.side
        geometry = self._draw(origin, generator, side=side)
        targets = origin.targets
        if len(targets):
            held = origin.anchor
            chosen = int(generator.integers(len(targets))) if held is None else held
            geometry = hold_place(
                generator,
                geometry,
                anchor=targets.coords[[chosen]],
                shape=origin.region.window.shape,
                side=side,
            )
        return self._cut(origin, geometry, side=side)

    def _paste(self, chip: Cutting, index: int) -> Cutting:
        generator = np.random.default_rng([self.seed, self.epoch, index, _PASTE])
        if generator.random() >= self.spec.copy_paste:
            return chip
        label = draw_class(generator, self.material.counts)
        origin = self.sampler.draw_of(label, generator)
        assert origin.anchor is not None, "a class is drawn by its places"
        at = draw_spot(generator, self.material.side)
        geometry = centre_on(
            self._draw(origin, generator, side=at.rows),
            place=origin.targets.coords[[origin.anchor]],
            shape=origin.region.window.shape,
            side=at.rows,
        )
        patch = self._cut(origin, geometry, side=at.rows)
        return paste(chip, patch, at=at, stride=self.lesson.stride)

    def _distort(self, chip: Cutting, index: int) -> Cutting:
        kind = self.spec.distort
        if kind == "none":
            return chip
        generator = np.random.default_rng([self.seed, self.epoch, index, _DISTORT])
        shifts = draw_shifts(
            generator, self.material.side, kind=kind, pixels=self.spec.distort_pixels
        )
        return distort(chip, shifts, stride=self.lesson.stride)

    def _recolour(self, chip: Cutting, region: Region, index: int) -> NDArray[np.float32] | None:
        """Return the image as other light, or another region's, would have it; or None."""
        generator = np.random.default_rng([self.seed, self.epoch, index, _RECOLOUR])
        if generator.random() >= self.spec.match_histogram:
            return None
        own = self._measure(region)
        if own is None:
            return None
        others = self._others(region)
        if others and generator.random() < 0.5:
            other = self._measure(others[generator.integers(len(others))])
            if other is not None:
                return recolour(chip.image, own=own, other=other, share=generator.random())
        return recolour(chip.image, own=own, other=bend_curves(own, generator))

    def _others(self, region: Region) -> list[Region]:
        """List the regions of other scenes, or of the same where there is only one."""
        everywhere = self.material.everywhere
        elsewhere = [other for other in everywhere if other.scene != region.scene]
        return elsewhere or [other for other in everywhere if other != region]

    def _measure(self, region: Region) -> Curves | None:
        if region not in self._curves:
            self._curves[region] = measure_curves(self.cache.read(region))
        return self._curves[region]

    def _draw(self, origin: Origin, generator: np.random.Generator, *, side: int) -> Geometry:
        return draw_geometry(
            generator,
            shape=origin.region.window.shape,
            out_size=(side, side),
            flips=self.spec.flips,
            scale=self.spec.scale,
        )

    def _cut(self, origin: Origin, geometry: Geometry, *, side: int) -> Cutting:
        guide = self.lesson.guide
        return cut(
            self.cache.read(origin.region),
            origin.targets,
            geometry=geometry,
            side=side,
            guide=None if guide is None else guide[origin.region],
            stride=self.lesson.stride,
        )


def count_steps(regions: int, spec: FitSpec) -> int:
    """Count the steps of an epoch: as asked, or so many that each region occurs at least once.

    An epoch is made of full batches, for batch statistics of a single chip are worth little, and
    of four steps at least, for otherwise a single small scene would hardly be trained on. Chips
    of regions without places, or chosen by class, do not lengthen it but take the place of others.
    """
    return spec.steps or max(-(-regions // spec.batch_size), 4)
