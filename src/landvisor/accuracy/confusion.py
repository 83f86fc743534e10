"""How often does the map say what the reference says: counts, and the rates that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import AssessmentError

CLASS_RATES = ("ua", "pa", "f1", "iou")
_CHUNK = 1 << 22


@dataclass(frozen=True, eq=False)
class Rates:
    """Rates of one confusion matrix or of a stack of them; NaN where nothing was counted.

    Attributes:
        oa: `[...]`: overall accuracy, the share of mapped reference places that agree.
        ua: `[..., k]`: user's accuracy (precision); NaN where the map lacks the class.
        pa: `[..., k]`: producer's accuracy (recall); NaN where the reference lacks the class.
        f1: `[..., k]`: harmonic mean of both; NaN where reference and map lack the class.
        iou: `[..., k]`: intersection over union; NaN where reference and map lack the class.
        present: `[..., k]`: the reference holds the class.
    """

    oa: NDArray[np.float64]
    ua: NDArray[np.float64]
    pa: NDArray[np.float64]
    f1: NDArray[np.float64]
    iou: NDArray[np.float64]
    present: NDArray[np.bool_]

    def mean(self, rate: str) -> NDArray[np.float64]:
        """Average a class rate over the classes that the reference holds.

        A class that only the map holds is left out: its errors already count against the
        classes that it displaced. User's accuracy also leaves out what was never mapped.
        """
        values = getattr(self, rate)
        counted = self.present & ~np.isnan(values)
        return _divide(np.where(counted, values, 0).sum(axis=-1), counted.sum(axis=-1))

    def named(self, ids: tuple[int, ...]) -> dict[str, NDArray[np.float64]]:
        """Name every rate: `oa`, `mean_f1`, ... and `f1.3` for class id 3."""
        means = {f"mean_{rate}": self.mean(rate) for rate in CLASS_RATES}
        single = {
            f"{rate}.{label}": getattr(self, rate)[..., position]
            for rate in CLASS_RATES
            for position, label in enumerate(ids)
        }
        return {"oa": self.oa, **means, **single}


@dataclass(frozen=True, eq=False)
class Confusion:
    """Counts of reference places by what the map says there.

    Attributes:
        ids: Class ids, in legend order.
        names: Class names, in the same order.
        counts: int64 `[k, k]` as `[reference, map]`.
        unmapped: int64 `[k]`: reference places where the map holds none of the classes; they
            enter no rate.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]
    counts: NDArray[np.int64]
    unmapped: NDArray[np.int64]

    def __post_init__(self) -> None:
        size = len(self.ids)
        assert self.counts.shape == (size, size), "a row and a column for each class"
        assert self.unmapped.shape == (size,) == (len(self.names),), "one entry for each class"

    def __add__(self, other: Confusion) -> Confusion:
        if (self.ids, self.names) != (other.ids, other.names):
            raise AssessmentError(
                f"counts of classes {self.names!r} and {other.names!r} cannot be pooled; "
                "use one legend for all"
            )
        counts, unmapped = self.counts + other.counts, self.unmapped + other.unmapped
        return Confusion(self.ids, self.names, counts, unmapped)

    @property
    def total(self) -> int:
        """Reference places that have a class in the map."""
        return int(self.counts.sum())

    def rates(self) -> Rates:
        """Return the rates of these counts."""
        return compute_rates(self.counts)

    def metrics(self) -> dict[str, float]:
        """Return every rate by name, see `Rates.named`."""
        return {name: float(value) for name, value in self.rates().named(self.ids).items()}


def compute_rates(counts: NDArray[Any]) -> Rates:
    """Turn counts `[..., reference, map]` into rates.

    References:
        Congalton, R. G. (1991): A review of assessing the accuracy of classifications of
        remotely sensed data, doi:10.1016/0034-4257(91)90048-B (OA, UA, PA). Kappa is left out
        on purpose: Pontius & Millones (2011), doi:10.1080/01431161.2011.552923.
    """
    agreed = np.diagonal(counts, axis1=-2, axis2=-1)
    reference, mapped = counts.sum(axis=-1), counts.sum(axis=-2)
    f1 = _divide(2 * agreed, reference + mapped)
    iou = _divide(agreed, reference + mapped - agreed)
    assert not np.any(f1 < iou), "F1 is never below IoU"
    return Rates(
        oa=_divide(agreed.sum(axis=-1), reference.sum(axis=-1)),
        ua=_divide(agreed, mapped),
        pa=_divide(agreed, reference),
        f1=f1,
        iou=iou,
        present=reference > 0,
    )


def count_confusion(
    reference: NDArray[np.integer],
    predicted: NDArray[np.integer],
    *,
    ids: tuple[int, ...],
    names: tuple[str, ...] | None = None,
) -> Confusion:
    """Count how a map's classes meet the reference's.

    Args:
        reference: Class ids of any shape; what is not in `ids` is unlabelled and skipped.
        predicted: Class ids of the same shape; what is not in `ids` counts as unmapped.
        ids: Class ids in legend order.
        names: Class names; the ids where None.

    Raises:
        AssessmentError: If the shapes differ or there are no classes.
    """
    _check(reference, predicted, ids)
    size = len(ids)
    found = np.zeros(size * (size + 1), dtype=np.int64)
    flat_reference, flat_predicted = np.ravel(reference), np.ravel(predicted)
    for start in range(0, flat_reference.size, _CHUNK):  # bounds the memory of big masks
        part = slice(start, start + _CHUNK)
        rows = find_positions(flat_reference[part], ids)
        cols = find_positions(flat_predicted[part], ids)
        codes = (rows * (size + 1) + cols + 1)[rows >= 0]
        found += np.bincount(codes, minlength=found.size)
    table = found.reshape(size, size + 1)
    labels = names or tuple(str(label) for label in ids)
    return Confusion(ids, labels, counts=table[:, 1:].copy(), unmapped=table[:, 0].copy())


def find_positions(values: NDArray[np.integer], ids: tuple[int, ...]) -> NDArray[np.int64]:
    """Turn class ids into positions in `ids`; anything else becomes -1."""
    table = np.full(256, -1, dtype=np.int64)
    table[list(ids)] = np.arange(len(ids))
    labels = np.asarray(values)
    known = (labels >= 0) & (labels <= 254)
    return np.asarray(table[np.where(known, labels, 255)])


def _check(
    reference: NDArray[np.integer], predicted: NDArray[np.integer], ids: tuple[int, ...]
) -> None:
    if np.shape(reference) != np.shape(predicted):
        raise AssessmentError(
            f"reference has shape {np.shape(reference)} and the map {np.shape(predicted)}; "
            "bring both to one grid"
        )
    if not ids:
        raise AssessmentError("the legend has no active class; it needs one that is not ignored")


def _divide(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    shares = np.full(np.shape(whole), np.nan)
    return np.asarray(np.divide(part, whole, out=shares, where=whole > 0))
