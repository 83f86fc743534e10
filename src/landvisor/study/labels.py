"""Which labels a run learns from: points drawn from masks at their own resolution, and carried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from landvisor.errors import StudyError
from landvisor.geo.collection import Collection, Item
from landvisor.geo.legend import Legend
from landvisor.geo.places import Places, concatenate, make_places, rescale
from landvisor.geo.points import Points, places_to_points, write_points
from landvisor.geo.scene import Scene
from landvisor.labels.sampling import read_validity
from landvisor.labels.simulate import derive_generator, number_groups, resolve_mask, simulate_places
from landvisor.labels.strategies import DrawRule
from landvisor.study.images import Images, aside
from landvisor.study.spec import PointsSpec

_RULES = ("placement", "min_area", "cluster_size", "radius", "spread", "jitter", "noise")


def draw_points(
    images: Images, splits: Sequence[str], *, points: PointsSpec, legend: Legend, seed: int
) -> Points:
    """Draw the points of some splits on the original masks, and carry them to the used images.

    With `points.per` `split`, a class gets n points on all images of the first split together, as
    many of each image as chance gives a pixel; further splits get as many in proportion to their
    number of images.

    Args:
        images: Of the arm; those that it leaves out get no point.
        splits: Words of the data for the splits; the first is that which n is about.
        points: How they are drawn; not `masks`.
        legend: Active classes are drawn.
        seed: Of the draw.

    Raises:
        StudyError: If no point can be drawn.
    """
    parts: list[Places] = []
    scenes: list[Scene] = []
    first = _count(images.original, splits[0], images.left_out)
    for split in splits:
        n = points.n
        if points.per == "split":
            n = max(1, round(n * _count(images.original, split, images.left_out) / first))
        for places, source, target in _draw_split(images, split, points, n, legend, seed):
            coords = rescale(places.coords, source=source.shape, target=target.shape)
            here = np.full(len(places), len(scenes))
            parts.append(replace(places, coords=coords, scene=here))
            scenes.append(target)
    if not sum(map(len, parts)):
        raise StudyError(
            f"no point could be drawn by {points.strategy!r} with n={points.n}; check the legend, "
            "data.ignore and points.rim"
        )
    return places_to_points(concatenate(parts), scenes, legend)


def draw_once(
    target: Path, images: Images, splits: Sequence[str], *, points: PointsSpec, legend: Legend,
    seed: int,
) -> Path:  # fmt: skip
    """Draw points to a GeoPackage, unless an earlier call has; see `draw_points`."""
    if not target.exists():
        drawn = draw_points(images, splits, points=points, legend=legend, seed=seed)
        with aside(target) as part:
            write_points(drawn, part)
            part.replace(target)
    return target


def _count(collection: Collection, split: str, left_out: Sequence[str]) -> int:
    return sum(i.split == split and i.name not in left_out for i in collection.items)


def _pairs(images: Images, split: str) -> Iterator[tuple[Item, Item]]:
    for original, used in zip(images.original.items, images.used.items, strict=True):
        if original.split == split and original.name not in images.left_out:
            yield original, used


def _draw_split(
    images: Images, split: str, points: PointsSpec, n: int, legend: Legend, seed: int
) -> Iterator[tuple[Places, Scene, Scene]]:
    pairs = list(_pairs(images, split))
    quotas: list[dict[int, int]] = []
    if points.per == "split":
        counts = [_count_classes(*_read(item, images, points), legend) for item, _ in pairs]
        quotas = _share_out(np.array(counts), n, legend, seed=seed, split=split)
    for position, (item, used) in enumerate(pairs):
        ids, valid = _read(item, images, points)
        if points.per == "split":
            places = _draw_quota(ids, valid, quotas[position], legend, seed, item.name)
        else:
            rule = DrawRule(**{name: getattr(points, name) for name in _RULES})
            places = simulate_places(
                ids, legend=legend, strategy=points.strategy, n=n, seed=seed, name=item.name,
                valid=valid, rule=rule,
            )  # fmt: skip
        yield places, item.open(images.reading), used.open(images.reading_used)


def _read(
    item: Item, images: Images, points: PointsSpec
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Read a mask, and where points may lie."""
    scene = item.open(images.reading)
    valid = read_validity(scene)
    if points.rim:
        valid = ndimage.binary_erosion(valid, iterations=points.rim, border_value=1)
    return item.read_mask(scene), valid


def _count_classes(
    ids: NDArray[np.int64], valid: NDArray[np.bool_], legend: Legend
) -> NDArray[np.int64]:
    labels = resolve_mask(ids, legend=legend, valid=valid)
    return np.array([np.count_nonzero(labels == i) for i in legend.ids])


def _share_out(
    counts: NDArray[np.int64], n: int, legend: Legend, *, seed: int, split: str
) -> list[dict[int, int]]:
    """Say how many points of a class each image gets, every pixel of it being alike.

    Args:
        counts: `[image, class]`: pixels.
        n: Points of a class; all of its pixels where it has fewer.
        legend: Of the classes.
        seed: Of the draw.
        split: Part of what the draw follows from.
    """
    generator = derive_generator(seed, split, "points per split")
    shares = np.stack(
        [
            generator.multivariate_hypergeometric(column, min(n, int(column.sum())))
            for column in counts.T
        ],
        axis=1,
    )
    return [dict(zip(legend.ids, row, strict=True)) for row in shares.tolist()]


def _draw_quota(
    ids: NDArray[np.int64],
    valid: NDArray[np.bool_],
    quota: dict[int, int],
    legend: Legend,
    seed: int,
    name: str,
) -> Places:
    labels = resolve_mask(ids, legend=legend, valid=valid)
    generator = derive_generator(seed, name, "points per split")
    chosen = [
        generator.choice(np.flatnonzero(labels == label), size=count, replace=False)
        for label, count in quota.items()
        if count
    ]
    flat = np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, dtype=np.int64)
    coords = np.stack(np.unravel_index(flat, labels.shape), axis=1).astype(np.float64)
    label = labels.ravel()[flat].astype(np.int64)
    group = number_groups(name, "points per split", len(flat))
    return make_places(coords, label, source="simulated", group=group)
