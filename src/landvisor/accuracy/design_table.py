"""How the estimates from a probability sample read in a terminal."""

from __future__ import annotations

import math

import numpy as np

from landvisor.accuracy.design import Design
from landvisor.accuracy.ratio import Estimates

HOW = (
    "Intervals of 95 % add up Wilson's for the shares in each stratum (Newcombe 1998; Zou and "
    "Donner 2008), so that they have a width where a stratum shows no error; SE is the standard "
    "error of Olofsson et al. (2014) and Stehman (2014), - where it cannot say anything."
)
_RATES = (
    ("user's accuracy", "ua"),
    ("producer's accuracy", "pa"),
    ("F1", "f1"),
    ("IoU", "iou"),
)


def lay_out(design: Design) -> list[str]:
    """Lay out strata, accuracy and areas, one line of text each."""
    return [
        *_lay_out_strata(design),
        "",
        *_lay_out_pair(design, _RATES[:2]),
        "",
        *_lay_out_pair(design, _RATES[2:]),
        "",
        *_lay_out_areas(design),
    ]


def say_overall(design: Design) -> str:
    """Say the overall accuracy with its error."""
    value, error, interval = _cell(design.estimates.oa, 0)
    return f"overall accuracy {value}, SE {error} ({interval})"


def align(rows: list[list[str]]) -> list[str]:
    """Pad cells to their columns: the first to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)),
            ]
        ).rstrip()
        for row in rows
    ]


def _lay_out_strata(design: Design) -> list[str]:
    head = ["stratum", "pixels", "share", "units", "right"]
    right = np.trace(design.counts, axis1=1, axis2=2)
    shares = design.pixels / design.pixels.sum()
    rows = [
        [stratum.name, f"{stratum.pixels:,}", f"{100 * share:.2f} %", str(units), str(hits)]
        for stratum, share, units, hits in zip(
            design.strata, shares, design.units, right, strict=True
        )
    ]
    kind = "simple random" if design.kind == "simple" else "stratified random"
    return [f"{kind} sample; strata: {design.source}", *align([head, *rows])]


def _lay_out_pair(design: Design, rates: tuple[tuple[str, str], ...]) -> list[str]:
    head = ["class"]
    for title, _ in rates:
        head += [title, "SE", "95 % interval"]
    found = [getattr(design.estimates, name) for _, name in rates]
    rows = [
        [name, *(cell for estimates in found for cell in _cell(estimates, k))]
        for k, name in enumerate(design.names)
    ]
    return align([head, *rows])


def _lay_out_areas(design: Design) -> list[str]:
    total = int(design.pixels.sum())
    measured = design.area
    shown = measured if measured is not None else design.estimates.share.scaled(total)
    factor, unit = (1e-4, "ha") if measured is not None else (1.0, "pixels")
    shown = shown.scaled(factor)
    head = ["class", "mapped", "estimated", "SE", "95 % interval", unit, "SE", "95 % interval"]
    rows = [
        [
            name,
            f"{100 * mapped / total:.2f} %",
            *_cell(design.estimates.share.scaled(100), k, form=",.2f", unit=" %"),
            *_cell(shown, k, form=",.1f" if measured is not None else ",.0f"),
        ]
        for k, (name, mapped) in enumerate(zip(design.names, design.mapped, strict=True))
    ]
    return ["area", *align([head, *rows])]


def _cell(
    estimates: Estimates, position: int, *, form: str = ".3f", unit: str = ""
) -> tuple[str, str, str]:
    value, se, low, high = (
        float(getattr(estimates, key)[position]) for key in ("value", "se", "low", "high")
    )
    if math.isnan(value):
        return "-", "-", "-"
    silent = math.isnan(se) or (se == 0 and high > low)
    error = "-" if silent else f"{se:{form}}{unit}"
    return f"{value:{form}}{unit}", error, f"{low:{form}} to {high:{form}}{unit}"
