"""Which images of a collection do not belong: detectors by name, each with its measure.

A detector looks at images that hold data, all with one number of bands, and does not depend on
their order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from landvisor.errors import CollectionError
from landvisor.geo.filterbank import KINDS, filter_bank
from landvisor.geo.radiometry import QUARTILES_PER_DEVIATION
from landvisor.labels.alike import SAME, correlate, find_alike, make_thumbnails, shrink
from landvisor.labels.looks import Look
from landvisor.parallel import map_ordered
from landvisor.phrases import say_count

_FAR = 3.5  # robust deviations: Iglewicz and Hoaglin (1993), in the NIST e-Handbook 1.3.5.17
_TO_SIGMA = 1.4826  # standard deviation of a normal distribution over its MAD
_ALIKE = 0.5
_DRAWN = 8  # corners that two masks do not share by chance, as a straight border or two are
_COMPONENTS, _PARTS = 16, 5
_NEIGHBOURS = 10
_LEAST = 10  # images below which nothing tells what is usual
_SIGMAS = (1.0, 2.0, 4.0, 8.0)
_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)

Scores = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a detector says of each image.

    Attributes:
        score: `[n]`: the higher, the less an image belongs; NaN where there is nothing to say.
        threshold: An image above it does not belong.
        reasons: `[n]`: what the score means for each image, for people.
        note: Why no image could be judged, if so.
    """

    score: Scores
    threshold: float
    reasons: tuple[str, ...]
    note: str = ""

    @property
    def suspect(self) -> NDArray[np.bool_]:
        """Tell which images `[n]` do not belong."""
        return np.asarray(np.nan_to_num(self.score, nan=-np.inf) > self.threshold)


Detector = Callable[[Sequence[Look]], Verdict]


def detect_identical_masks(looks: Sequence[Look]) -> Verdict:
    """Find images that share a drawn mask though they show different things.

    A mask is drawn where its classes meet in at least 8 corners; crops of one class, or with a
    straight border, share a mask by chance. Images that look alike may share a mask: they are
    duplicates, or one place at two dates. The score is one less the median correlation with the
    images that have the same mask.

    Raises:
        CollectionError: If no image has a mask.
    """
    if not any(look.mask for look in looks):
        raise CollectionError(
            "identical_masks compares masks, and no scene has one; choose other detectors, as in "
            "--detectors reconstruction,feature_outlier"
        )
    score = np.full(len(looks), np.nan)
    reasons = ["no other image has this mask"] * len(looks)
    for members in _group_masks(looks):
        score[members] = 1 - _median_alike([looks[i] for i in members])
        mask = looks[members[0]].mask
        assert mask is not None, "a group is made of masks"
        for i in members:
            reasons[i] = (
                f"exactly the mask of {say_count(len(members) - 1, 'other image')}, of "
                f"{mask.classes} classes and {mask.corners} corners; median correlation with them "
                f"{1 - score[i]:.2f}"
            )
    return Verdict(score, 1 - _ALIKE, tuple(reasons))


def detect_duplicates(looks: Sequence[Look]) -> Verdict:
    """Find images that nearly equal another one; of each such set the first by name stays.

    The score is the highest correlation with an image that comes earlier by name.
    """
    order = sorted(range(len(looks)), key=lambda i: looks[i].name)
    score, reasons = np.full(len(looks), np.nan), ["nearly equals no earlier image"] * len(looks)
    for first, second, alike in find_alike(make_thumbnails([looks[i] for i in order])):
        i = order[second]
        if not score[i] >= alike:
            score[i] = alike
            reasons[i] = f"correlation with {looks[order[first]].name}: {alike:.4f}"
    return Verdict(score, np.nextafter(SAME, 0), tuple(reasons))


def detect_mean_pixel(looks: Sequence[Look]) -> Verdict:
    """Find images whose mean differs from the others' in any band.

    References:
        Iglewicz and Hoaglin (1993), How to detect and handle outliers: the modified z-score from
        median and MAD, and its limit of 3.5.
    """
    mean = np.stack([_means(look) for look in looks])
    away = np.abs(mean - np.median(mean, axis=0))
    score = _divide(away, _TO_SIGMA * np.median(away, axis=0)).max(axis=1)
    return _judge(score, looks, "the mean of a band is {:.1f} robust deviations off the median")


def detect_reconstruction(looks: Sequence[Look]) -> Verdict:
    """Find images that principal components of the others' thumbnails cannot rebuild.

    Components are fitted without the fifth of the images that they are asked to rebuild, or an
    image far from all others would be a component of its own. The score counts deviations, as
    `measure_excess` does, of the root of the squared error.
    """
    from sklearn.utils.extmath import randomized_svd  # slow to import

    whole = np.stack([_fill(look) for look in looks])
    part = _number_parts(looks)
    error = np.zeros(len(looks))
    components = min(_COMPONENTS, len(looks) // 8)
    for held in range(_PARTS) if components else ():
        center = whole[part != held].mean(axis=0)
        _, _, axes = randomized_svd(whole[part != held] - center, components, random_state=0)
        rest = whole[part == held] - center
        error[part == held] = np.linalg.norm(rest - rest @ axes.T @ axes, axis=1)
    text = "components of the other images rebuild it {:.1f} deviations worse than the median"
    return _judge(measure_excess(error), looks, text)


def detect_feature_outlier(looks: Sequence[Look]) -> Verdict:
    """Find images whose colour and texture no other image has.

    Features are quantiles of the cells and means of a filter bank over them, each scaled by
    median and interquartile range. The score counts deviations, as `measure_excess` does, of the
    logarithm of the distance to the tenth nearest image.
    """
    features = np.stack(map_ordered(_describe, looks))
    low, center, high = np.quantile(features, [0.25, 0.5, 0.75], axis=0)
    scaled = _divide(features - center, (high - low) / QUARTILES_PER_DEVIATION)
    near, _ = cKDTree(scaled).query(scaled, min(_NEIGHBOURS + 1, len(scaled)))
    distance = np.log(np.maximum(near.reshape(len(scaled), -1)[:, -1], np.finfo(float).tiny))
    text = "its tenth nearest image in colour and texture is {:.1f} deviations too far"
    return _judge(measure_excess(distance), looks, text)


DETECTORS: dict[str, Detector] = {
    "identical_masks": detect_identical_masks,
    "duplicates": detect_duplicates,
    "mean_pixel": detect_mean_pixel,
    "reconstruction": detect_reconstruction,
    "feature_outlier": detect_feature_outlier,
}


def measure_excess(values: Scores) -> Scores:
    """Count by how many robust deviations values `[n]` exceed their median.

    The deviation is the median excess of the values above the median, scaled as a MAD: errors and
    distances have one long side, which alone tells how far is far.
    """
    above = values - np.median(values)
    usual = above[above > 0]
    return _divide(above, _TO_SIGMA * float(np.median(usual)) if len(usual) else np.inf)


def _judge(score: Scores, looks: Sequence[Look], text: str) -> Verdict:
    if len(looks) < _LEAST:
        nothing = np.full(len(looks), np.nan)
        note = f"{say_count(len(looks), 'image')} cannot tell what is usual; need {_LEAST}"
        return Verdict(nothing, _FAR, (note,) * len(looks), note)
    return Verdict(score, _FAR, tuple(text.format(value) for value in score))


def _group_masks(looks: Sequence[Look]) -> list[list[int]]:
    """List the positions of images that share a drawn mask, each group in order."""
    found = defaultdict(list)
    for position, look in enumerate(looks):
        if look.mask is not None and look.mask.corners >= _DRAWN:
            found[look.mask.digest].append(position)
    return [members for members in found.values() if len(members) > 1]


def _median_alike(looks: Sequence[Look]) -> Scores:
    """Return per image its median correlation with the others, 1 for those on one place."""
    alike = np.abs(correlate(make_thumbnails(looks))).astype(np.float64)
    places = np.array([look.place or f"alone {i}" for i, look in enumerate(looks)])
    alike[places[:, None] == places] = 1
    np.fill_diagonal(alike, np.nan)
    return np.asarray(np.nanmedian(alike, axis=1))


def _number_parts(looks: Sequence[Look]) -> NDArray[np.int64]:
    """Part images by the order of their names, so that their order changes nothing."""
    rank = np.argsort(np.argsort([look.name for look in looks]))
    return np.asarray(rank % _PARTS)


def _means(look: Look) -> Scores:
    return np.asarray(look.mean[:, look.seen].astype(np.float64).mean(axis=1))


def _fill(look: Look) -> NDArray[np.float32]:
    """Return a thumbnail with the band's mean where there is no data."""
    small = shrink(look)
    filled = np.where(np.isnan(small), _means(look)[:, None, None], small)
    return filled.ravel().astype(np.float32)


def _describe(look: Look) -> Scores:
    """Describe colour and texture in numbers."""
    seen = look.seen
    colour = np.quantile(look.mean[:, seen], _LEVELS, axis=1).T
    rough = np.log1p(np.quantile(look.deviation[:, seen], _LEVELS, axis=1)).T
    bank = filter_bank(np.nan_to_num(look.mean), seen, sigmas=_SIGMAS)
    each = bank.reshape(len(look.mean), -1, *seen.shape)[:, 1:, seen]
    kinds = each.reshape(len(look.mean), len(_SIGMAS), len(KINDS), -1)[:, :, 1:]
    texture = np.log1p(np.abs(kinds).mean(axis=-1)).reshape(len(look.mean), -1)
    return np.concatenate([colour, rough, texture], axis=1).ravel().astype(np.float64)


def _divide(values: Scores, scale: Scores | float) -> Scores:
    """Divide by a scale that may be 0: what does not vary at all tells nothing."""
    known = np.where(np.asarray(scale) > 0, scale, np.inf)
    return np.asarray(values / known)
