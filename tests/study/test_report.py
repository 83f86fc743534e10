"""Every number of a report is what the database says; what is missing or changed is said."""

import json
import math
import re
import shutil
import sqlite3
import statistics
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from landvisor.cli.main import group, main
from landvisor.report.document_html import render_html
from landvisor.report.study_page import write_document
from landvisor.study import report
from landvisor.study.analysis import analyse
from landvisor.study.report import read_page, write_report
from landvisor.study.store import FILE, Store

EPOCHS = 4


class Page(HTMLParser):
    """The numbers of a page with their attributes, and all other text of tables by section."""

    def __init__(self, text):
        super().__init__()
        self.numbers, self.rest = [], []
        self.section, self.number, self.cells = "", None, 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "section":
            self.section = given.get("data-section", given.get("aria-label", ""))
        self.cells += tag == "td"
        if tag == "data":
            self.number = {**given, "section": self.section, "text": ""}

    def handle_endtag(self, tag):
        self.cells -= tag == "td"
        if tag == "data":
            self.numbers.append(self.number)
            self.number = None

    def handle_data(self, text):
        if self.number is not None:
            self.number["text"] += text
        elif self.cells or self.section == "Abstract":
            self.rest.append((self.section, text))


class Database:
    """What the tables say, read by SQL alone; the analysis is made anew from them."""

    def __init__(self, folder):
        self.rows = sqlite3.connect(folder / FILE).execute
        self.facts = json.loads(self.rows("SELECT facts FROM studies").fetchone()[0])
        self.analysis = analyse(Store.open(folder), "tiny", partial=True).to_dict()

    def derive(self, number):
        return getattr(self, f"_{number['data-from']}")(number)

    def _metrics(self, number):
        name, _, label = number["data-metric"].partition(".")
        values = [
            self.rows(
                "SELECT value FROM metrics WHERE run=? AND split=? AND scoring=? AND name=? AND "
                "class=?", (run, number["data-split"], number["data-scoring"], name, label),
            ).fetchone()[0]
            for run in number["data-runs"].split()
        ]  # fmt: skip
        how = {"mean": statistics.fmean, "sd": statistics.stdev, "value": lambda v: v[0]}
        assert number["data-stat"] != "value" or len(values) == 1
        return how[number["data-stat"]](values)

    def _analysis(self, number):
        return follow(self.analysis, number["data-path"])

    def _facts(self, number):
        return follow(self.facts, number["data-path"])

    def _members(self, number):
        query = "SELECT count(*) FROM members m JOIN runs r ON r.run=m.run"
        if not number["data-state"]:
            return self.rows(query).fetchone()[0]
        return self.rows(f"{query} WHERE state=?", (number["data-state"],)).fetchone()[0]

    def _scored(self, number):
        return self._members({"data-state": "done"})

    def _runs(self, number):
        column = number["data-column"]
        values = [
            self.rows(f"SELECT {column} FROM runs WHERE run=?", (run,)).fetchone()[0]
            for run in number["data-runs"].split()
        ]
        return statistics.fmean(values) if number["data-stat"] == "mean" else sum(values)

    def _places(self, number):
        query = "SELECT facts FROM runs WHERE run=?"
        told = [self.rows(query, (run,)).fetchone()[0] for run in number["data-runs"].split()]
        found = [follow(json.loads(text), number["data-path"]) for text in told]
        share = number["data-stat"] == "share"
        return statistics.fmean(found) / (
            self.facts["splits"]["train"]["labelled_pixels"] if share else 1
        )

    def _pixels(self, number):
        names = [c["name"] for c in self.facts["classes"]]
        (run,) = self.rows("SELECT run FROM counts ORDER BY run").fetchone()
        tables = self.rows("SELECT counts FROM counts WHERE run=? AND split=? AND "
                           "reference='masks'", (run, number["data-split"])).fetchall()  # fmt: skip
        row = names.index(number["data-class"])
        return sum(sum(json.loads(counts)[row]) for (counts,) in tables)


def follow(content, path):
    for part in path.split("/"):
        content = content[int(part)] if isinstance(content, list) else content[part]
    return content


def check(number, truth):
    """Hold a number of the page against what it should be: its value, and the text it shows."""
    if truth is None:
        assert (number["value"], number["text"]) == ("", "–"), number
    elif isinstance(truth, str):
        assert number["value"] == truth
        assert number["text"].replace("−", "-").lower() == truth.lower()
    else:
        assert math.isclose(float(number["value"]), truth, rel_tol=1e-12, abs_tol=1e-12), number
        assert_shown(number["text"], truth)


def assert_shown(text, truth):
    """A text such as `−0.031`, `1,200`, `0.12 %`, `2.1 min` or `< 0.001` is a value, rounded."""
    found = re.fullmatch(r"(< )?([+−]?[\d,]*\.?\d*)( %| s| min| h)?", text)
    assert found, text
    shown = float(found[2].replace("−", "-").replace(",", ""))
    scale = {" %": 100, " min": 1 / 60, " h": 1 / 3600}.get(found[3], 1)
    if found[1]:
        assert 0 <= truth < shown
    else:
        digits = len(found[2].partition(".")[2])
        assert abs(shown - truth * scale) <= 0.5 * 10**-digits * (1 + 1e-9), (text, truth)


def render(folder, **which):
    store = Store.open(folder)
    page = read_page(store, *store.find(None))
    return page, render_html(write_document(page))


@pytest.fixture(scope="module")
def learned(finished, tmp_path_factory):
    """The finished study with curves and losses, as networks leave them, and their ranking."""
    folder = tmp_path_factory.mktemp("learned") / "out"
    shutil.copytree(finished, folder)
    database = sqlite3.connect(folder / FILE)
    generator = np.random.default_rng(0)
    for (run,) in database.execute("SELECT run FROM runs ORDER BY run").fetchall():
        for epoch in range(1, EPOCHS + 1):
            for name in ("loss", "mean_iou"):
                database.execute("INSERT INTO curves VALUES (?, '1', ?, ?, ?)",
                                 (run, epoch, name, float(generator.random())))  # fmt: skip
        (last,) = database.execute(
            "SELECT value FROM curves WHERE run=? AND epoch=? AND name='loss'", (run, EPOCHS)
        ).fetchone()
        database.execute("INSERT INTO metrics VALUES (?, 'train', 'training', 'loss', '', ?)",
                         (run, last))  # fmt: skip
    for column in ("spec", "frozen_spec"):
        (text,) = database.execute(f"SELECT {column} FROM studies").fetchone()
        content = json.loads(text)
        content["analysis"]["loss_ranking"] = "describe"
        database.execute(f"UPDATE studies SET {column}=?", (json.dumps(content),))
    database.commit()
    database.close()
    return folder


@pytest.fixture
def copy(learned, tmp_path):
    """A copy of the folder to be changed, and its database."""
    shutil.copytree(learned, tmp_path / "out")
    database = sqlite3.connect(tmp_path / "out" / FILE, isolation_level=None)
    yield tmp_path / "out", database
    database.close()


@pytest.fixture(scope="module")
def html(learned):
    return render(learned)[1]


def test_every_number_of_the_page_is_derived_from_the_database_anew(learned, html):
    page, database = Page(html), Database(learned)
    for number in page.numbers:
        check(number, database.derive(number))
    kinds = {number["data-from"] for number in page.numbers}
    assert kinds == {"metrics", "analysis", "facts", "members", "scored", "runs", "places",
                     "pixels"}  # fmt: skip
    sections = {number["section"] for number in page.numbers}
    assert {"Abstract", "Data and splits", "Labels", "Results", "Analysis", "All runs",
            "Other splits and scorings", "Threats to validity"} <= sections  # fmt: skip
    assert len(page.numbers) > 150


def test_no_result_stands_in_a_table_or_the_abstract_without_its_source(html):
    results = ("Abstract", "Results", "Analysis", "Other splits and scorings", "All runs")
    loose = [text for section, text in Page(html).rest
             if section in results and re.search(r"\d\.\d", text)]  # fmt: skip
    assert loose == ["; smallest effect of interest 0.02)."]


def test_effects_are_differences_of_the_metrics_that_the_database_holds(learned, html):
    database = Database(learned)
    (shown,) = [n for n in Page(html).numbers if n.get("data-path") == "verdicts/0/effect/estimate"
                and n["section"] == "Analysis"]  # fmt: skip
    rows = database.rows(
        "SELECT json_extract(levels, '$.\"points.n\"'), value FROM members m JOIN metrics x ON "
        "x.run=m.run WHERE split='test' AND scoring='standard' AND name='mean_iou'"
    ).fetchall()
    means = {n: statistics.fmean(v for level, v in rows if level == n) for n in ("2", "12")}
    assert math.isclose(float(shown["value"]), means["12"] - means["2"], abs_tol=1e-12)


def test_a_changed_metric_changes_the_page(copy):
    folder, database = copy
    (run,) = database.execute("SELECT run FROM members WHERE position=1 AND seed=1").fetchone()
    where = "run=? AND split='test' AND scoring='standard' AND name='mean_iou'"
    database.execute(f"UPDATE metrics SET value=0.123456 WHERE {where}", (run,))
    page, derived = Page(render(folder)[1]), Database(folder)
    for number in page.numbers:
        check(number, derived.derive(number))
    own = [n for n in page.numbers if n.get("data-stat") == "value" and n["data-runs"] == run]
    assert {n["section"]: n["text"] for n in own} == {"Results": "0.1235", "All runs": "0.1235"}


def test_changed_counts_and_times_change_the_page(copy, html):
    folder, database = copy
    database.execute("UPDATE runs SET fit_seconds=7200")
    rows = database.execute("SELECT run, image, counts FROM counts WHERE split='test' AND "
                            "reference='masks'").fetchall()  # fmt: skip
    for number, (run, image, counts) in enumerate(rows):
        table = np.array(json.loads(counts)) + number % 7 * np.eye(4, 5, dtype=int) * 40
        database.execute("UPDATE counts SET counts=? WHERE run=? AND image=? AND split='test'",
                         (json.dumps(table.tolist()), run, image))  # fmt: skip
    before, after = Page(html), Page(render(folder)[1])

    def ends(page):
        return [n["value"] for n in page.numbers if n.get("data-path", "").endswith("effect/low")]

    assert ends(before) != ends(after)
    times = [n["text"] for n in after.numbers if n.get("data-column") == "fit_seconds"]
    assert times.count("2.0 h") == 1 + 8
    assert times[0] == "16.0 h"


def test_a_page_holds_all_it_shows_and_asks_nobody(html):
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", html)
    assert "<script" not in html
    assert "default-src 'none'" in html
    assert html.count("<img") == html.count('alt="') > 5
    for text in ("Learning curves", "Does the loss rank the arms?", "Test image im", "wrong"):
        assert text in html


def test_html_and_pdf_are_written_together(learned, tmp_path, capsys):
    group.main(["study", "report", str(learned), "--out", str(tmp_path / "a"), "--json"],
               standalone_mode=False)  # fmt: skip
    said = json.loads(capsys.readouterr().out)
    pdf = (tmp_path / "a" / "report.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-")
    assert said["pdf"] == str(tmp_path / "a" / "report.pdf")
    assert said["verdicts"][0]["verdict"] in ("supported", "refuted", "undecided")
    again = write_report(learned, tmp_path / "b")
    assert again.pdf.read_bytes() == pdf
    assert again.html.read_bytes() == (tmp_path / "a" / "report.html").read_bytes()


def test_without_typst_a_line_says_so_and_the_page_is_made(learned, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "typst", None)
    monkeypatch.setattr(report, "write_document", small_document)
    group.main(["study", "report", str(learned), "--out", str(tmp_path / "r")],
               standalone_mode=False)  # fmt: skip
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "landvisor: no PDF was made: typst is not installed; run pip install 'landvisor[study]', "
        "or give --no-pdf"
    ]
    assert said.out.splitlines() == [str(tmp_path / "r" / "report.html")]
    assert sorted(p.name for p in (tmp_path / "r").iterdir()) == ["report.html", "run.json"]


def small_document(page):
    from landvisor.report.document import Document

    return Document("report", page.study, "", (), ())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--study", "tni"], "unknown study 'tni'; the nearest valid one is 'tiny'"),
        (["--variant", "full"], "name one of the studies of the folder: tiny"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(learned, tmp_path, capsys, words, message):
    with pytest.raises(SystemExit) as stopped:
        main(["study", "report", str(learned), "--out", str(tmp_path / "r"), *words])
    assert stopped.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"landvisor: {message}")
    assert not (tmp_path / "r").exists()


def test_a_report_is_not_overwritten_unasked(learned, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "write_document", small_document)
    write_report(learned, tmp_path / "r", pdf=False)
    with pytest.raises(OSError, match="overwrite"):
        write_report(learned, tmp_path / "r", pdf=False)
    assert write_report(learned, tmp_path / "r", pdf=False, overwrite=True).pdf is None


def test_failed_runs_and_changed_claims_are_told_and_do_not_stop_a_report(copy):
    folder, database = copy
    arm = "points.n=12, net.model=forest"
    database.execute("UPDATE runs SET state='failed', error='MemoryError: no room <here>' WHERE "
                     "run IN (SELECT run FROM members WHERE arm=?)", (arm,))  # fmt: skip
    (frozen,) = database.execute("SELECT frozen_spec FROM studies").fetchone()
    changed = json.loads(frozen)
    changed["hypothesis"][0]["smallest"] = 0.01
    database.execute("INSERT INTO changes VALUES ('tiny', '', 1, 1.8e9, 'x', ?)",
                     (json.dumps(changed),))  # fmt: skip
    database.execute("UPDATE studies SET spec=json_set(spec, '$.hypothesis[0].smallest', 0.01)")
    page, text = render(folder)
    shown = Page(text)
    derived = Database(folder)
    for number in shown.numbers:
        check(number, derived.derive(number))
    assert "Failed runs" in text
    assert text.count("MemoryError: no room &lt;here&gt;") == 2
    assert "2 runs of 8 failed" in text
    assert f"arm &#39;{arm}&#39; has no finished run" in text
    assert page.analysis["verdicts"][0]["verdict"] == "undecided"
    assert "The claim or its rule was changed after the first run." in text
    assert "smallest 0.02" in text
    assert "smallest 0.01" in text
    assert "Missing runs." in text


def test_pictures_that_are_gone_are_left_out(copy):
    folder, _ = copy
    shutil.rmtree(folder / "runs")
    assert "Test image" not in render(folder)[1]
