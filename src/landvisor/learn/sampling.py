"""Which regions training knows, and from which of them each chip of an epoch is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from landvisor.geo.legend import Legend
from landvisor.geo.places import Places
from landvisor.geo.scene import Scene
from landvisor.geo.tiling import Shape, cover
from landvisor.learn.regions import Region, find_regions
from landvisor.learn.targets import Targets, crop_targets, make_targets

MOST_BARE = 64
"""Regions without a place that a run reads at most, however large its scenes are."""

_ROOM = 1.5  # sides of a chip: enough for a crop to move, and for a zoom of 0.75
_FILLED = 0.5  # of a bare region
_PATIENCE = 4  # windows looked at for each that is wanted
_LABELLED, _BARE, _CLASSES, _PLACE = 1, 2, 4, 5  # streams of random numbers


@dataclass(frozen=True)
class Material:
    """What chips are cut from: regions and all places on each of them.

    Attributes:
        regions: Parts of the scenes, each with a place at least.
        targets: Per region, the places on its pixels, counted from its first pixel.
        side: Rows and columns of a chip.
        bare: Parts of scenes without a place.
    """

    regions: tuple[Region, ...]
    targets: tuple[Targets, ...]
    side: int
    bare: tuple[Region, ...] = ()

    @property
    def everywhere(self) -> tuple[Region, ...]:
        """All regions, those with places first."""
        return self.regions + self.bare

    @cached_property
    def homes(self) -> dict[int, NDArray[np.int64]]:
        """Positions of the regions that hold a place of a class, by class."""
        present = [np.unique(targets.label) for targets in self.targets]
        label = np.concatenate(present)
        position = np.repeat(np.arange(len(present)), [len(part) for part in present])
        return {int(c): position[label == c] for c in np.unique(label)}

    @cached_property
    def counts(self) -> dict[int, int]:
        """Number of places of each class, over all regions."""
        label = np.concatenate([targets.label for targets in self.targets])
        classes, counts = np.unique(label, return_counts=True)
        return {int(c): int(n) for c, n in zip(classes, counts, strict=True)}


@dataclass(frozen=True)
class Origin:
    """What a chip is cut from.

    Attributes:
        region: The window.
        targets: All places on it; none on a bare region.
        anchor: Position in `targets` of the place that the chip has to hold; None is any of them.
    """

    region: Region
    targets: Targets
    anchor: int | None = None


@dataclass(frozen=True)
class Sampler:
    """Chooses where the chips of an epoch come from; each follows from (seed, epoch, index).

    Args:
        material: All regions.
        seed: Of the run.
        unlabelled: Share of the chips that come from bare regions, spaced evenly; where there
            are none, no chip does.
        balanced: Share of the other chips that are chosen by class: classes take turns, and
            of one class first a region that holds it is drawn, then a place of it there.
    """

    material: Material
    seed: int
    unlabelled: float = 0.0
    balanced: float = 0.0

    def choose(self, index: int, *, epoch: int) -> Origin:
        """Choose the region of a chip, and the place it is to hold."""
        bare, first = self.material.bare, self.material.targets[0]
        share = self.unlabelled if bare else 0.0
        number, hit = _part(index, share)
        if hit:
            chosen = bare[self._turn(number, len(bare), epoch=epoch, stream=_BARE)]
            return Origin(chosen, first.take(np.arange(0)))
        even, hit = _part(index - number, self.balanced)
        if hit:
            return self._balance(even, epoch=epoch)
        count = len(self.material.regions)
        position = self._turn(index - number - even, count, epoch=epoch, stream=_LABELLED)
        return Origin(self.material.regions[position], self.material.targets[position])

    def draw_of(self, label: int, generator: np.random.Generator) -> Origin:
        """Draw a region among those that hold a class, then one of its places there."""
        position = int(generator.choice(self.material.homes[label]))
        targets = self.material.targets[position]
        anchor = int(generator.choice(np.flatnonzero(targets.label == label)))
        return Origin(self.material.regions[position], targets, anchor)

    def _balance(self, number: int, *, epoch: int) -> Origin:
        labels = list(self.material.homes)
        label = labels[self._turn(number, len(labels), epoch=epoch, stream=_CLASSES)]
        generator = np.random.default_rng([self.seed, epoch, number, _PLACE])
        return self.draw_of(label, generator)

    def _turn(self, number: int, count: int, *, epoch: int, stream: int) -> int:
        """Go through all in an order of the epoch's own before any comes again."""
        lap, position = divmod(number, count)
        order = np.random.default_rng([self.seed, epoch, lap, stream]).permutation(count)
        return int(order[position])


def _part(index: int, share: float) -> tuple[int, bool]:
    """Count the evenly spaced hits before an index, and tell whether it is one itself."""
    before, after = (int(np.floor(n * share + 1e-9)) for n in (index, index + 1))
    return before, after > before


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


def find_bare(
    places: Places,
    scenes: Sequence[Scene],
    *,
    extra: Sequence[Scene],
    taken: Sequence[Region],
    chip: int,
    seed: int,
) -> tuple[Region, ...]:
    """Draw regions without a place: from scenes that hold places, and from extra scenes.

    They are windows of the same grid as those of `gather_material`, drawn evenly over all
    imagery, and at most 64: a large scene is never decoded whole. Windows with less than half
    of their pixels valid are passed over; 256 windows are looked at, at most.

    Args:
        places: All that is learned from. A scene without any may be one that checks the result,
            and is left alone.
        scenes: The scenes that `Places.scene` counts.
        extra: Scenes without labels; regions count them on from `scenes`.
        taken: Regions with places.
        chip: Largest side of a chip.
        seed: Of the draw.

    Raises:
        SceneError: If a file is damaged.
    """
    everywhere = [*scenes, *extra]
    coords = {int(s): places.coords[places.scene == s] for s in np.unique(places.scene)}
    coords |= {len(scenes) + number: np.empty((0, 2)) for number in range(len(extra))}
    windows = {
        Region(scene, window)
        for scene in coords
        for window in cover(everywhere[scene].shape, size=int(chip * _ROOM), overlap=chip // 2)
    }
    free = sorted(windows.difference(taken))
    order = np.random.default_rng([seed, _BARE]).permutation(len(free))
    looked_at = (free[position] for position in order[: MOST_BARE * _PATIENCE])
    empty = (r for r in looked_at if not r.window.holds(coords[r.scene]).any())
    filled = (r for r in empty if everywhere[r.scene].read_valid(r.window).mean() >= _FILLED)
    return tuple(sorted(islice(filled, MOST_BARE)))
