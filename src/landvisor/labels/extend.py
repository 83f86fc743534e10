"""How the labels of whole collections are linked and grown, and how pure the new ones are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import PointsError
from landvisor.geo.mask_values import add_counts, describe_unknown
from landvisor.geo.places import Places
from landvisor.geo.radiometry import measure_radiometry, robust_scale
from landvisor.geo.scene import Scene
from landvisor.labels.ground import Ground
from landvisor.labels.grow import grow_places
from landvisor.labels.growth import Grower
from landvisor.labels.link import LinkFacts, link_places
from landvisor.labels.pixels import LabelledPixels, leave_known, overlay, pixels_of_places
from landvisor.labels.purity import (
    Purity,
    Tally,
    check_against_mask,
    check_against_places,
    count_labels,
    draw_held_out,
    join_tallies,
)
from landvisor.labels.sure_map import SureMap
from landvisor.parallel import map_ordered
from landvisor.recipe import GrowSpec, LinkSpec

T = TypeVar("T")


@dataclass(frozen=True)
class Making:
    """How labels are made from labels, and how they are checked.

    Attributes:
        link: Links between places; `area="none"` makes none.
        grow: Growth from places; `method="none"` makes none.
        grower: A function that grows in place of `grow.method`, or None.
        features: Returns what `region` compares, `[feature, row, col]` of a scene, such as an
            encoder's; None compares what `grow.features` names.
        sure_map: Finished maps whose sure pixels are labels too, below all others; None is none.
        holdout: Share of the features held out to measure purity where no mask tells it.
        min_purity: Classes whose new labels are not shown to reach it lose them; 0 keeps all.
        seed: Of the choice of what is held out.
        workers: Threads, a scene each; None takes the processors. They change no result.
    """

    link: LinkSpec = field(default_factory=LinkSpec)
    grow: GrowSpec = field(default_factory=GrowSpec)
    grower: Grower | None = None
    features: Callable[[Scene], NDArray[np.floating]] | None = None
    sure_map: SureMap | None = None
    holdout: float = 0.2
    min_purity: float = 0.0
    seed: int = 0
    workers: int | None = None

    def __post_init__(self) -> None:
        for name in ("holdout", "min_purity"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise PointsError(f"{name} {value!r} found; it is a share of 0 to 1")

    @property
    def grows(self) -> bool:
        """Tell whether anything grows."""
        return self.grower is not None or self.grow.method != "none"

    @property
    def looks(self) -> bool:
        """Tell whether the colours of the imagery matter."""
        grows = self.grower is not None or self.grow.method not in ("none", "disc")
        return grows or (self.link.area != "none" and self.link.tolerance > 0)


class Extended(NamedTuple):
    """The labels of one scene after linking and growing.

    Attributes:
        position: Of the scene in its collection.
        places: What it began with.
        pixels: All labelled pixels; their `place` counts `places`.
        tally: What was counted.
        links: What became of the links.
        values: Pixels of the scene's mask by value, where it was read.
    """

    position: int
    places: Places
    pixels: LabelledPixels
    tally: Tally
    links: LinkFacts
    values: Mapping[int, int]


@dataclass(frozen=True)
class Extension(Generic[T]):
    """What came of a collection.

    Attributes:
        delivered: What `deliver` returned for each scene.
        purity: Over all scenes.
        links: Over all scenes.
        rejected: Classes whose new labels are not pure enough; the receiver drops them.
        notes: What the masks hold besides the classes.
    """

    delivered: list[T]
    purity: Purity
    links: LinkFacts
    rejected: tuple[int, ...]
    notes: tuple[str, ...] = ()


def extend_ground(
    ground: Ground, making: Making, *, deliver: Callable[[Extended], T]
) -> Extension[T]:
    """Link and grow the labels of every scene, and measure how pure the new ones are.

    Args:
        ground: Labelled scenes.
        making: How labels are made and checked.
        deliver: Called once per scene in any thread; what it returns is kept, in scene order,
            so that no more than a scene per worker is held in memory.

    Raises:
        PointsError: If there is no labelled place.
        SceneError: If imagery is damaged.
    """
    scale = np.ones(len(ground.scenes[0].bands))
    if making.looks:
        scale = robust_scale(measure_radiometry(ground.scenes, seed=making.seed))
    one = partial(_extend_one, ground, making, scale, deliver)
    results = map_ordered(one, range(len(ground.scenes)), workers=making.workers)
    tally = join_tallies(tally for _, tally, _, _ in results)
    if not tally.before.any():
        raise PointsError("no labelled place was found to link or grow from; see `check`")
    purity = Purity(tally, ground.legend, held_out=not ground.has_truth)
    values = add_counts(values for _, _, _, values in results)
    rejected = purity.below(making.min_purity) if making.min_purity else ()
    return Extension(
        [found for found, _, _, _ in results],
        purity,
        sum((links for _, _, links, _ in results), LinkFacts()),
        rejected,
        (*describe_unknown(values, ground.legend), *_describe_map(ground, making)),
    )


def extend_places(
    places: Places,
    scene: Scene,
    making: Making,
    *,
    scale: NDArray[np.float64],
    workers: int | None = None,
) -> tuple[LabelledPixels, LinkFacts]:
    """Link and grow the places of one scene; no place's own pixel changes.

    Args:
        places: Of this scene alone.
        scene: What they lie on.
        making: How labels are made.
        scale: Robust deviation per band.
        workers: Threads within the scene; None takes the processors.
    """
    pixels, facts = pixels_of_places(places, scene.shape), LinkFacts()
    if making.link.area != "none" and len(places):
        linked = link_places(places, scene=scene, spec=making.link, scale=scale)
        pixels, facts = overlay(pixels, linked.pixels), linked.facts
    if making.grows and len(places):
        grown = grow_places(
            places, scene=scene, spec=making.grow, scale=scale, method=making.grower,
            features=making.features(scene) if making.features else None, workers=workers,
        )  # fmt: skip
        pixels = overlay(pixels, grown)
    return pixels, facts


def describe_choices(making: Making) -> dict[str, Any]:
    """Return the choices that labels were made by as plain values."""
    parts: dict[str, Any] = {}
    if making.link.area != "none":
        parts["link"] = making.link.model_dump()
    if making.grows:
        own = {"method": getattr(making.grower, "__name__", "grower")} if making.grower else {}
        given = {"features": "given"} if making.features else {}
        parts["grow"] = {**making.grow.model_dump(), **own, **given}
    if making.sure_map is not None:
        parts["map"] = making.sure_map.describe()
    return {
        **parts, "seed": making.seed, "holdout": making.holdout, "min_purity": making.min_purity
    }  # fmt: skip


def _describe_map(ground: Ground, making: Making) -> tuple[str, ...]:
    if making.sure_map is None or ground.has_truth:
        return ()
    return ("a map that has learned from these points agrees with them more than with others",)


def _extend_one(
    ground: Ground,
    making: Making,
    scale: NDArray[np.float64],
    deliver: Callable[[Extended], T],
    position: int,
) -> tuple[T, Tally, LinkFacts, Mapping[int, int]]:
    scene, labelled = ground.scenes[position], ground.read(position)
    places = labelled.places
    if making.grows and making.features is not None:
        features = making.features(scene)  # an encoder takes its time, and is asked once
        making = replace(making, features=lambda _: features)
    # threads are spent on scenes, and on the blocks of a scene that is alone
    alone = len(ground.scenes) == 1
    told = None
    if making.sure_map is not None:
        told = making.sure_map.read(scene, legend=ground.legend, alone=alone)

    def extend(places: Places) -> tuple[LabelledPixels, LinkFacts]:
        made, facts = extend_places(
            places, scene, making, scale=scale, workers=making.workers if alone else 1
        )
        return (made if told is None else overlay(made, leave_known(told, places))), facts

    pixels, links = extend(places)
    if labelled.truth is not None:
        checked, right = check_against_mask(pixels, labelled.truth)
        reference = int((labelled.truth >= 0).sum())
    else:
        held = draw_held_out(places, share=making.holdout, seed=making.seed, name=scene.name)
        kept = extend(places.take(~held))[0] if held.any() else pixels
        checked, right = check_against_places(kept, places.take(held))
        reference = int(held.sum())
    before = count_labels(pixels_of_places(places, scene.shape).label)
    after = count_labels(pixels.label)
    new = after > before  # a class that got no label has none to be right, whatever was held out
    tally = Tally(
        before=before,
        after=after,
        checked=np.where(new, checked, 0),
        right=np.where(new, right, 0),
        pixels=np.array([scene.shape[0] * scene.shape[1]]),
        held=np.array([reference]),
    )
    extended = Extended(position, places, pixels, tally, links, labelled.values)
    return deliver(extended), tally, links, labelled.values
