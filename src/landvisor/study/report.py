"""The report of a study: its database is read, and HTML and PDF are written from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.files import publish_directory
from landvisor.geo.handles import open_quietly
from landvisor.record import write_record
from landvisor.report.document_html import render_html
from landvisor.report.document_pdf import can_make_pdf, render_pdf
from landvisor.report.study_maps import Example
from landvisor.report.study_page import write_document
from landvisor.report.study_values import DONE, StudyPage, StudyRun
from landvisor.study.analysis import analyse
from landvisor.study.metrics import METRICS, title_metric
from landvisor.study.spec import ReportSpec
from landvisor.study.store import FILE, Member, Store
from landvisor.study.toml_text import write_toml

HTML, PDF = "report.html", "report.pdf"
_PLAIN = [name for name in METRICS if "{}" not in METRICS[name]]


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        html: The page.
        pdf: The PDF file, None where none was made.
        page: What both show.
        note: Why there is no PDF though it was wanted; empty otherwise.
    """

    html: Path
    pdf: Path | None
    page: StudyPage
    note: str = ""


def write_report(
    folder: Path | str,
    out: Path | str,
    *,
    study: str | None = None,
    variant: str = "",
    pdf: bool = True,
    overwrite: bool = False,
) -> Written:
    """Write the technical report of a study as HTML and PDF.

    Runs that are missing or failed are left out, and the report says so.

    Args:
        folder: The `--out` of `study run`.
        out: Folder that `report.html` and `report.pdf` are written to; it appears whole.
        study: Name of the study; the only one of the variant by default.
        variant: `` or as in `full`.
        pdf: Write a PDF too, where typst is installed.
        overwrite: Replace what is there.

    Raises:
        StudyError: If there is no such study, or no seed of it is complete.
        OutputError: If `out` exists and may not be replaced, or cannot be written.
    """
    store = Store.open(folder)
    try:
        page = read_page(store, *store.find(study, variant))
    finally:
        store.close()
    document = write_document(page)
    started = datetime.now(UTC)
    note = ""
    if pdf and not can_make_pdf():
        note = (
            "no PDF was made: typst is not installed; run pip install 'landvisor[study]', or give "
            "--no-pdf"
        )
    made = pdf and not note
    target = Path(out)
    with publish_directory(target, overwrite=overwrite) as part:
        (part / HTML).write_text(render_html(document), encoding="utf-8")
        if made:
            date = datetime.fromisoformat(page.last_run)
            (part / PDF).write_bytes(render_pdf(document, date=date))
        write_record(
            part, seed=0, recipe={}, inputs={"database": Path(folder) / FILE}, started=started
        )
    return Written(target / HTML, target / PDF if made else None, page, note)


def read_page(store: Store, study: str, variant: str = "") -> StudyPage:
    """Read all that a report shows; pictures lie beside the database, all else is in it.

    Raises:
        StudyError: If there is no such study, or no seed of it is complete.
    """
    known, spec = store.study(study, variant), store.spec(study, variant)
    found = analyse(store, study, variant, partial=True)
    members = store.members(study, variant)
    runs = tuple(_read_run(store, member) for member in members)
    ends = [store.run(run.run)["finished"] for run in runs if run.state == DONE]
    seeds = found.arms[0].seeds
    return StudyPage(
        study=study,
        variant=variant,
        spec=spec.model_dump(mode="json"),
        facts=known["facts"],
        analysis=found.to_dict(),
        runs=runs,
        titles=_title_metrics(known["facts"]),
        frozen=known["frozen"],
        first_run=_say_time(known["first_run"]),
        last_run=_say_time(max(ends)),
        pixels=_count_pixels(store, next(run.run for run in runs if run.state == DONE),
                             known["facts"]),
        scored=_count_scored(store),
        study_file=write_toml(spec.model_copy(update={"report": ReportSpec()})),
        examples=_read_examples(store.path.parent, known["facts"], runs, seeds[0]),
    )  # fmt: skip


def _say_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="seconds")


def _title_metrics(facts: dict[str, Any]) -> dict[str, str]:
    rates = [name for name in METRICS if name not in _PLAIN]
    names = [f"{rate}.{c['name']}" for rate in rates for c in facts["classes"]]
    return {name: title_metric(name) for name in (*_PLAIN, *names)}


def _read_run(store: Store, member: Member) -> StudyRun:
    row = store.run(member.run)
    done = member.state == DONE
    return StudyRun(
        run=member.run,
        fit=row["fit"],
        position=member.position,
        arm=member.arm,
        seed=member.seed,
        levels=member.levels,
        state=member.state,
        error=member.error,
        choices=row["choices"],
        facts=row["facts"],
        versions=store.versions(member.run) if done else {},
        curves=store.curves(member.run) if done else (),
        fit_seconds=member.fit_seconds,
        predict_seconds=member.predict_seconds,
    )


def _count_pixels(store: Store, run: str, facts: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Count pixels of the masks by split and class from what a run was scored on."""
    names = [str(c["name"]) for c in facts["classes"]]
    counted: dict[str, dict[str, int]] = {}
    for split in ("val", "test"):
        tables = store.counts(run, split, "masks")
        if tables:
            total = np.sum(list(tables.values()), axis=(0, 2))
            counted[split] = dict(zip(names, map(int, total), strict=True))
    return counted


def _count_scored(store: Store) -> int:
    """Count the runs of all studies of the database that were scored on a test split."""
    runs = {m.run for key in store.studies() for m in store.members(*key) if m.state == DONE}
    return len(runs)


def _read_examples(
    folder: Path, facts: dict[str, Any], runs: tuple[StudyRun, ...], seed: int
) -> tuple[Example, ...]:
    """Read the pictures of the example images, of the runs of one seed; none that are gone."""
    here = [run for run in runs if run.seed == seed and run.state == DONE]
    examples = []
    for name in facts.get("examples", ()):
        maps = {
            run.arm: _read_codes(path)
            for run in here
            if (path := folder / "runs" / run.run / f"{name}.map.png").is_file()
        }
        if maps:
            first = folder / "runs" / next(run.run for run in here if run.arm in maps)
            rgb = np.moveaxis(_read(first / f"{name}.image.png"), 0, -1)
            mask = _read_codes(first / f"{name}.mask.png")
            examples.append(Example(name, rgb, mask, maps, seed))
    return tuple(examples)


def _read_codes(path: Path) -> NDArray[np.uint8]:
    codes: NDArray[np.uint8] = _read(path)[0]
    return codes


def _read(path: Path) -> NDArray[np.uint8]:
    with open_quietly(path) as source:
        return np.asarray(source.read(), dtype=np.uint8)


def say_verdicts(written: Written) -> list[dict[str, Any]]:
    """Return what a machine wants to know of each hypothesis."""
    return [
        {"name": v["name"], "verdict": v["verdict"], "estimate": v["effect"]["estimate"],
         "low": v["effect"]["low"], "high": v["effect"]["high"], "p": v["effect"]["p"],
         "p_corrected": v["effect"]["p_corrected"]}
        for v in written.page.analysis["verdicts"]
    ]  # fmt: skip
