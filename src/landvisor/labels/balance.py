"""How much should a class count: weights from counts of places, factors from shares of area."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import PointsError, RecipeError
from landvisor.geo.legend import LandClass, Legend

# A class of points saturates at 1 / (1 - β) = 100 of them. The authors' 0.9999 is for thousands
# of images per class; with a few hundred points it would weigh as `inverse` does.
_BETA = 0.99


def class_weights(
    labels: NDArray[np.integer],
    ids: tuple[int, ...],
    *,
    kind: str,
    cap: float,
    images: NDArray[np.integer] | None = None,
) -> NDArray[np.float64]:
    """Weigh classes against their frequency, with mean 1 over the labelled places.

    Args:
        labels: `[n]`: class ids of the places; what is not in `ids` is skipped.
        ids: Class ids in legend order.
        kind: `none`; `inverse` of the count; `sqrt_inverse`; `median_frequency`: inverse of a
            class's share in the places of those images that have it; or `effective`: inverse of
            the effective number (1 - β^n) / (1 - β) of n places, with β = 0.99.
        cap: Largest ratio of two weights; the weights of rare classes are cut to keep it.
        images: `[n]`: the image of each place, for `median_frequency`; None takes all for one
            image, where it is the same as `inverse`.

    Returns:
        float64 `[k]` in legend order; 0 for a class without a place, since it weighs nothing.

    Raises:
        PointsError: If no place has a class of `ids`.
        RecipeError: If `kind` is unknown or `cap` is below 1.

    References:
        Eigen and Fergus 2015, Predicting depth, surface normals and semantic labels,
        doi:10.1109/ICCV.2015.304: α = median frequency / frequency of semantic labels, here of
        places in place of pixels. Cui et al. 2019, Class-balanced loss based on effective number
        of samples, proposition 1, doi:10.1109/CVPR.2019.00949.
    """
    _check(kind, cap)
    hits = np.asarray(labels)[:, None] == np.array(ids)
    counts = hits.sum(axis=0)
    present = counts > 0
    if not present.any():
        raise PointsError("no place has a class of the legend; weights need at least one")
    image = np.zeros(len(hits), dtype=np.int64) if images is None else images
    raw = np.zeros(len(ids))
    raw[present] = _KINDS[kind](hits[:, present], np.asarray(image))
    raw = np.minimum(raw, cap * raw[present].min())
    return np.asarray(raw * counts.sum() / (raw * counts).sum())


def resolve_area(area: Mapping[str, float], legend: Legend) -> NDArray[np.float64]:
    """Bring shares of the area, by class name or id, into the order of a legend.

    Args:
        area: Share 0..1 of every active class; their sum is close to 1.
        legend: The classes.

    Returns:
        float64 `[k]` in the order of `legend.ids`, of sum 1.

    Raises:
        RecipeError: If a class is unknown or not active, named twice, or missing.
    """
    active = {c.id: c for c in legend.active}
    shares: dict[int, float] = {}
    for key, share in area.items():
        found = _find_class(key, legend)
        if found is None or found.id not in active:
            raise RecipeError(
                f"labels.area_prior names class {key!r}; the active classes are "
                f"{', '.join(repr(name) for name in legend.names)}"
            )
        if found.id in shares:
            raise RecipeError(f"labels.area_prior names class {found.name!r} twice; keep one")
        shares[found.id] = share
    missing = [c.name for c in legend.active if c.id not in shares]
    if missing:
        raise RecipeError(
            f"labels.area_prior has no share for class {missing[0]!r}; give one to every active "
            "class, 0 where it does not occur"
        )
    ordered = np.array([shares[i] for i in legend.ids])
    return np.asarray(ordered / ordered.sum())


def prior_factors(
    labels: NDArray[np.integer],
    ids: tuple[int, ...],
    *,
    area: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Find what turns probabilities learned from points into those of shares of area.

    Points are drawn without regard to area, so a learner takes their shares for those of the
    classes. Its probabilities times these factors, normalised again, are what it would have said
    had it met the classes by their area.

    Args:
        labels: `[n]`: class ids of the places learned from.
        ids: Class ids in legend order.
        area: `[k]`: share of the area of each class.
        weights: `[n]`: how much each place counted, class weights included.

    Returns:
        float64 `[k]`; 0 for a class without a place, of which the learner knows nothing. Its
        share of the area goes to the others in proportion.

    Raises:
        PointsError: If no place has a class that has a share of the area.

    References:
        Saerens, Latinne and Decaestecker 2002, Adjusting the outputs of a classifier to new a
        priori probabilities, eq. 4, doi:10.1162/089976602753284446. Menon et al. 2021, Long-tail
        learning via logit adjustment, post hoc, arXiv:2007.07314, with the area's shares in place
        of equal ones.
    """
    learned = np.array([weights[np.asarray(labels) == i].sum() for i in ids], dtype=np.float64)
    shares = np.where(learned > 0, area, 0.0)
    if not shares.sum() > 0:
        raise PointsError(
            "no labelled place has a class that labels.area_prior gives a share; label one or "
            "leave the area prior out"
        )
    met = learned / learned.sum()
    factors = np.zeros(len(ids))
    np.divide(shares / shares.sum(), met, out=factors, where=met > 0)
    return factors


def _find_class(key: str, legend: Legend) -> LandClass | None:
    named = legend.find(key)
    return named or next((c for c in legend.classes if str(c.id) == key.strip()), None)


def _weigh_alike(hits: NDArray[np.bool_], _: NDArray[np.integer]) -> NDArray[np.float64]:
    return np.ones(hits.shape[1])


def _weigh_inverse(hits: NDArray[np.bool_], _: NDArray[np.integer]) -> NDArray[np.float64]:
    return np.asarray(1 / hits.sum(axis=0))


def _weigh_root(hits: NDArray[np.bool_], _: NDArray[np.integer]) -> NDArray[np.float64]:
    return np.asarray(hits.sum(axis=0) ** -0.5)


def _weigh_median(hits: NDArray[np.bool_], images: NDArray[np.integer]) -> NDArray[np.float64]:
    image = np.unique(images, return_inverse=True)[1]
    counts = np.stack([np.bincount(image[hit], minlength=image.max() + 1) for hit in hits.T])
    frequency = counts.sum(axis=1) / ((counts > 0) @ counts.sum(axis=0))
    return np.asarray(np.median(frequency) / frequency)


def _weigh_effective(hits: NDArray[np.bool_], _: NDArray[np.integer]) -> NDArray[np.float64]:
    return np.asarray((1 - _BETA) / (1 - _BETA ** hits.sum(axis=0)))


_KINDS: dict[str, Callable[[NDArray[np.bool_], NDArray[np.integer]], NDArray[np.float64]]] = {
    "none": _weigh_alike,
    "inverse": _weigh_inverse,
    "sqrt_inverse": _weigh_root,
    "median_frequency": _weigh_median,
    "effective": _weigh_effective,
}


def _check(kind: str, cap: float) -> None:
    if kind not in _KINDS:
        raise RecipeError(f"class weights {kind!r} asked for; choose one of {', '.join(_KINDS)}")
    if not cap >= 1:
        raise RecipeError(f"a weight cap of {cap!r} found; it is a ratio of at least 1")
