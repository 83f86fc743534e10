"""The accuracy of a map in one paragraph, such as belongs into a publication."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from landvisor.report.scores import Rate, Scores

_HELD = {
    "blocks": "spatial blocks",
    "scenes": "whole scenes",
    "groups": "whole groups of scenes",
    "random": "single places at random",
}
_MEASURES = {"margin": "margin of the two best classes", "disagreement": "models’ disagreement"}


def write_statement(scores: Scores, assessment: Mapping[str, Any]) -> str:
    """Say how accurate a map is, how that was found, and what it does not mean.

    Args:
        scores: Read from the assessment.
        assessment: What `Assessment.to_dict` returned, with its `separation`.
    """
    parts = (
        _say_design(scores, assessment["separation"]),
        _say_buffer(assessment["separation"]),
        _say_rates(scores),
        _say_calibration(assessment.get("calibration")),
        "The places are not known to be a probability sample of the mapped area, so these figures "
        "describe places like them and estimate neither the accuracy of the map as a whole nor the "
        "area of any class.",
    )
    return " ".join(part for part in parts if part)


def _say_design(scores: Scores, apart: Mapping[str, Any]) -> str:
    places, folds = int(scores.reference["places"]), apart["folds"]
    units = f"{apart['rule']}, dealt to {folds} folds"
    kind = "random" if apart["kind"] == "random" else "spatial"
    warning = (
        " Places held out at random lie next to those learned from, which flatters a map."
        if kind == "random"
        else ""
    )
    return (
        f"Accuracy was estimated at {places} labelled places by {folds}-fold {kind} "
        f"cross-validation that held out {_HELD[apart['kind']]} ({units}; no polygon or line was "
        "split). Each place was classified by a model fitted in the same way without the places "
        "of its fold, and every choice, such as when to stop training, was made without them."
        f"{warning}"
    )


def _say_buffer(apart: Mapping[str, Any]) -> str:
    known, sight = apart["dependence"], apart["sight"]
    least = "" if known["bounded"] else "at least "
    why = (
        f"places resemble each other up to {least}{known['distance']:.0f} pixels "
        f"({known['method']}) and the model looks {sight['distance']:.0f} pixels far"
    )
    if not apart["taken"]:
        return f"No buffer was left around held-out places ({why})."
    said = (
        f"Places within {apart['taken']:.0f} pixels of a held-out one were not learned from "
        f"({why}), which left out {_percent(apart['dropped'])} of the training places"
    )
    if not apart["capped"]:
        return f"{said}."
    return (
        f"{said}; a buffer of {apart['wanted']:.0f} pixels would have left too few, and "
        f"{_percent(apart['overlap'])} of the held-out places have a place learned from within "
        "that distance, so that the figures may be somewhat too good for land far from any label."
    )


def _say_rates(scores: Scores) -> str:
    level = f"{100 * scores.level:.0f} %"
    boot = (
        f", bootstrap of {scores.reference['blocks']} units"
        if np.isfinite(scores.oa.interval[0])
        else ""
    )
    interval = f" ({level} interval {scores.oa.interval_text}{boot})" if boot else ""
    text = (
        f"Overall accuracy was {scores.oa.text}{interval} and mean F1 {scores.mean_f1.text}"
        f"{_bracket(scores.mean_f1)}."
    )
    known = [row for row in scores.classes if np.isfinite(row.f1.value)]
    if len(known) < 2:
        return text
    worst, best = (pick(known, key=lambda row: row.f1.value) for pick in (min, max))
    if worst.f1.text == best.f1.text:
        return text
    return (
        f"{text} By class, F1 ran from {worst.f1.text}{_bracket(worst.f1)} for {worst.name} "
        f"(user’s accuracy {worst.ua.text}, producer’s {worst.pa.text}) to "
        f"{best.f1.text}{_bracket(best.f1)} for {best.name}."
    )


def _say_calibration(calibration: Mapping[str, Any] | None) -> str:
    if calibration is None:
        return ""
    error, chance = calibration["ece"], calibration["ece_chance"]
    fair = "no more than chance explains" if error <= chance else "more than chance explains"
    gap = calibration["confidence"] - calibration["accuracy"]
    lean = "sure" if abs(gap) < 0.005 else ("too sure" if gap > 0 else "not sure enough")
    lean = "" if lean == "sure" or error <= chance else f"; on the whole the model is {lean}"
    areas = {name: area for name, area in calibration["auroc"].items() if area is not None}
    found = ""
    if areas:
        best = max(areas, key=lambda name: areas[name])
        found = (
            f" An error was less sure than a right place with a chance of {areas[best]:.2f} (AUROC "
            f"of the {_MEASURES.get(best, best)}; 0.50 is guessing)."
        )
    return (
        f"The expected calibration error of its probabilities was {error:.3f}, {fair}{lean}.{found}"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _bracket(rate: Rate) -> str:
    return f" ({rate.interval_text})" if rate.interval_text else ""
