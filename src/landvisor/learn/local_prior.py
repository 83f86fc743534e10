"""Which classes a window favours: those that it shows more of than a model presumes.

People label rare classes as often as common ones, so a model presumes shares that no place on the
ground has. What it says of a whole window tells, if roughly, which classes are frequent there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
from numpy.typing import NDArray

from landvisor.geo.places import Places
from landvisor.geo.scene import Scene
from landvisor.learn.model import Model
from landvisor.learn.regions import find_regions, group_by_shape
from landvisor.recipe import PredictSpec

_RARE = 1e-4  # least share of a class: none becomes impossible for want of likely pixels


def favour_frequent(
    probabilities: NDArray[np.floating],
    here: NDArray[np.floating],
    *,
    shares: Sequence[float],
    strength: float,
) -> NDArray[np.float32]:
    """Favour classes that are more frequent around than a model presumes.

    A class's probability is multiplied by (here/presumed)^strength. At strength 1 this is the first
    step of the expectation maximisation by which Saerens et al. find unknown shares from what a
    model says of unlabelled data; here of the surroundings alone. Further steps lead astray, since
    the model errs about shares where it errs about pixels.

    Args:
        probabilities: `[class, ...]`, summing to one over classes.
        here: `[class, ...]`, broadcast: mean probabilities around.
        shares: One per class: what the model presumes; none at all changes nothing.
        strength: From 0, which changes nothing, to 1.

    References:
        Saerens, Latinne and Decaestecker 2002, Adjusting the outputs of a classifier to new a
        priori probabilities, eq. 4 and 11, doi:10.1162/089976602753284446.
    """
    if not len(shares) or not strength:
        return probabilities.astype(np.float32, copy=False)
    factors = _find_factors(here, shares, strength)
    moved: NDArray[np.float32] = probabilities * factors.astype(np.float32)
    total = moved.sum(axis=0, keepdims=True)
    return np.asarray(np.divide(moved, total, out=moved, where=total > 0))


def find_window_factors(
    probabilities: NDArray[np.float32],
    valid: NDArray[np.bool_],
    *,
    shares: Sequence[float],
    strength: float,
) -> NDArray[np.float32] | None:
    """Return what a window's classes are multiplied with; None changes nothing.

    See `favour_frequent`.

    Args:
        probabilities: `[class, row, col]`.
        valid: `[row, col]`: the surroundings are all valid pixels of the window.
        shares: What the model presumes.
        strength: From 0 to 1.
    """
    if not len(shares) or not strength:
        return None
    return _find_factors(_mean_over(probabilities, valid), shares, strength).astype(np.float32)


def _find_factors(
    here: NDArray[np.floating], shares: Sequence[float], strength: float
) -> NDArray[np.floating]:
    shape = -1, *[1] * (here.ndim - 1)
    presumed = np.maximum(np.asarray(shares, dtype=np.float64), _RARE).reshape(shape)
    return np.asarray(((here + _RARE) / presumed) ** strength)


def find_shares(
    model: Model, scenes: Sequence[Scene], places: Places, spec: PredictSpec
) -> NDArray[np.float64]:
    """Return `[n, class]`: mean probabilities of the window that predicts each place.

    Args:
        model: Asked of whole windows, which takes as long as their map.
        scenes: What `Places.scene` counts.
        places: Anywhere on them.
        spec: Its windows are those of prediction.
    """
    result = np.zeros((len(places), len(model.card.legend.ids)))
    shapes = [scene.shape for scene in scenes]
    found = find_regions(places, shapes, size=spec.window, overlap=spec.shared)
    for group in group_by_shape(found, spec.batch_size):
        read = [scenes[region.scene].read(region.window) for region, _ in group]
        data, valid = np.stack([part.data for part in read]), np.stack([p.valid for p in read])
        told = model.predict(data, valid)
        for (_, at), probabilities, known in zip(group, told, valid, strict=True):
            result[at] = _mean_over(probabilities, known)
    return result


def _mean_over(probabilities: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    totals = np.zeros(len(probabilities))
    _add_valid(probabilities, valid, totals)
    return totals / np.count_nonzero(valid)


# Sums may be taken in any order, but the same one for the same shape.
@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "nsz"})
def _add_valid(probabilities, valid, totals):  # type: ignore[no-untyped-def]  # numba's types
    """Add the probabilities `[class, row, col]` of valid pixels up, for each class."""
    for row in range(valid.shape[0]):
        known = valid[row]
        for number in range(len(totals)):
            told = probabilities[number, row]
            total = np.float32(0)
            for col in range(len(known)):
                total += told[col] if known[col] else np.float32(0)
            totals[number] += total
