"""Numbers of a study's report: how they are written, and where each of them was read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from landvisor.report.document import Number, Text
from landvisor.report.study_values import Plain, StudyPage, StudyRun

UNKNOWN = "–"
_MINUS = "\u2212"
_SMALLEST_P = 0.001


def say_value(value: float | None, *, digits: int = 4, signed: bool = False) -> str:
    """Write a number with so many digits after the point, or a dash."""
    if value is None:
        return UNKNOWN
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    return text.replace("-", _MINUS)


def say_p(value: float | None) -> str:
    """Write a probability with three digits, or that it is below them."""
    if value is None:
        return UNKNOWN
    return f"< {_SMALLEST_P:g}" if value < _SMALLEST_P else f"{value:.3f}"


def say_time(seconds: float) -> str:
    """Write a duration in the largest unit of which there is one at least."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def say_date(time: str) -> str:
    """Write a time in ISO 8601, in UTC, to the minute."""
    return f"{time[:10]} {time[11:16]} UTC"


def show_metric(
    page: StudyPage, arm: Plain, stat: str, *, value: float | None = None, seed: int | None = None
) -> Number:
    """Return a number of an arm by a measure that is read from the metrics of its runs.

    Args:
        page: Of the study.
        arm: As `analysis` describes it.
        stat: `mean`, `sd`, or `value` with a seed.
        value: What it is; `arm[stat]` where not given.
        seed: The one run it is of; else all that were analysed.
    """
    runs = [r for r in page.runs_of(arm["arm"]) if seed is None or r.seed == seed]
    shown = arm[stat] if seed is None else value
    return Number(say_value(shown), shown, {
        "from": "metrics", "stat": stat, "runs": join_runs(runs), **arm["measure"],
    })  # fmt: skip


def show_found(path: str, value: Any, text: str = "") -> Number:
    """Return a number that the analysis found, by its path in what `Analysis.to_dict` returns."""
    return Number(text or say_value(value), value, {"from": "analysis", "path": path})


def show_interval(path: str, found: Plain, *, signed: bool = False) -> Text:
    """Return `low to high` of what the analysis found at a path, or a dash."""
    if found["low"] is None:
        return UNKNOWN
    low, high = (
        show_found(f"{path}/{end}", found[end], say_value(found[end], signed=signed))
        for end in ("low", "high")
    )
    return (low, " to ", high)


def show_effect(path: str, effect: Plain) -> Number:
    """Return the estimate of an effect with its sign."""
    value = effect["estimate"]
    return show_found(f"{path}/estimate", value, say_value(value, signed=True))


def show_fact(facts: Plain, path: str) -> Number:
    """Return a whole number of the facts of a study, by its path."""
    value: Any = facts
    for part in path.split("/"):
        value = value[part]
    return Number(f"{value:,}", value, {"from": "facts", "path": path})


def show_count(page: StudyPage, state: str = "") -> Number:
    """Return how many runs there are, or how many of a state."""
    value = sum(run.state == state for run in page.runs) if state else len(page.runs)
    return Number(f"{value:,}", value, {"from": "members", "state": state})


def show_seconds(runs: Iterable[StudyRun], column: str, stat: str) -> Number:
    """Return the sum or mean of a duration of runs; a fit that runs share is counted once."""
    used = list(runs)
    if column == "fit_seconds":
        used = list({run.fit: run for run in used}.values())
    values = [float(getattr(run, column) or 0.0) for run in used]
    value = sum(values) / (len(values) if stat == "mean" else 1)
    source = {"from": "runs", "runs": join_runs(used), "column": column, "stat": stat}
    return Number(say_time(value), value, source)


def join_runs(runs: Iterable[StudyRun]) -> str:
    """Return the hashes of runs in one string."""
    return " ".join(run.run for run in runs)
