"""Which labelled places look like another class: isolated errors, ranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from landvisor.geo.places import Places
from landvisor.geo.radiometry import measure_spread
from landvisor.geo.scene import Scene
from landvisor.geo.tiling import Window, full_window
from landvisor.parallel import map_ordered

MOST = 10_000
"""Places that are compared with each other; of more, this many at even steps."""

_NEIGHBOURS = 10
_LEAST = 5  # others of its class that a place needs to be judged
_REACH = 5  # pixels to each side that are looked at
_BLOCK = 512
_ROWS = 1024
_CLIP = 5.0  # a feature far out is far out: how far must not outweigh all others
_SLIGHT = 0.2
_APART, _SURE, _STRAY = 0.7, 0.8, 0.1  # shares of votes

Features = NDArray[np.float32]


@dataclass(frozen=True)
class Suspect:
    """A labelled feature that looks like another class.

    Attributes:
        index: Row of the points table, from 0.
        scene: Position of its scene.
        coords: `(row, col)` of its first place in pixels.
        label: The class that it has.
        says: The class that its neighbours have.
        score: Their share of votes for that class less that for its own; at most 1.
    """

    index: int
    scene: int
    coords: tuple[float, float]
    label: int
    says: int
    score: float


@dataclass(frozen=True, eq=False)
class Votes:
    """What the neighbours in feature space say of each feature.

    Attributes:
        classes: int64 `[k]`: class ids that occur.
        share: float64 `[n, k]`: the neighbours' votes for each class, which sum to 1; NaN where a
            feature cannot be judged.
        first: One place per feature, the first of its places.
        compared: Places that were compared.
        total: Places that there are.
    """

    classes: NDArray[np.int64]
    share: NDArray[np.float64]
    first: Places
    compared: int
    total: int

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Tell which features `[n]` have neighbours to be judged by."""
        return np.asarray(~np.isnan(self.share[:, 0]))

    @property
    def own(self) -> NDArray[np.float64]:
        """Return the share of votes `[n]` for the class that a feature has."""
        column = np.searchsorted(self.classes, self.first.label)
        return np.asarray(np.take_along_axis(self.share, column[:, None], axis=1)[:, 0])

    @property
    def says(self) -> NDArray[np.int64]:
        """Return the class `[n]` with most votes; any where not judged."""
        return np.asarray(self.classes[np.nan_to_num(self.share).argmax(axis=1)])

    @property
    def agreement(self) -> float:
        """Return which share of the judged features has the class that its neighbours say."""
        return float((self.says == self.first.label)[self.judged].mean())

    @property
    def chance(self) -> float:
        """Return the agreement to expect if looks told nothing, with the same shares of classes."""
        has, said = self.first.label[self.judged], self.says[self.judged]
        return float(sum((has == i).mean() * (said == i).mean() for i in self.classes))

    @property
    def telling(self) -> bool:
        """Tell whether the agreement is clearly above chance, or cannot be held against it.

        References:
            Landis and Koch (1977), Biometrics 33, 159: what is under a fifth of the way from
            chance to certainty is slight. Few features must also exceed chance by two standard
            errors.
        """
        if len(np.unique(self.first.label[self.judged])) == 1:
            return True
        above, chance = self.agreement - self.chance, self.chance
        error = np.sqrt(chance * (1 - chance) / self.judged.sum())
        return bool(above >= _SLIGHT * (1 - chance) and above > 2 * error)

    @property
    def apart(self) -> tuple[int, ...]:
        """Return the classes that stand apart: whose features get most votes for their own."""
        own, judged = self.own, self.judged
        means = {int(i): own[judged & (self.first.label == i)] for i in self.classes}
        return tuple(i for i, values in means.items() if len(values) and values.mean() >= _APART)


def vote_on(places: Places, scenes: Sequence[Scene]) -> Votes | None:
    """Ask the neighbours of every feature in colour and texture which class it has.

    Args:
        places: Usable places.
        scenes: The scenes that `places` counts.

    Returns:
        The votes, averaged over the places of a feature; None where nothing can be compared:
        fewer than two classes, or scenes with different bands.

    Raises:
        SceneError: If a scene is damaged at a place.
    """
    kept = places
    if len(places) > MOST:
        kept = places.take(np.linspace(0, len(places) - 1, MOST).astype(np.int64))
    if not len(kept) or len({len(scene.bands) for scene in scenes}) > 1:
        return None
    features = describe_places(scenes, kept)
    finite = np.flatnonzero(np.isfinite(features).all(axis=1))
    kept, classes = kept.take(finite), np.unique(kept.label[finite])
    if len(classes) < 2:
        return None
    share = vote(features[finite], kept.label, kept.group)
    known = ~np.isnan(share[:, 0])
    _, first, feature = np.unique(kept.index, return_index=True, return_inverse=True)
    sums = np.zeros((len(first), len(classes)))
    np.add.at(sums, feature[known], share[known])
    count = np.bincount(feature[known], minlength=len(first)).astype(np.float64)
    count[count == 0] = np.nan
    votes = Votes(classes, sums / count[:, None], kept.take(first), len(kept), len(places))
    return votes if votes.judged.any() else None


def find_suspects(votes: Votes) -> tuple[Suspect, ...]:
    """Rank the features that look like another class though theirs stands apart.

    A feature is suspect if its class gets at most a tenth of the votes and another at least four
    fifths, while the features of its class get 0.7 of the votes on average: where classes look
    alike anyway, disagreement means nothing.
    """
    own, share, first = votes.own, votes.share, votes.first
    top = np.nan_to_num(share).max(axis=1)
    odd = (top >= _SURE) & (own <= _STRAY) & np.isin(first.label, votes.apart)
    suspects = [
        Suspect(
            index=int(first.index[i]),
            scene=int(first.scene[i]),
            coords=(float(first.coords[i, 0]), float(first.coords[i, 1])),
            label=int(first.label[i]),
            says=int(votes.says[i]),
            score=float(top[i] - own[i]),
        )
        for i in np.flatnonzero(odd)
    ]
    return tuple(sorted(suspects, key=lambda suspect: (-suspect.score, suspect.index)))


def describe_places(scenes: Sequence[Scene], places: Places) -> Features:
    """Describe each place by colour and texture around it, near and wider.

    Args:
        scenes: The scenes that `places` counts, with one number of bands.
        places: Places on valid pixels.

    Returns:
        float32 `[n, 5 * bands]`: the value, means of 3 x 3 and 11 x 11 pixels, and logarithms
        of one plus the deviations of 5 x 5 and 11 x 11, all over valid, finite pixels alone; NaN
        for a place on a pixel that is not finite.
    """
    pixels = places.pixels()
    keys = np.column_stack([places.scene, pixels // _BLOCK])
    _, block = np.unique(keys, axis=0, return_inverse=True)
    order = np.argsort(block.reshape(-1), kind="stable")
    ends = np.flatnonzero(np.diff(block.reshape(-1)[order])) + 1
    parts = [
        p for part in np.split(order, ends) for p in np.array_split(part, 1 + len(part) // _ROWS)
    ]
    found = map_ordered(
        lambda part: _describe(scenes[int(places.scene[part[0]])], pixels[part]), parts
    )
    features = np.empty((len(places), 5 * len(scenes[0].bands)), dtype=np.float32)
    for part, values in zip(parts, found, strict=True):
        features[part] = values
    return features


def vote(
    features: Features, label: NDArray[np.int64], group: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Let the ten nearest places of other groups vote on each place's class.

    Features are scaled by median and interquartile range and cut at five of them. A vote weighs
    one over the places of its class, so that large classes do not outvote small ones.

    Args:
        features: `[n, f]`.
        label: Class ids `[n]`.
        group: `[n]`: a place never votes on one of its own group, itself included.

    Returns:
        Shares of the votes `[n, k]` for the sorted classes; NaN where a place's class has fewer
        than five places in other groups, or nobody votes.
    """
    scaled = _scale(features)
    classes, column = np.unique(label, return_inverse=True)
    member = np.eye(len(classes))[column]
    parts = [
        _vote(scaled, slice(start, start + _ROWS), member=member, group=group)
        for start in range(0, len(label), _ROWS)
    ]
    return np.concatenate(parts)


def _vote(
    scaled: Features, rows: slice, *, member: NDArray[np.float64], group: NDArray[np.int64]
) -> NDArray[np.float64]:
    own = group[rows, None] == group
    distance = _square_distances(scaled[rows], scaled)
    distance[own] = np.inf
    others = member.sum(axis=0) - own.astype(np.float64) @ member  # [m, k]: places that may vote
    count = min(_NEIGHBOURS, len(scaled) - 1)
    nearest = np.argpartition(distance, count, axis=1)[:, :count]
    heard = np.isfinite(np.take_along_axis(distance, nearest, axis=1))
    votes = (member[nearest] * heard[:, :, None]).sum(axis=1) / np.maximum(others, 1)
    total = votes.sum(axis=1, keepdims=True)
    alone = (others * member[rows]).sum(axis=1) < _LEAST
    share = np.divide(votes, total, where=total > 0, out=np.full_like(votes, np.nan))
    share[alone] = np.nan
    return np.asarray(share)


def _square_distances(some: Features, every: Features) -> NDArray[np.float32]:
    squares = (every**2).sum(axis=1)
    return np.asarray((some**2).sum(axis=1)[:, None] + squares - 2 * some @ every.T)


def _scale(features: Features) -> Features:
    spread = np.maximum(measure_spread(features, axis=0), 1e-12)
    scaled = (features - np.median(features, axis=0)) / spread
    return np.asarray(np.clip(scaled, -_CLIP, _CLIP), dtype=np.float32)


def _describe(scene: Scene, pixels: NDArray[np.int64]) -> Features:
    """Describe pixels `[n, 2]` that lie near each other."""
    low, high = pixels.min(axis=0) - _REACH, pixels.max(axis=0) + _REACH + 1
    window = Window(*(int(v) for v in (*low, *(high - low)))).intersect(full_window(scene.shape))
    assert window is not None, "places lie on their scene"
    found = scene.read(window)
    before = np.array([window.row, window.col]) - low
    after = high - low - before - np.array(window.shape)
    margins = ((0, 0), *zip(before.tolist(), after.tolist(), strict=True))
    data = np.pad(
        np.where(found.finite, found.data, np.nan).astype(np.float32),
        margins,
        constant_values=np.nan,
    )
    side = 2 * _REACH + 1
    rows, cols = (pixels - low - _REACH).T
    around = sliding_window_view(data, (side, side), axis=(1, 2))[:, rows, cols]
    known = np.isfinite(around[0, :, _REACH, _REACH])
    features = np.full((len(pixels), 5 * len(data)), np.nan, dtype=np.float32)
    features[known] = _sum_up(around[:, known])
    return features


def _sum_up(around: Features) -> Features:
    """Turn windows `[band, n, 11, 11]` into features `[n, 5 * bands]`."""
    near, wide = (_inner(around, reach) for reach in (1, _REACH))
    fine = _inner(around, 2)
    values = [
        around[:, :, _REACH, _REACH], np.nanmean(near, axis=-1), np.nanmean(wide, axis=-1),
        np.log1p(np.nanstd(fine, axis=-1)), np.log1p(np.nanstd(wide, axis=-1)),
    ]  # fmt: skip
    return np.concatenate(values).T


def _inner(around: Features, reach: int) -> Features:
    part = around[:, :, _REACH - reach : _REACH + reach + 1, _REACH - reach : _REACH + reach + 1]
    return part.reshape(*part.shape[:2], -1)
