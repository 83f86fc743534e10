"""Tables of the benchmarks page are what their commands lay out from the measured runs."""

import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
KNOWN = re.findall(r"^python (benchmarks/\S+ .*--known.*)$", PAGE, flags=re.MULTILINE)


def test_the_page_names_each_script_that_lays_known_runs_out():
    scripts = {command.split()[0] for command in KNOWN}
    assert scripts == {
        f"benchmarks/{name}.py" for name in ("ladder", "targets", "label_efficiency")
    }


@pytest.mark.parametrize("command", KNOWN)
def test_tables_of_known_runs_are_in_the_page(monkeypatch, capsys, command):
    script, *options = shlex.split(re.sub(r"--figure \S+", "", command))
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.setattr(sys, "argv", [script, *options])
    runpy.run_path(script, run_name="__main__")
    printed = capsys.readouterr().out.splitlines()
    kept = [line for line in printed if line.startswith(("| ", "- "))]
    assert len(kept) > 3
    assert [line for line in kept if line not in PAGE.splitlines()] == []
