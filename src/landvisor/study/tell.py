"""What a terminal shows of studies: their runs, and what they found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from landvisor.study.results import Analysis, Effect, FactorResult, Verdict
from landvisor.study.store import Store

Row = dict[str, Any]


def list_studies(store: Store) -> list[Row]:
    """Return a row for each study: name, variant, first run, and runs by state."""
    rows = []
    for study, variant in store.studies():
        known = store.study(study, variant)
        first = datetime.fromtimestamp(known["first_run"], UTC).isoformat(timespec="seconds")
        states = Counter(member.state for member in store.members(study, variant))
        rows.append({
            "study": study, "variant": variant, "first_run": first, "runs": dict(states),
            "changes": len(store.changes(study, variant)), "purpose": known["spec"]["purpose"],
        })  # fmt: skip
    return rows


def say_studies(rows: Sequence[Row]) -> str:
    """Lay out `list_studies` for a terminal."""
    head = ["study", "variant", "runs", "first run", "changes since"]
    lines = [
        [r["study"], r["variant"] or "-", _say_states(r["runs"]), r["first_run"], str(r["changes"])]
        for r in rows
    ]
    return _align([head, *lines])


def list_runs(store: Store, study: str, variant: str) -> list[Row]:
    """Return a row for each run of a study, seed by seed."""
    rows = []
    for member in store.members(study, variant):
        metrics = store.metrics(member.run)
        rows.append({
            "run": member.run, "arm": member.arm, "seed": member.seed, "state": member.state,
            "mean_iou_val": metrics.get(("val", "standard", "mean_iou")),
            "fit_seconds": member.fit_seconds, "predict_seconds": member.predict_seconds,
            "error": member.error,
        })  # fmt: skip
    return rows


def say_runs(rows: Sequence[Row]) -> str:
    """Lay out `list_runs` for a terminal, and say how far the study is."""
    head = ["run", "seed", "state", "mean IoU, val", "fit, s", "predict, s", "arm"]
    lines = [
        [r["run"], str(r["seed"]), r["state"], _number(r["mean_iou_val"]),
         _number(r["fit_seconds"], 1), _number(r["predict_seconds"], 1), r["arm"]]
        for r in rows
    ]  # fmt: skip
    states = Counter(str(r["state"]) for r in rows)
    failed = [f"{r['run']} failed: {r['error']}" for r in rows if r["error"]]
    return "\n".join([_align([head, *lines]), "", _say_states(states), *failed])


def say_analysis(found: Analysis) -> str:
    """Lay out an analysis for a terminal."""
    parts = [_say_arms(found)]
    parts += [_say_factor(factor) for factor in found.factors]
    for pair in found.interactions:
        parts.append(_say_effects(f"interaction of {' and '.join(pair.factors)}", pair.effects))
    parts += [_say_verdict(verdict) for verdict in found.verdicts]
    if found.loss_ranking is not None:
        parts.append(f"ranking by loss: {found.loss_ranking.sentence}")
    notes = dict.fromkeys([*found.notes, *_list_notes(found)])
    return "\n\n".join([*parts, *(["\n".join(f"note: {n}" for n in notes)] if notes else [])])


def _list_notes(found: Analysis) -> Iterable[str]:
    tables = [*(f.effects for f in found.factors), *(i.effects for i in found.interactions)]
    effects = [*(e for table in tables for e in table), *(v.effect for v in found.verdicts)]
    return (note for effect in effects for note in effect.notes)


def _say_arms(found: Analysis) -> str:
    chosen = [arm for arm in found.arms if arm.measure.split == "test"]
    measures = list(dict.fromkeys(arm.measure for arm in chosen))
    head = ["test", *(_say_measure(m.metric, m.scoring) for m in measures)]
    rows: dict[str, list[str]] = {}
    for arm in chosen:
        spread = "" if arm.sd is None else f" ± {arm.sd:.4f}"
        rows.setdefault(arm.arm, [arm.arm]).append(f"{arm.mean:.4f}{spread}")
    seeds = len(chosen[0].seeds)
    return f"{_align([head, *rows.values()])}\nmean ± standard deviation over {seeds} seeds"


def _say_measure(metric: str, scoring: str) -> str:
    return metric if scoring == "standard" else f"{metric}, {scoring}"


def _say_factor(factor: FactorResult) -> str:
    measure = _say_measure(factor.measure.metric, factor.measure.scoring)
    title = f"effect of {factor.factor} on {measure}, {factor.measure.split}"
    return _say_effects(title, factor.effects)


def _say_effects(title: str, effects: Sequence[Effect]) -> str:
    head = [title, "effect", "interval", "p", "p, corrected"]
    return _align([head, *(_say_effect(effect) for effect in effects)])


def _say_effect(effect: Effect) -> list[str]:
    return [
        effect.title, f"{effect.estimate:+.4f}",
        "-" if effect.low is None else f"{effect.low:+.4f} to {effect.high:+.4f}",
        _number(effect.p, 3), _number(effect.p_corrected, 3),
    ]  # fmt: skip


def _say_verdict(verdict: Verdict) -> str:
    changed = " (changed after the first run)" if verdict.changed else ""
    lines = [f"{verdict.verdict}: {verdict.text}{changed}", f"  {verdict.reason}"]
    if verdict.detectable is not None:
        lines.append(f"  an effect of {verdict.detectable:.4f} would be found 8 times in 10")
    return "\n".join(lines)


def _say_states(states: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items()))


def _number(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _align(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
