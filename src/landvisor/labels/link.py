"""Which pixels take the class of places that lie close together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import lru_cache, partial
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from landvisor.geo.places import Places
from landvisor.geo.scene import Pixels, Scene
from landvisor.geo.tiling import Window, full_window, group_by_block, split_blocks
from landvisor.labels.link_areas import (
    Claims,
    claim_discs,
    claim_hulls,
    find_hulls,
    group_places,
)
from landvisor.labels.link_ledger import open_ledger, read_ledger
from landvisor.labels.link_lines import (
    KEPT,
    NO_DATA,
    OFF_COLOUR,
    Sites,
    check_lines,
    claim_pixels,
    draw_lines,
)
from landvisor.labels.link_pairs import Links, find_links
from landvisor.labels.pixels import LabelledPixels, make_pixels, no_pixels
from landvisor.phrases import say_count
from landvisor.recipe import LinkSpec

_TILE = 512  # pixels a side: what is held of the imagery at a time


@dataclass(frozen=True)
class LinkFacts:
    """What became of the pairs of places of one class that lie within the distance.

    Attributes:
        pairs: All of them.
        linked: Those that were linked.
        near_other: Refused: as near to a place of another class as to their own.
        off_colour: Refused: a pixel between them leaves their colours.
        no_data: Refused: a pixel between them holds no data.
    """

    pairs: int = 0
    linked: int = 0
    near_other: int = 0
    off_colour: int = 0
    no_data: int = 0

    def __add__(self, other: LinkFacts) -> LinkFacts:
        """Add the facts of other scenes."""
        return LinkFacts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def lines(self) -> list[str]:
        """Say in a line how many pairs were linked, and in one each why others were not."""
        refused = (
            (self.near_other, "as near to a place of another class as to their own"),
            (self.off_colour, "over pixels that leave the colours of their places"),
            (self.no_data, "over no data"),
        )
        pairs = say_count(self.pairs, "pair")
        whole = f"{self.linked:,} of {pairs} of places of one class linked"
        return [whole, *(f"{count:,} refused: {why}" for count, why in refused if count)]


class Linked(NamedTuple):
    """New labels of one scene.

    Attributes:
        pixels: Pixels that no place lies in, with source `linked`; `place` is the nearer end of
            a link, or the place whose disc or hull it is.
        facts: What became of the pairs.
    """

    pixels: LabelledPixels
    facts: LinkFacts


def link_places(
    places: Places, *, scene: Scene, spec: LinkSpec, scale: NDArray[np.float64]
) -> Linked:
    """Label the pixels between and round places of one class that lie close together.

    A pair within `spec.distance` is linked unless another class comes between (`find_links`) or,
    with a tolerance, a pixel of the line between leaves the range of its ends' pixels by more
    than `tolerance * scale` in a band, or holds no data. Each area holds the lines of the links:

    - `segment`: nothing more.
    - `disk`: pixels within `spec.radius` of linked places, each given to the nearest place of
      any class (of several of one class, to any) whose colours it shares within the tolerance.
    - `hull`: pixels in the convex hull of places that links connect, given to the nearest place
      where it has their class, if the colours lie within the tolerance of the group's range. A
      hull that holds a place of another class is not used.

    A pixel that two classes claim, that a place lies in or that holds no data stays as it is. The
    result depends neither on the order of the places nor on how the scene is stored; it moves
    and turns with the places.

    Args:
        places: Of this scene alone, of any source.
        scene: What they lie on; read in tiles, and for its data only with a tolerance.
        spec: How places are linked.
        scale: Robust deviation per band, `[band]`, from `robust_scale`.

    Returns:
        The new pixels, whose weight is that of the less sure end, or of the place, times
        `spec.weight`; and what became of the pairs.

    Raises:
        PointsError: If there are more links than memory should hold.
        SceneError: If the imagery is damaged.
    """
    if spec.area == "none" or not len(places):
        return Linked(no_pixels(scene.shape), LinkFacts())
    sites = Sites(
        np.ascontiguousarray(places.coords, dtype=np.float64),
        places.pixels(),
        places.label,
        places.weight.astype(np.float64),
    )
    work = _Work(scene, sites, spec, spec.tolerance * scale, lru_cache(maxsize=1)(scene.read))
    links = find_links(places, spec.distance)
    status = _check_colours(work, links)
    first, second = links.first[status == KEPT], links.second[status == KEPT]
    facts = LinkFacts(
        pairs=links.pairs,
        linked=len(first),
        near_other=links.near_other,
        off_colour=int((status == OFF_COLOUR).sum()),
        no_data=int((status == NO_DATA).sum()),
    )
    return Linked(_label_pixels(work, first, second), facts)


@dataclass(frozen=True, eq=False)
class _Work:
    """What the steps share: `limit` is how far colours may go `[band]`, `read` keeps a tile."""

    scene: Scene
    sites: Sites
    spec: LinkSpec
    limit: NDArray[np.float64]
    read: Callable[[Window], Pixels]

    @property
    def looks(self) -> bool:
        return self.spec.tolerance > 0


def _check_colours(work: _Work, links: Links) -> NDArray[np.uint8]:
    """Say for each link whether it is kept, tile by tile of the first ends."""
    status = np.full(len(links.first), KEPT, dtype=np.uint8)
    if not work.looks:
        return status
    first, second = work.sites.pixels[links.first], work.sites.pixels[links.second]
    margin = ceil(work.spec.distance) + 1
    for tile, here in group_by_block(first, shape=work.scene.shape, size=_TILE):
        window = _widen(tile, margin, work.scene)
        data, valid = work.read(window)
        status[here] = check_lines(
            _as_compiled(data), valid, _corner(window), first[here], second[here], work.limit
        )
    return status


def _as_compiled(data: NDArray[Any]) -> NDArray[Any]:
    """Return the same values in a type that compiled loops know."""
    half = data.dtype == np.float16
    return data.astype(np.float32 if half else data.dtype.newbyteorder("="), copy=False)


def _label_pixels(
    work: _Work, first: NDArray[np.int64], second: NDArray[np.int64]
) -> LabelledPixels:
    """Claim the pixels of links and, tile by tile, those round them."""
    sites, shape, factor = work.sites, work.scene.shape, work.spec.weight
    ledger = open_ledger(sites.pixels[:, 0] * shape[1] + sites.pixels[:, 1])
    ledger = draw_lines(ledger, sites, first, second, shape[1], factor)
    claim = _prepare_area(work, first, second)
    for claims in map(claim, split_blocks(shape, _TILE)) if claim else ():
        ledger = claim_pixels(ledger, sites, claims.pixels, claims.place, shape[1], factor)
    position, label, weight, place = read_ledger(ledger)
    found = make_pixels(shape, position, label=label, source="linked", weight=weight, place=place)
    # With a tolerance what holds no data was refused before.
    return found if work.looks else found.take(work.scene.valid_at(found.coords()))


def _prepare_area(
    work: _Work, first: NDArray[np.int64], second: NDArray[np.int64]
) -> Callable[[Window], Claims] | None:
    """Return what gives the pixels of a tile round links to places; None where lines are all."""
    sites, spec = work.sites, work.spec
    if spec.area == "segment" or not len(first):
        return None
    if spec.area == "disk":
        linked = np.zeros(len(sites.label), dtype=bool)
        linked[first] = linked[second] = True
        discs = partial(claim_discs, sites=sites, linked=linked, radius=spec.radius)
        return partial(_claim_alike, work, _measure_ranges(work, np.arange(len(linked))), discs)
    group = group_places(len(sites.label), first, second)
    tree = cKDTree(sites.coords)
    hulls = find_hulls(sites, group)
    inside = partial(claim_hulls, sites=sites, hulls=hulls, tree=tree)
    return partial(_claim_alike, work, _measure_ranges(work, group), inside)


def _measure_ranges(work: _Work, group: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return `[2, band, group]`: the least and the largest value at the places of each group."""
    if not work.looks:
        return np.zeros((2, 0, 0))
    order = np.argsort(group, kind="stable")
    colours = work.scene.sample(work.sites.pixels[order]).data.astype(np.float64)
    begin = np.searchsorted(group[order], np.arange(group.max() + 1))
    return np.stack([edge.reduceat(colours, begin, axis=1) for edge in (np.minimum, np.maximum)])


def _claim_alike(
    work: _Work,
    ranges: NDArray[np.float64],
    claim: Callable[[Window], Claims],
    tile: Window,
) -> Claims:
    """Keep the claims in a tile whose pixels look like what they are claimed for."""
    claims = claim(tile)
    if not work.looks or not len(claims.place):
        return claims
    data, valid = work.read(tile)
    rows, cols = (claims.pixels - _corner(tile)).T
    values, limit = data[:, rows, cols].astype(np.float64), work.limit[:, None]
    low, high = ranges[:, :, claims.palette]
    alike = ((values >= low - limit) & (values <= high + limit)).all(axis=0) & valid[rows, cols]
    return Claims(*(array[alike] for array in claims))


def _widen(tile: Window, margin: int, scene: Scene) -> Window:
    wide = Window(
        tile.row - margin, tile.col - margin, tile.rows + 2 * margin, tile.cols + 2 * margin
    ).intersect(full_window(scene.shape))
    assert wide is not None, "a tile lies in its scene"
    return wide


def _corner(window: Window) -> NDArray[np.int64]:
    return np.array([window.row, window.col])
