"""What is known of studies and their runs: one SQLite file that many processes share."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import StudyError
from landvisor.study.choices import raise_unknown
from landvisor.study.spec import StudySpec
from landvisor.study.tables import SCHEMA, VERSION

FILE = "study.sqlite"
_PATIENCE = 60.0  # seconds that a writer waits for another one
_UNTIMED = {
    "studies": "study, variant, spec, frozen, frozen_spec, facts",
    "changes": "study, variant, number, frozen, frozen_spec",
    "members": "study, variant, position, arm, seed, levels, run",
    "runs": "run, fit, choices, state, error, facts",
    "metrics": "*", "counts": "*", "curves": "*", "versions": "*",
}  # fmt: skip


@dataclass(frozen=True)
class Member:
    """A run in its place in a study.

    Attributes:
        position: Of its arm in the design.
        arm: Name of the arm.
        seed: Of the replicate.
        levels: Level by factor.
        run: Its hash.
        state: `missing`, `running`, `done` or `failed`.
        error: Why it failed, in one line.
        fit_seconds: Of the fit, None unless done.
        predict_seconds: Of the maps, None unless done.
    """

    position: int
    arm: str
    seed: int
    levels: dict[str, str]
    run: str
    state: str
    error: str | None
    fit_seconds: float | None
    predict_seconds: float | None


class Store:
    """The database of a folder of studies; it may be open in many processes at once.

    Args:
        path: The SQLite file, made if it is missing.

    Raises:
        StudyError: If the file is no such database, or of another version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
        try:
            self.database.execute("PRAGMA journal_mode=WAL")
            self.database.execute("PRAGMA synchronous=FULL")
            found = self.database.execute("PRAGMA user_version").fetchone()[0]
            if found not in (0, VERSION):
                raise StudyError(
                    f"{str(path)!r} has layout {found}, this landvisor reads {VERSION}; run the "
                    "study in another folder, or with the landvisor that made it"
                )
            with self.writing():
                for statement in _split(SCHEMA):
                    self.database.execute(statement)
                self.database.execute(f"PRAGMA user_version={VERSION}")
        except sqlite3.DatabaseError as error:
            raise StudyError(
                f"{str(path)!r} is no database of studies ({error}); name the --out of study run"
            ) from error

    @classmethod
    def open(cls, folder: Path | str) -> Store:
        """Open the database of a folder to read.

        Raises:
            StudyError: If there is none.
        """
        path = Path(folder) / FILE
        if not path.is_file():
            raise StudyError(f"no {FILE} in {str(folder)!r}; give the --out of `study run`")
        return cls(path)

    def close(self) -> None:
        """Let go of the file."""
        self.database.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield the database for changes that are made wholly or not at all."""
        self.database.execute("BEGIN IMMEDIATE")
        try:
            yield self.database
        except BaseException:
            self.database.execute("ROLLBACK")
            raise
        self.database.execute("COMMIT")

    def studies(self) -> list[tuple[str, str]]:
        """List studies as (name, variant)."""
        return list(self._rows("SELECT study, variant FROM studies ORDER BY study, variant"))

    def find(self, study: str | None, variant: str = "") -> tuple[str, str]:
        """Return the study that is meant: the named one, or the only one of the variant.

        Raises:
            StudyError: If there is no such study, or several and none is named.
        """
        known = self.studies()
        if study is None:
            fitting = [key for key in known if key[1] == variant]
            if len(fitting) != 1:
                said = ", ".join(" ".join(filter(None, key)) for key in known) or "none"
                raise StudyError(f"name one of the studies of the folder: {said}")
            return fitting[0]
        if (study, variant) not in known:
            raise_unknown(
                "study", " ".join(filter(None, (study, variant))),
                [" ".join(filter(None, key)) for key in known] or ["(none was run here)"],
            )  # fmt: skip
        return study, variant

    def study(self, study: str, variant: str = "") -> dict[str, Any]:
        """Return a row of `studies`, JSON parsed.

        Raises:
            StudyError: If there is no such study.
        """
        self.find(study, variant)
        (row,) = self._rows(
            "SELECT spec, frozen, frozen_spec, first_run, facts FROM studies "
            "WHERE study=? AND variant=?", study, variant,
        )  # fmt: skip
        spec, frozen, frozen_spec, first_run, facts = row
        return {
            "spec": json.loads(spec), "frozen": frozen, "frozen_spec": json.loads(frozen_spec),
            "first_run": first_run, "facts": json.loads(facts),
        }  # fmt: skip

    def spec(self, study: str, variant: str = "") -> StudySpec:
        """Return a study as it was last run."""
        return StudySpec.model_validate(self.study(study, variant)["spec"])

    def changes(self, study: str, variant: str = "") -> list[dict[str, Any]]:
        """Return the changes of what was frozen, in order."""
        rows = self._rows(
            "SELECT number, time, frozen, frozen_spec FROM changes WHERE study=? AND variant=? "
            "ORDER BY number", study, variant,
        )  # fmt: skip
        return [
            {"number": n, "time": t, "frozen": f, "frozen_spec": json.loads(s)}
            for n, t, f, s in rows
        ]

    def members(self, study: str, variant: str = "") -> list[Member]:
        """Return all runs of a study by seed and arm."""
        rows = self._rows(
            "SELECT position, arm, seed, levels, m.run, state, error, fit_seconds, "
            "predict_seconds FROM members m JOIN runs r ON r.run=m.run "
            "WHERE study=? AND variant=? ORDER BY seed, position", study, variant,
        )  # fmt: skip
        return [Member(p, a, s, json.loads(levels), *rest) for p, a, s, levels, *rest in rows]

    def metrics(self, run: str) -> dict[tuple[str, str, str], float | None]:
        """Return values by (split, scoring, metric), a metric being as `iou.road`."""
        rows = self._rows("SELECT split, scoring, name, class, value FROM metrics WHERE run=?", run)
        return {(s, scoring, f"{n}.{c}" if c else n): v for s, scoring, n, c, v in rows}

    def counts(self, run: str, split: str, reference: str) -> dict[str, NDArray[np.int64]]:
        """Return counts `[class, class + 1]` by image, in the order of their names."""
        rows = self._rows(
            "SELECT image, counts FROM counts WHERE run=? AND split=? AND reference=? "
            "ORDER BY image", run, split, reference,
        )  # fmt: skip
        return {image: np.array(json.loads(counts), dtype=np.int64) for image, counts in rows}

    def blocks(self, run: str, split: str, reference: str) -> dict[str, str]:
        """Return the block of each image: its group, or its name."""
        return dict(self._rows(
            "SELECT image, block FROM counts WHERE run=? AND split=? AND reference=? "
            "ORDER BY image", run, split, reference,
        ))  # fmt: skip

    def curves(self, run: str) -> list[tuple[str, int, str, float]]:
        """Return (training, epoch, name, value) in order."""
        return list(self._rows(
            "SELECT fit, epoch, name, value FROM curves WHERE run=? ORDER BY fit, name, epoch", run
        ))  # fmt: skip

    def versions(self, run: str) -> dict[str, str | None]:
        """Return software, device and threads of a run."""
        return dict(self._rows("SELECT name, version FROM versions WHERE run=? ORDER BY name", run))

    def run(self, run: str) -> dict[str, Any]:
        """Return a row of `runs`, JSON parsed.

        Raises:
            StudyError: If there is no such run.
        """
        cursor = self.database.execute("SELECT * FROM runs WHERE run=?", (run,))
        row = cursor.fetchone()
        if row is None:
            raise StudyError(f"no run {run!r} in {str(self.path)!r}; see `study status`")
        found = dict(zip([column[0] for column in cursor.description], row, strict=True))
        parsed = {name: json.loads(found[name] or "{}") for name in ("choices", "facts")}
        return found | parsed

    def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return all that the database says, times, hosts and leases aside, in a fixed order."""
        return {
            table: sorted(self._rows(f"SELECT {columns} FROM {table}"), key=repr)  # noqa: S608 fixed names
            for table, columns in _UNTIMED.items()
        }

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.database.execute(query, values).fetchall()


def _split(script: str) -> Sequence[str]:
    return [part for part in script.split(";\n") if part.strip()]


def now() -> float:
    """Return seconds since 1970, as the database keeps times."""
    return time.time()


def to_json(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """Return JSON; the order of keys, as of factors and levels, is kept."""
    return json.dumps(value, ensure_ascii=False)
