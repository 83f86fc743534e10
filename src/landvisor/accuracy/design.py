"""What a probability sample says of a whole map: how it was drawn, and the estimates from it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.accuracy.area import SampleEstimates, estimate_accuracy, estimate_shares
from landvisor.accuracy.bootstrap import Interval
from landvisor.accuracy.confusion import CLASS_RATES
from landvisor.accuracy.frame import Stratum
from landvisor.accuracy.ratio import MUCH, Estimates, Z

Rows = list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Design:
    """A probability sample and the map that it was drawn from.

    Attributes:
        kind: `simple` or `stratified`.
        source: What the strata are, in words.
        strata: Those that units were drawn from.
        counts: int64 `[stratum, reference, map]`: labelled units by class.
        ids: Class ids, in legend order.
        names: Class names.
        mapped: Pixels of the map by class, in legend order: what counting pixels says.
        nested: Every stratum lies in one class of the map.
    """

    kind: str
    source: str
    strata: tuple[Stratum, ...]
    counts: NDArray[np.int64]
    ids: tuple[int, ...]
    names: tuple[str, ...]
    mapped: tuple[int, ...]
    nested: bool

    def __post_init__(self) -> None:
        size = len(self.ids)
        assert self.counts.shape == (len(self.strata), size, size), "[stratum, reference, map]"
        assert len(self.names) == len(self.mapped) == size, "one entry for each class"

    @property
    def pixels(self) -> NDArray[np.int64]:
        """Pixels `[h]` of the strata."""
        return np.array([stratum.pixels for stratum in self.strata], dtype=np.int64)

    @property
    def units(self) -> NDArray[np.int64]:
        """Labelled units `[h]` of the strata."""
        return np.asarray(self.counts.sum(axis=(1, 2)))

    @property
    def corrected(self) -> list[str]:
        """Names of strata of which so much was drawn that this narrows the intervals."""
        much = self.units / self.pixels > MUCH
        return [s.name for s, is_much in zip(self.strata, much, strict=True) if is_much]

    @cached_property
    def estimates(self) -> SampleEstimates:
        """Accuracy, and the classes' shares of all pixels."""
        return estimate_accuracy(self.counts, self.pixels, nested=self.nested)

    @cached_property
    def area(self) -> Estimates | None:
        """Square metres by class; None where the map has no CRS.

        A pixel counts as the mean pixel of its stratum.
        """
        sizes = [stratum.area for stratum in self.strata if stratum.area is not None]
        if len(sizes) < len(self.strata):
            return None
        shares = estimate_shares(self.counts, weights=np.array(sizes), pixels=self.pixels)
        return shares.scaled(sum(sizes))

    def rates(self) -> dict[str, float]:
        """Return every rate by name, as `Confusion.metrics` does, but of the whole map."""
        return {"oa": float(self.estimates.oa.value[0]), **self._means(), **self._pick("value")}

    def intervals(self) -> dict[str, Interval]:
        """Return (low, high) by name of the rate; means of classes have none."""
        oa, lows, highs = self.estimates.oa, self._pick("low"), self._pick("high")
        means = dict.fromkeys(self._means(), (math.nan, math.nan))
        return {
            "oa": (float(oa.low[0]), float(oa.high[0])),
            **means,
            **{name: (lows[name], highs[name]) for name in lows},
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: what was drawn, and what follows; NaN becomes null."""
        return {
            "kind": self.kind,
            "source": self.source,
            "strata": self._list_strata(),
            "counts": self.counts.tolist(),
            "mapped": list(self.mapped),
            "nested": self.nested,
            "overall": {"oa": _plain(self.estimates.oa, 0)},
            "classes": self._list_classes(),
            "matrix": self.estimates.matrix.tolist(),
            "z": Z,
            "corrected_strata": self.corrected,
        }

    @classmethod
    def from_dict(
        cls, content: dict[str, Any], *, ids: tuple[int, ...], names: tuple[str, ...]
    ) -> Design:
        """Read what `to_dict` returned; estimates are computed anew from the counts."""
        known = ("name", "pixels", "area")
        strata = tuple(Stratum(**{key: s[key] for key in known}) for s in content["strata"])
        counts = np.array(content["counts"], dtype=np.int64)
        return cls(
            kind=str(content["kind"]),
            source=str(content["source"]),
            strata=strata,
            counts=counts.reshape(len(strata), len(ids), len(ids)),
            ids=ids,
            names=names,
            mapped=tuple(int(pixels) for pixels in content["mapped"]),
            nested=bool(content["nested"]),
        )

    def _means(self) -> dict[str, float]:
        """Average over the classes that the reference holds, as `Rates.mean` does."""
        present = self.counts.sum(axis=(0, 2)) > 0
        means = {}
        for rate in CLASS_RATES:
            values = getattr(self.estimates, rate).value
            used = values[present & ~np.isnan(values)]
            means[f"mean_{rate}"] = float(used.mean()) if len(used) else math.nan
        return means

    def _pick(self, what: str) -> dict[str, float]:
        return {
            f"{rate}.{label}": float(getattr(getattr(self.estimates, rate), what)[position])
            for rate in CLASS_RATES
            for position, label in enumerate(self.ids)
        }

    def _list_strata(self) -> Rows:
        right = np.trace(self.counts, axis1=1, axis2=2)
        weights = self.pixels / self.pixels.sum()
        return [
            {**asdict(stratum), "weight": float(w), "units": int(n), "right": int(r)}
            for stratum, w, n, r in zip(self.strata, weights, self.units, right, strict=True)
        ]

    def _list_classes(self) -> Rows:
        total = float(self.pixels.sum())
        in_pixels = self.estimates.share.scaled(total)
        return [
            {
                "id": label,
                "name": name,
                "mapped_pixels": mapped,
                **{rate: _plain(getattr(self.estimates, rate), k) for rate in CLASS_RATES},
                "share": _plain(self.estimates.share, k),
                "pixels": _plain(in_pixels, k),
                "m2": _plain(self.area, k) if self.area is not None else None,
            }
            for k, (label, name, mapped) in enumerate(
                zip(self.ids, self.names, self.mapped, strict=True)
            )
        ]


def _plain(estimates: Estimates, position: int) -> dict[str, float | None]:
    """Return one estimate; `margin` is 1.96 standard errors, as Olofsson et al. (2014) state it."""
    values = {key: getattr(estimates, key)[position] for key in ("value", "se", "low", "high")}
    values["margin"] = Z * values["se"]
    return {key: None if np.isnan(v) else float(v) for key, v in values.items()}
