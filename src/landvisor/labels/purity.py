"""How right labels made from labels are: held against a mask, or against points held out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.geo.legend import Legend
from landvisor.geo.places import Places
from landvisor.labels.pixels import LabelledPixels
from landvisor.labels.simulate import derive_generator

WARN_BELOW = 0.95
_CODES = 256

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Tally:
    """Pixels counted by class id, `[256]` each; tallies of several scenes add up.

    Attributes:
        before: Labelled before anything was linked or grown.
        after: Labelled after it.
        checked: New ones whose true class is known.
        right: New ones that have it.
        pixels: `[1]`: pixels of the scene.
        held: `[1]`: reference labels that new ones could have met.
    """

    before: Counts
    after: Counts
    checked: Counts
    right: Counts
    pixels: Counts
    held: Counts

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class Purity:
    """What a tally says in numbers.

    Attributes:
        tally: The counts.
        legend: Names the classes.
        held_out: The reference is points held out; else it is a mask.
    """

    tally: Tally
    legend: Legend
    held_out: bool

    @property
    def rate(self) -> float:
        """Share of new labels that are right, NaN where none could be checked."""
        return _divide(self.tally.right.sum(), self.tally.checked.sum())

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the rate over held-out points; None for a mask, which is no sample.

        References:
            Wilson (1927), Probable inference, the law of succession, and statistical inference,
            doi:10.1080/01621459.1927.10502953.
        """
        checked = int(self.tally.checked.sum())
        if not self.held_out or not checked:
            return None
        from scipy.stats import binomtest  # slow to import

        found = binomtest(int(self.tally.right.sum()), checked).proportion_ci(method="wilson")
        return float(found.low), float(found.high)

    def below(self, least: float) -> tuple[int, ...]:
        """List the classes with new labels whose purity is below `least` or cannot be told."""
        new = self.tally.after - self.tally.before
        rates = [_divide(self.tally.right[i], self.tally.checked[i]) for i in self.legend.ids]
        return tuple(
            i for i, rate in zip(self.legend.ids, rates, strict=True)
            if new[i] and not rate >= least
        )  # fmt: skip

    def count_left(self, rejected: tuple[int, ...]) -> int:
        """Count the labelled pixels that are left when classes lose their new labels."""
        new = self.tally.after - self.tally.before
        return int(self.tally.after.sum() - new[list(rejected)].sum())

    def summary(self) -> dict[str, Any]:
        """Return plain values."""
        t = self.tally
        return {
            "before": int(t.before.sum()),
            "after": int(t.after.sum()),
            "share_of_pixels": _known(_divide(t.after.sum(), t.pixels.sum())),
            "reference": "held-out points" if self.held_out else "mask",
            "reference_labels": int(t.held.sum()),
            "checked": int(t.checked.sum()),
            "purity": _known(self.rate),
            "interval": self.interval,
            "classes": [
                {
                    "id": c.id, "name": c.name, "before": int(t.before[c.id]),
                    "after": int(t.after[c.id]), "checked": int(t.checked[c.id]),
                    "purity": _known(_divide(t.right[c.id], t.checked[c.id])),
                }
                for c in self.legend.active
            ],
        }  # fmt: skip

    def lines(self) -> list[str]:
        """Say it in lines for a terminal, with a warning where purity is low or unknown."""
        said = self.summary()
        classes = [
            f"{c['name']}: {c['before']:,} to {c['after']:,} labelled pixels, {_say_rate(c)}"
            for c in said["classes"]
            if c["after"]
        ]
        share = 100 * said["share_of_pixels"]
        total = f"{said['before']:,} to {said['after']:,} labelled pixels, {share:.3f} % of all"
        return [*classes, total, self._say()]

    def _say(self) -> str:
        new = int((self.tally.after - self.tally.before).sum())
        checked, held = int(self.tally.checked.sum()), int(self.tally.held.sum())
        met = f"{checked:,} of {held:,} held-out points lie on new labels"
        if not self.held_out:
            met = f"{checked:,} of {new:,} new labels have a class in the masks"
        if not checked:
            return f"purity: unknown, {met}" if new else "purity: nothing new to check"
        low_high = self.interval
        sure = f" ({100 * low_high[0]:.1f} to {100 * low_high[1]:.1f})" if low_high else ""
        warn = "" if self.rate >= WARN_BELOW else f"; WARNING: below {100 * WARN_BELOW:.0f} %"
        return f"purity: {100 * self.rate:.2f} %{sure}, {met}{warn}"


def draw_held_out(places: Places, *, share: float, seed: int, name: str) -> NDArray[np.bool_]:
    """Choose the places of one scene that check the labels grown from all others.

    Whole features are held out, of every class about `share`: the fractions left over in small
    classes are rounded up as often as they are large. The choice follows from the seed and the
    scene's name alone.

    Returns:
        `[n]`: True where held out.
    """
    generator = derive_generator(seed, name, "purity")
    held = np.zeros(len(places), dtype=bool)
    for label in np.unique(places.label):
        groups = np.unique(places.group[places.label == label])
        count = int(len(groups) * share + generator.random())
        chosen = generator.choice(groups, size=min(count, len(groups)), replace=False)
        held |= (places.label == label) & np.isin(places.group, chosen)
    return held


def check_against_mask(pixels: LabelledPixels, truth: NDArray[np.integer]) -> tuple[Counts, Counts]:
    """Count new labels with a true class, and the right ones, by the class they were given.

    Args:
        pixels: Labels of one scene, those of places among them, which are not counted.
        truth: Resolved class ids `[row, col]`; below 0 is unlabelled.
    """
    new = pixels.take(pixels.made)
    true = truth.ravel()[new.position]
    known = true >= 0
    return count_labels(new.label[known]), count_labels(new.label[known & (true == new.label)])


def check_against_places(pixels: LabelledPixels, held: Places) -> tuple[Counts, Counts]:
    """Count held-out places that lie on new labels, and those that agree, by the label given."""
    new = pixels.take(pixels.made)
    found = new.find(held.pixels())
    given, true = new.label[found[found >= 0]], held.label[found >= 0]
    return count_labels(given), count_labels(given[given == true])


def count_labels(label: NDArray[np.integer]) -> Counts:
    """Count class ids, `[256]`."""
    return np.asarray(np.bincount(label, minlength=_CODES), dtype=np.int64)


def join_tallies(tallies: Iterable[Tally]) -> Tally:
    """Add up the tallies of several scenes, at least one."""
    first, *rest = tallies
    return sum(rest, first)


def _say_rate(entry: dict[str, Any]) -> str:
    if entry["before"] == entry["after"]:
        return "nothing new"
    if not entry["checked"]:
        return "purity unknown"
    return f"purity {100 * entry['purity']:.1f} % of {entry['checked']:,} checked"


def _divide(part: Any, whole: Any) -> float:
    return float(part) / float(whole) if whole else float("nan")


def _known(value: float) -> float | None:
    """Return what JSON can hold."""
    return None if np.isnan(value) else value
