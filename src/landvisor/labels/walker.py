"""Growing by random walks: which class's point does a walker from a pixel meet, if any."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import cg
from scipy.special import k0

from landvisor.labels.growth import NOBODY, Block, Grown, find_nearest
from landvisor.recipe import GrowSpec

_NODE_RADIUS = 0.2  # a lattice node acts as a disc of this radius: Peaceman (1978)
_LENGTHS_PER_RADIUS = 2.0  # over one length, chances on flat ground fall by about e
_DOMAIN_RADII = 2  # beyond, walks that come back to the radius are too few to matter
_LEAST_WEIGHT = 1e-10  # keeps the graph connected, as in scikit-image
_PRECISION = 1e-6


def grow_walker(block: Block, spec: GrowSpec) -> Grown:
    """Give each pixel the class whose points a random walk from it meets before it is lost.

    A walk prefers like neighbours and may be lost at every pixel. The probability of a class is
    set against those of the others and against none: none weighs as much as a lone point does at
    `radius` on flat ground, so there a lone point's class has probability one half. A pixel that
    reaches `threshold` takes the class from the nearest of its points; the confidence is the
    probability.

    Args:
        block: Pixels farther than two radii from all points take no part.
        spec: `radius`, `beta` (per squared robust deviation, mean over bands), `threshold`.

    References:
        Grady (2006), Random walks for image segmentation, section 3, doi:10.1109/TPAMI.2006.233.
        Departure: each pixel leaks to a ground, much as to the nodes of Grady (2005), Multilabel
        random walker image segmentation using prior models, doi:10.1109/CVPR.2005.239; without it
        a lone point takes all. On flat ground the chance then falls as the Bessel function K0 of
        the distance in lengths. Peaceman (1978), Interpretation of well-block pressures in
        numerical reservoir simulation, doi:10.2118/6893-PA, gives the radius of a node.
    """
    domain = _near_points(block, _DOMAIN_RADII * spec.radius)
    decay = _LENGTHS_PER_RADIUS / spec.radius
    classes, chance = walk(
        block.image, domain, points=block.points, label=block.label, beta=spec.beta, leak=decay**2
    )
    none = k0(decay * spec.radius) / k0(decay * min(_NODE_RADIUS, spec.radius))
    chance /= chance.sum(axis=0) + none
    best = chance.argmax(axis=0)
    probability = chance[best, np.arange(chance.shape[1])]
    grown = np.flatnonzero(probability >= spec.threshold)
    pixels = np.argwhere(domain)[grown]
    point = np.full(domain.shape, NOBODY, dtype=np.int64)
    confidence = np.zeros(domain.shape, dtype=np.float32)
    group = np.searchsorted(classes, block.label)
    point[tuple(pixels.T)] = find_nearest(block, pixels, group=group, of=best[grown])
    confidence[tuple(pixels.T)] = probability[grown]
    return Grown(point, confidence)


def walk(
    image: NDArray[np.float32],
    domain: NDArray[np.bool_],
    *,
    points: NDArray[np.int64],
    label: NDArray[np.int64],
    beta: float,
    leak: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the probabilities that a walk ends at a point of each class.

    Args:
        image: `[band, row, col]`, finite in the domain.
        domain: `[row, col]`: where walks lead; it holds all points.
        points: `[n, 2]`: (row, col). A pixel with points of several classes is shared among them.
        label: `[n]`.
        beta: An edge between neighbours with mean squared difference d² has weight exp(-beta d²).
        leak: Weight of the edge from each pixel to the ground, where walks are lost.

    Returns:
        Class ids `[class]`, and probabilities `[class, pixel]` for the domain's pixels in
        row-major order; what is missing to 1 is lost.
    """
    number = np.cumsum(domain).reshape(domain.shape) - 1
    seeds = number[tuple(points.T)]
    classes, which = np.unique(label, return_inverse=True)
    share = np.zeros((len(classes), int(domain.sum())))
    np.add.at(share, (which, seeds), 1.0)
    held = share.sum(axis=0)
    free = held == 0
    share[:, ~free] /= held[~free]
    if not free.any():
        return classes, share
    weights = _weigh_edges(image, domain, number, beta=beta)
    degree = weights.sum(axis=0) + leak
    system = diags_array(degree[free]).tocsr() - weights[free][:, free]
    inflow = weights[free][:, ~free]
    jacobi = diags_array(1 / degree[free])
    for row in share:
        row[free] = cg(system, inflow @ row[~free], rtol=_PRECISION, M=jacobi)[0]
    return classes, np.clip(share, 0, 1)


def _weigh_edges(
    image: NDArray[np.float32],
    domain: NDArray[np.bool_],
    number: NDArray[np.int64],
    *,
    beta: float,
) -> csr_array:
    """Return the symmetric weights `[pixel, pixel]` of edges between 4-neighbours."""
    ends, weights = [], []
    for axis in (0, 1):
        one = (slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))
        two = (slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))
        both = domain[one] & domain[two]
        gaps = np.square(image[:, *two][:, both] - image[:, *one][:, both]).mean(axis=0)
        weights.append(np.exp(-beta * gaps.astype(np.float64)) + _LEAST_WEIGHT)
        ends.append(np.stack([number[one][both], number[two][both]]))
    first, second = np.concatenate(ends, axis=1)
    size = int(domain.sum())
    there = csr_array((np.concatenate(weights), (first, second)), shape=(size, size))
    return csr_array(there + there.T)


def _near_points(block: Block, radius: float) -> NDArray[np.bool_]:
    """Tell which valid pixels lie within `radius` of a point."""
    away = np.ones(block.valid.shape, dtype=bool)
    away[tuple(block.points.T)] = False
    return np.asarray((distance_transform_edt(away) <= radius) & block.valid)
