"""What a training sample is: a chip cut from a region, and varied as the recipe says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from landvisor.learn.augment import Chip, draw_geometry, jitter_colour, make_generator
from landvisor.learn.cutting import Cutting, cut, hold_place
from landvisor.learn.regions import Region, RegionCache
from landvisor.learn.sampling import Material, Origin, Sampler
from landvisor.learn.scaling import Scaling
from landvisor.recipe import FitSpec


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
        self.sampler = Sampler(material, seed, unlabelled=self.lesson.unlabelled)
        self.epoch = 0

    def __len__(self) -> int:
        return count_steps(len(self.material.regions), self.spec) * self.spec.batch_size

    def __getitem__(self, index: int) -> Chip:
        generator = make_generator(self.seed, epoch=self.epoch, sample=index)
        origin = self.sampler.choose(index, epoch=self.epoch)
        found = self._cut(origin, generator)
        plain = self.scaling.apply(found.image, found.valid)
        strength = max(self.spec.colour, self.lesson.colour or 0)
        varied = jitter_colour(plain, generator, strength=strength, std=self.deviation)
        np.copyto(varied, 0, where=~found.valid)
        return Chip(
            varied,
            found.valid,
            found.targets,
            plain=None if self.lesson.colour is None else plain,
            guide=found.guide,
        )

    def _cut(self, origin: Origin, generator: np.random.Generator) -> Cutting:
        shape, side = origin.region.window.shape, self.material.side
        geometry = draw_geometry(
            generator,
            shape=shape,
            out_size=(side, side),
            flips=self.spec.flips,
            scale=self.spec.scale,
        )
        targets, guide = origin.targets, self.lesson.guide
        if len(targets):
            held = origin.anchor
            chosen = int(generator.integers(len(targets))) if held is None else held
            anchor = targets.coords[[chosen]]
            geometry = hold_place(generator, geometry, anchor=anchor, shape=shape, side=side)
        return cut(
            self.cache.read(origin.region),
            targets,
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
