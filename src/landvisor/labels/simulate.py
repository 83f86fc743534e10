"""Which places would an analyst have clicked: points drawn once from a mask."""

from __future__ import annotations

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import PointsError
from landvisor.geo.legend import UNLABELLED, Legend
from landvisor.geo.places import Places, make_places
from landvisor.labels.imperfection import confuse_labels, jitter_coords
from landvisor.labels.strategies import STRATEGIES, Draw, DrawRule, Labels, Strategy


def simulate_places(
    mask: NDArray[np.integer],
    *,
    legend: Legend,
    strategy: str | Strategy,
    n: int = 10,
    seed: int = 0,
    name: str,
    valid: NDArray[np.bool_] | None = None,
    rule: DrawRule | None = None,
) -> Places:
    """Draw labelled places from a mask, each at a pixel's centre, never one pixel twice.

    Randomness follows from (seed, image name, strategy) alone, so that neither the order of
    the images nor the number of workers changes a point. Jitter and noise have randomness of
    their own: the same pixels are drawn with and without them. Draw at the mask's own
    resolution.

    Args:
        mask: Class ids `[row, col]`; ignored and unknown values are unlabelled.
        legend: Resolves the mask's values.
        strategy: A key of `STRATEGIES`, or a function from labels `[row, col]` (-1 is
            unlabelled) and a `Draw` to flat pixel positions.
        n: Places in all (`random`, `clustered`, `budget`) or per class (`per_class`), or step in
            pixels (`grid`); `per_object` and `dense` do not use it.
        seed: Of the draw.
        name: The image's name, unique in its collection.
        valid: `[row, col]`: False where the image has no data; no point is drawn there.
        rule: The strategy's options, jitter and noise; the defaults where None.

    Returns:
        Places on scene 0 in row order, each a group of its own that no other image has.
        None at all where the mask has no label.

    Raises:
        PointsError: If the strategy is unknown, `n` is below 1, the mask does not fit, or noise
            is asked for with one class.
    """
    labels = resolve_mask(mask, legend=legend, valid=valid)
    return draw_places(
        labels, legend=legend, strategy=strategy, n=n, seed=seed, name=name, valid=valid, rule=rule
    )


def draw_places(
    labels: Labels,
    *,
    legend: Legend,
    strategy: str | Strategy,
    n: int,
    seed: int,
    name: str,
    valid: NDArray[np.bool_] | None,
    rule: DrawRule | None,
) -> Places:
    """Draw places from labels that `resolve_mask` made; see `simulate_places`."""
    title, function = _find_strategy(strategy)
    if n < 1:
        raise PointsError(f"n={n} points asked for; draw at least 1")
    how = rule or DrawRule()
    chosen = np.sort(function(labels, Draw(n, derive_generator(seed, name, title), how)))
    coords = np.stack(np.unravel_index(chosen, labels.shape), axis=1).astype(np.float64)
    label = labels.ravel()[chosen].astype(np.int64)
    if how.jitter:
        known = np.ones(labels.shape, dtype=bool) if valid is None else valid
        generator = derive_generator(seed, name, f"jitter of {title}")
        coords = jitter_coords(coords, radius=how.jitter, valid=known, generator=generator)
    if how.noise:
        generator = derive_generator(seed, name, f"noise of {title}")
        label = confuse_labels(label, ids=legend.ids, share=how.noise, generator=generator)
    group = number_groups(name, title, len(chosen))
    return make_places(coords, label, source="simulated", group=group)


def resolve_mask(
    mask: NDArray[np.integer], *, legend: Legend, valid: NDArray[np.bool_] | None
) -> Labels:
    """Turn a mask's values into ids of active classes, and -1 where there is none or no data.

    Raises:
        PointsError: If the mask is not `[row, col]` of whole numbers, or `valid` has another
            shape.
    """
    values = np.asarray(mask)
    if values.ndim != 2 or values.dtype.kind not in "iu":
        raise PointsError(
            f"a mask of shape {values.shape} and type {values.dtype} found; "
            "give whole-number class ids [row, col]"
        )
    if valid is not None and valid.shape != values.shape:
        raise PointsError(
            f"a mask of {values.shape} and valid pixels of {valid.shape} found; use one grid"
        )
    labels = _resolve_values(values, legend)
    if valid is not None:
        labels[~valid] = UNLABELLED
    return labels


def derive_generator(seed: int, name: str, purpose: str) -> np.random.Generator:
    """Return randomness that follows from a seed, an image's name and a purpose alone."""
    return np.random.default_rng(_hash(seed, name, purpose))


def number_groups(name: str, purpose: str, count: int) -> NDArray[np.int64]:
    """Number places so that joining the places of many images merges no two groups.

    The numbers follow from the image's name, start far above those of a points table, and fit
    int64: 30 bits of hash above 32 bits of count, below a marker bit.
    """
    prefix = _hash("group", name, purpose) % (1 << 30)
    return ((1 << 62) | (prefix << 32)) + np.arange(count, dtype=np.int64)


def _find_strategy(strategy: str | Strategy) -> tuple[str, Strategy]:
    if callable(strategy):
        return getattr(strategy, "__name__", "strategy"), strategy
    if strategy not in STRATEGIES:
        raise PointsError(f"strategy {strategy!r} found; choose one of {', '.join(STRATEGIES)}")
    return strategy, STRATEGIES[strategy]


def _resolve_values(values: NDArray[np.integer], legend: Legend) -> Labels:
    if values.dtype != np.uint8:
        return legend.resolve(values).astype(np.int16)
    table = legend.resolve(np.arange(256)).astype(np.int16)  # spares big masks 8 bytes a pixel
    return np.asarray(table[values])


def _hash(*parts: object) -> int:
    text = json.dumps([str(part) for part in parts])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
