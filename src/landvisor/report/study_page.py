"""The technical report of a study: plain values in, a document out for HTML and PDF."""

from __future__ import annotations

from landvisor.phrases import say_count
from landvisor.report.document import (
    Block,
    Bullets,
    Document,
    Listing,
    Pairs,
    Paragraph,
    Section,
    Styled,
    Table,
    Text,
)
from landvisor.report.study_method import describe_method, say_collection
from landvisor.report.study_numbers import (
    UNKNOWN,
    say_date,
    show_count,
    show_fact,
    show_metric,
    show_seconds,
)
from landvisor.report.study_outcome import describe_outcome, say_verdict_briefly
from landvisor.report.study_results import describe_results, show_title, tabulate_others
from landvisor.report.study_settings import describe_arms, say_setting
from landvisor.report.study_statistics import list_references
from landvisor.report.study_threats import list_threats
from landvisor.report.study_values import Plain, StudyPage, StudyRun

_DESIGNS = {
    "full": "every combination of the levels",
    "one-at-a-time": "the first level of each factor (base), and each other level with all other "
    "factors at their first",
    "paired": "the named arms",
}


def write_document(page: StudyPage) -> Document:
    """Write the report of a study."""
    sections = [
        Section("Purpose and hypotheses", _describe_purpose(page)),
        describe_method(page),
        _describe_experiment(page),
        *_describe_discussion(page),
        Section("Threats to validity", (Bullets(list_threats(page)),)),
        Section("How to reproduce", _describe_reproduction(page)),
        *_append(page),
    ]
    first = Document(
        "Technical report of a study", _title(page), _summarise(page), _abstract(page),
        tuple(sections),
    )  # fmt: skip
    text = " ".join(_list_texts(first))
    references = Section("References", (Bullets(list_references(text)),))
    return Document(
        first.eyebrow, first.title, first.summary, first.abstract, (*first.sections, references)
    )


def _list_texts(document: Document) -> list[str]:
    """List the words of a document's paragraphs, lists and tables."""
    return [
        repr(block) for section in document.sections for part in (section, *section.sections)
        for block in part.blocks
    ]  # fmt: skip


def _title(page: StudyPage) -> str:
    said = page.spec.get("report", {}).get("title", "")
    return said or page.study.replace("_", " ").replace("-", " ").capitalize()


def _summarise(page: StudyPage) -> str:
    variant = f", variant “{page.variant}”" if page.variant else ""
    return (
        f"Study “{page.study}”{variant}: {say_count(len(page.arms), 'arm')}, "
        f"{say_count(len(page.seeds), 'seed')}, run from {page.first_run[:10]} to "
        f"{page.last_run[:10]}"
    )


def _abstract(page: StudyPage) -> tuple[Block, ...]:
    blocks: list[Block] = [Paragraph(page.spec["purpose"])]
    splits = page.facts["splits"]
    blocks.append(Paragraph((
        show_count(page, "done"), f" runs ({say_count(len(page.analysed), 'arm')} with "
        f"{say_count(len(page.seeds), 'seed')} each) learned from up to ",
        show_fact(page.facts, "splits/train/images"), " images of ", say_collection(page.facts),
        " and were scored on ", show_fact(page.facts, "splits/test/images"),
        f" test image{'s' * (splits['test']['images'] != 1)} that neither training nor the choice "
        "of epochs saw.",
    )))  # fmt: skip
    verdicts = range(len(page.analysis["verdicts"]))
    blocks.append(Bullets(tuple(say_verdict_briefly(page, k) for k in verdicts)))
    warnings = _list_warnings(page)
    return (*blocks, Bullets(warnings, warning=True)) if warnings else tuple(blocks)


def _list_warnings(page: StudyPage) -> tuple[Text, ...]:
    """List what a reader must know before all else."""
    said: list[Text] = []
    failed = sum(run.state == "failed" for run in page.runs)
    lacking = sum(run.state != "done" for run in page.runs) - failed
    if lacking:
        said.append(f"The study is not finished: {say_count(lacking, 'run')} of {len(page.runs)} "
                    "are not done.")  # fmt: skip
    if failed:
        said.append(f"{say_count(failed, 'run')} of {len(page.runs)} failed; see “Failed runs”.")
    said += [f"{note[0].upper()}{note[1:]}." for note in page.analysis["notes"]]
    return tuple(said)


def _describe_purpose(page: StudyPage) -> tuple[Block, ...]:
    blocks: list[Block] = [Paragraph(page.spec["purpose"])]
    blocks += _paragraphs(page.spec.get("report", {}).get("background", ""))
    blocks.append(_tabulate_claims(page))
    changed = len(page.analysis["changes"])
    since = (
        f"They were changed {say_count(changed, 'time')} since; see “Changes of hypotheses and "
        "analysis”."
        if changed
        else "They have not been changed since."
    )
    blocks.append(Paragraph((
        "Hypotheses, scorings and analysis were fixed at the first run, on "
        f"{say_date(page.first_run)} (SHA-256 ", Styled(page.frozen[:16], "code"), f"…). {since}",
    )))  # fmt: skip
    return tuple(blocks)


def _paragraphs(text: str) -> list[Block]:
    return [Paragraph(" ".join(part.split())) for part in text.split("\n\n") if part.strip()]


def _tabulate_claims(page: StudyPage) -> Table:
    titles = [verdict["effect"]["title"] for verdict in page.analysis["verdicts"]]
    rows: list[tuple[Text, ...]] = [
        (claim["name"], claim["text"], page.say_measure(claim), show_title(title),
         _say_bar(claim), claim["test"].replace("_", " "))
        for claim, title in zip(page.spec["hypothesis"], titles, strict=True)
    ]  # fmt: skip
    return Table(
        "Hypotheses, as they stand now.",
        ("name", "claim", "measured by", "compared", "supported if the interval is", "test"),
        tuple(rows),
        ("left",) * 6,
    )


def _say_bar(claim: Plain) -> str:
    strict = claim["rule"] == "exceeds_smallest"
    size = f"{claim['smallest']:g}"
    bar = size if strict else "0"
    other = "" if strict else f"; smallest effect of interest {size}"
    if claim["direction"] == "different":
        beyond = f"outside −{size} to {size}" if strict else "clear of 0"
        return f"{beyond}{other}"
    if claim["direction"] == "less":
        return f"below {'−' if strict else ''}{bar}{other}"
    return f"above {bar}{other}"


def _describe_experiment(page: StudyPage) -> Section:
    sections = [
        Section("Process", _describe_process(page)),
        Section("Results", describe_results(page)),
        Section("Analysis", describe_outcome(page)),
        Section("Other splits and scorings", tabulate_others(page)),
    ]
    failed = _tabulate_failures(page)
    if failed is not None:
        sections.append(Section("Failed runs", (failed,)))
    return Section("Experiment", sections=tuple(sections))


def _describe_process(page: StudyPage) -> tuple[Block, ...]:
    levels: dict[str, dict[str, None]] = {}
    for run in page.of_each_arm().values():
        for factor, level in run.levels.items():
            levels.setdefault(factor, {})[level] = None
    rows = tuple((factor, " | ".join(found)) for factor, found in levels.items())
    seeds = ", ".join(map(str, dict.fromkeys(run.seed for run in page.runs)))
    text = (
        f"The design is {page.spec['design']}: {_DESIGNS[page.spec['design']]}. Every arm was run "
        f"with seeds {seeds}; drawn points, initial weights and the order of training follow from "
        "the seed, which is the same for all arms, so that differences of arms are paired."
    )
    table = Table(
        "Factors and their levels, the first one being the base.", ("factor", "levels"), rows,
        ("left", "left"),
    )  # fmt: skip
    paired = page.spec["design"] == "paired"  # then the one factor is the arm
    return (Paragraph(text), *(() if paired else (table,)), *describe_arms(page))


def _tabulate_failures(page: StudyPage) -> Table | None:
    failed = [run for run in page.runs if run.state == "failed"]
    if not failed:
        return None
    rows: list[tuple[Text, ...]] = [
        (Styled(run.run, "code"), run.arm, str(run.seed), run.error or UNKNOWN) for run in failed
    ]
    return Table(
        "Runs that failed, each with its error. They stopped no other run.",
        ("run", "arm", "seed", "error"),
        tuple(rows),
        ("left", "left", "right", "left"),
    )


def _describe_discussion(page: StudyPage) -> tuple[Section, ...]:
    said = _paragraphs(page.spec.get("report", {}).get("discussion", ""))
    if not said:
        return ()
    text = (
        "Written by the authors of the study, as its purpose and background are; all other text is "
        "filled from its database."
    )
    lead = Paragraph(Styled(text, "quiet"))
    return (Section("Discussion", (lead, *said)),)


def _describe_reproduction(page: StudyPage) -> tuple[Block, ...]:
    versions = next((run.versions for run in page.done), {})
    name, told = page.study, f" --variant {page.variant}" if page.variant else ""
    commands = (
        f"pip install 'landvisor[study]=={versions.get('landvisor', '')}'\n"
        f"landvisor study run {name}.toml{told} --data DATA --out results\n"
        f"landvisor study report results --study {name}{told} --out report"
    )
    digests = list(dict.fromkeys(str(run.choices["images"]) for run in page.runs))
    exact = (
        "On a processor, with these versions and threads, every run gives the same metrics again "
        "to the last digit."
        if {run.facts.get("device") for run in page.done} == {"cpu"}
        else "On an accelerator metrics may differ in their last digits from run to run."
    )
    pairs: list[tuple[str, Text]] = [
        ("hypotheses", (Styled(page.frozen, "code"), " (SHA-256)")),
        ("images", (Styled(", ".join(digests), "code"), " (hash of images, masks and size)")),
        ("runs", "named by a hash of all that they follow from; listed at the end"),
        ("database", Styled("study.sqlite", "code")),
    ]
    return (
        Paragraph("DATA is the folder that holds the data; the study file is at the end."),
        Listing(commands),
        Paragraph(exact),
        Pairs(tuple(pairs)),
    )


def _append(page: StudyPage) -> tuple[Section, ...]:
    sections = [Section("All runs", (_tabulate_runs(page),))]
    if page.analysis["changes"]:
        blocks = tuple(block for change in page.analysis["changes"] for block in _show(change))
        sections.insert(0, Section("Changes of hypotheses and analysis", blocks))
    note = Paragraph(
        "As it was run, its variant merged in. What has its default is left out, and so are the "
        "texts of [report], which stand above."
    )
    sections.append(Section("Study file", (note, Listing(page.study_file))))
    return tuple(sections)


def _show(change: Plain) -> tuple[Block, ...]:
    rows: list[tuple[str, Text]] = []
    for part in change["after"]:
        before, after = _list_changes(change["before"][part], change["after"][part])
        rows += [(f"{part}, before", before), (f"{part}, after", after)]
    return (
        Paragraph(f"Change {change['number']}, {say_date(change['time'])}."),
        Pairs(tuple(rows)),
    )


def _list_changes(before: object, after: object) -> tuple[str, str]:
    """Say what of a part is not as it was: whole entries of a list, and keys of a table."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        return tuple(  # type: ignore[return-value]
            say_setting({key: side[key] for key in keys if key in side}) for side in (before, after)
        )
    if isinstance(before, list) and isinstance(after, list):
        gone = [each for each in before if each not in after]
        new = [each for each in after if each not in before]
        return "; ".join(map(say_setting, gone)) or "–", "; ".join(map(say_setting, new)) or "–"
    return say_setting(before), say_setting(after)


def _tabulate_runs(page: StudyPage) -> Table:
    main = page.main
    known = {
        arm["arm"]: arm for arm in page.analysis["arms"]
        if all(arm["measure"][key] == main[key] for key in main)
    }  # fmt: skip
    rows = tuple(_row_of_run(page, run, known.get(run.arm)) for run in page.runs)
    return Table(
        f"Every run, with {page.say_measure(main)}. A fit that runs share is stated for each.",
        ("run", "arm", "seed", "state", page.titles[main["metric"]], "fit", "maps"),
        rows,
        ("left", "left", "right", "left", "right", "right", "right"),
    )


def _row_of_run(page: StudyPage, run: StudyRun, arm: Plain | None) -> tuple[Text, ...]:
    value: Text = UNKNOWN
    if arm is not None and run.state == "done" and run.seed in arm["seeds"]:
        found = arm["values"][arm["seeds"].index(run.seed)]
        value = show_metric(page, arm, "value", value=found, seed=run.seed)
    times = [
        UNKNOWN if getattr(run, column) is None else show_seconds([run], column, "sum")
        for column in ("fit_seconds", "predict_seconds")
    ]
    return (Styled(run.run, "code"), run.arm, str(run.seed), run.state, value, *times)
