"""What runners write: a study's plan, leases of runs, results and failures."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from landvisor.errors import StudyError
from landvisor.study.execute import Outcome
from landvisor.study.locks import Runner
from landvisor.study.metrics import STANDARD, name_reference, score
from landvisor.study.plan import Plan, describe_choices
from landvisor.study.read import hash_frozen
from landvisor.study.spec import LOSS, ScoringSpec, StudySpec
from landvisor.study.store import Store, now, to_json
from landvisor.study.tables import DONE, FAILED, MISSING, RUNNING

TRAINING = "training"
"""The scoring under which the final training loss is kept: it scores nothing."""


def enter_plan(store: Store, plan: Plan) -> None:
    """Write a study and its runs; what is known of runs stays.

    The hypotheses are frozen the first time; a later change is written down.

    Raises:
        StudyError: If a scoring means something else in another study of the folder.
    """
    spec, variant = plan.study.spec, plan.study.variant
    with store.writing() as database:
        _check_scorings(store, spec, variant)
        _enter_study(store, plan)
        database.execute("DELETE FROM members WHERE study=? AND variant=?", (spec.name, variant))
        for run in plan.runs:
            database.execute(
                "INSERT OR IGNORE INTO runs (run, fit, choices, state) VALUES (?, ?, ?, ?)",
                (run.job.run, run.job.fit, to_json(describe_choices(run.job)), MISSING),
            )
            database.execute(
                "INSERT INTO members VALUES (?, ?, ?, ?, ?, ?, ?)",
                (spec.name, variant, run.position, run.arm.name, run.seed,
                 to_json(run.arm.levels), run.job.run),
            )  # fmt: skip
        for member in store.members(spec.name, variant):
            if member.state == DONE:  # a scoring may be new
                _write_metrics(store, member.run, spec, plan.facts)


def claim(store: Store, *, runner: Runner, wanted: Iterable[str]) -> tuple[str | None, int]:
    """Take the next run that nobody does.

    A run whose model somebody else is fitting has to wait, so that no model is fitted twice.

    Args:
        store: Where runs are.
        runner: Who asks.
        wanted: Hashes of the runs that may be taken, in order.

    Returns:
        The run or None, and how many of those that are wanted others do or hold up.
    """
    order = list(dict.fromkeys(wanted))
    with store.writing() as database:
        _free_dead(store, runner)
        rows = database.execute("SELECT run, fit, state, owner FROM runs").fetchall()
        known = {run: (fit, state, owner) for run, fit, state, owner in rows}
        busy = {fit for fit, state, _ in known.values() if state == RUNNING}
        for run in order:
            fit, state, _ = known[run]
            if state == MISSING and fit not in busy:
                database.execute(
                    "UPDATE runs SET state=?, owner=?, heartbeat=?, started=?, host=?, error=NULL, "
                    "trace=NULL WHERE run=?",
                    (RUNNING, runner.name, now(), now(), platform.node(), run),
                )
                return run, 0
    return None, sum(known[run][1] in (RUNNING, MISSING) for run in order)


def _free_dead(store: Store, runner: Runner) -> None:
    rows = store.database.execute(
        "SELECT run, owner, heartbeat FROM runs WHERE state=?", (RUNNING,)
    ).fetchall()
    dead = {owner for _, owner, beat in rows if runner.is_dead(owner, beat)}
    for run in (run for run, owner, _ in rows if owner in dead):
        _release(store, run)


def _release(store: Store, run: str) -> None:
    store.database.execute(
        "UPDATE runs SET state=?, owner=NULL, heartbeat=NULL, started=NULL WHERE run=?",
        (MISSING, run),
    )


def release(store: Store, runner: Runner) -> None:
    """Give back all runs that a runner has not ended."""
    with store.writing() as database:
        rows = database.execute(
            "SELECT run FROM runs WHERE state=? AND owner=?", (RUNNING, runner.name)
        ).fetchall()
        for (run,) in rows:
            _release(store, run)


def beat(store: Store, runner: Runner) -> None:
    """Tell others that a runner is alive."""
    with store.writing() as database:
        database.execute(
            "UPDATE runs SET heartbeat=? WHERE state=? AND owner=?", (now(), RUNNING, runner.name)
        )


def finish(store: Store, run: str, outcome: Outcome, *, runner: Runner, plan: Plan) -> bool:
    """Write the result of a run; False if its lease went to another runner meanwhile."""
    with store.writing() as database:
        if not _is_mine(store, run, runner):
            return False
        _forget_results(store, run)
        database.executemany(
            "INSERT INTO counts VALUES (?, ?, ?, ?, ?, ?)",
            [(run, c.split, c.reference, c.image, c.block, to_json(c.counts))
             for c in outcome.counts],
        )  # fmt: skip
        database.executemany(
            "INSERT INTO curves VALUES (?, ?, ?, ?, ?)", [(run, *row) for row in outcome.curves]
        )
        database.executemany(
            "INSERT INTO versions VALUES (?, ?, ?)",
            [(run, name, version) for name, version in outcome.versions.items()],
        )
        _write_metrics(store, run, plan.study.spec, plan.facts)
        _write_loss(store, run, outcome)
        database.execute(
            "UPDATE runs SET state=?, owner=NULL, heartbeat=NULL, finished=?, fit_seconds=?, "
            "predict_seconds=?, facts=? WHERE run=?",
            (DONE, now(), outcome.fit_seconds, outcome.predict_seconds, to_json(outcome.facts),
             run),
        )  # fmt: skip
        return True


def fail(store: Store, run: str, *, error: str, trace: str, runner: Runner) -> bool:
    """Write down why a run failed; False if its lease went to another runner meanwhile."""
    with store.writing() as database:
        if not _is_mine(store, run, runner):
            return False
        _forget_results(store, run)
        database.execute(
            "UPDATE runs SET state=?, owner=NULL, heartbeat=NULL, finished=?, error=?, trace=? "
            "WHERE run=?", (FAILED, now(), error, trace, run),
        )  # fmt: skip
        return True


def forget(store: Store, runs: Iterable[str]) -> None:
    """Forget what runs gave, so that they are done again."""
    with store.writing() as database:
        for run in runs:
            _forget_results(store, run)
            database.execute(
                "UPDATE runs SET state=?, error=NULL, trace=NULL, owner=NULL, heartbeat=NULL, "
                "host=NULL, started=NULL, finished=NULL, fit_seconds=NULL, predict_seconds=NULL, "
                "facts=NULL WHERE run=?", (MISSING, run),
            )  # fmt: skip


def needed_fits(store: Store) -> set[str]:
    """Return the fits whose models runs of any study still need."""
    rows = store.database.execute(
        "SELECT DISTINCT fit FROM runs r JOIN members m ON m.run=r.run WHERE state IN (?, ?)",
        (MISSING, RUNNING),
    )
    return {fit for (fit,) in rows}


def _is_mine(store: Store, run: str, runner: Runner) -> bool:
    row = store.database.execute("SELECT state, owner FROM runs WHERE run=?", (run,)).fetchone()
    return bool(row == (RUNNING, runner.name))


def _forget_results(store: Store, run: str) -> None:
    for table in ("metrics", "counts", "curves", "versions"):
        store.database.execute(f"DELETE FROM {table} WHERE run=?", (run,))  # noqa: S608 fixed names


def _enter_study(store: Store, plan: Plan) -> None:
    spec, key = plan.study.spec, (plan.study.spec.name, plan.study.variant)
    frozen = plan.study.frozen()
    digest, text = hash_frozen(frozen), to_json(frozen)
    content, facts = to_json(spec.model_dump(mode="json")), to_json(plan.facts)
    row = store.database.execute(
        "SELECT frozen FROM studies WHERE study=? AND variant=?", key
    ).fetchone()
    if row is None:
        store.database.execute(
            "INSERT INTO studies VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*key, content, digest, text, now(), facts),
        )
        return
    store.database.execute(
        "UPDATE studies SET spec=?, facts=? WHERE study=? AND variant=?", (content, facts, *key)
    )
    changes = store.changes(*key)
    latest = changes[-1]["frozen"] if changes else row[0]
    if digest != latest:
        store.database.execute(
            "INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?)",
            (*key, len(changes) + 1, now(), digest, text),
        )


def _check_scorings(store: Store, spec: StudySpec, variant: str) -> None:
    """Refuse a name that means something else elsewhere: studies share runs, and their metrics."""
    for key in store.studies():
        if key == (spec.name, variant):
            continue
        other = store.spec(*key).scoring
        clash = next((n for n in spec.scoring if n in other and other[n] != spec.scoring[n]), None)
        if clash is not None:
            raise StudyError(
                f"scoring {clash!r} means something else in study {key[0]!r} of the same folder; "
                "give it another name, or the study another --out"
            )


def _write_metrics(store: Store, run: str, spec: StudySpec, facts: Mapping[str, Any]) -> None:
    """Compute all metrics of a run from its counts."""
    names = [c["name"] for c in facts["classes"]]
    scored = [c["name"] for c in facts["classes"] if c["scored"]]
    for scoring, how in {STANDARD: ScoringSpec(), **spec.scoring}.items():
        for split in ("val", "test"):
            counts = store.counts(run, split, name_reference(how))
            stack = np.stack(list(counts.values()))
            found = score(stack, how, classes=names, scored=scored)
            store.database.executemany(
                "INSERT OR REPLACE INTO metrics VALUES (?, ?, ?, ?, ?, ?)",
                [(run, split, scoring, *_part(name), _finite(float(value)))
                 for name, value in found.items()],
            )  # fmt: skip


def _write_loss(store: Store, run: str, outcome: Outcome) -> None:
    """Keep the loss of the last epoch of the last training."""
    losses = [row for row in outcome.curves if row[2] == LOSS]
    if losses:
        value = max(losses, key=lambda row: (int(row[0]), row[1]))[3]
        store.database.execute(
            "INSERT INTO metrics VALUES (?, 'train', ?, ?, '', ?)", (run, TRAINING, LOSS, value)
        )


def _part(metric: str) -> tuple[str, str]:
    name, _, of = metric.partition(".")
    return name, of


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
