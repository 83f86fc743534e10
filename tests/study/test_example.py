"""The page on studies is true: its data are made, its study runs, its commands work."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from landvisor.cli.main import group
from landvisor.study.read import read_study

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "run-a-study.md").read_text(encoding="utf-8")
STUDIES = sorted((ROOT / "studies").glob("*.toml"))


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_shipped_studies_can_be_read_whole_and_full(path):
    study = read_study(path)
    assert study.spec.name == path.stem
    if "full" in tomllib.loads(path.read_text(encoding="utf-8")).get("variant", {}):
        assert read_study(path, variant="full").variant == "full"


def test_the_study_on_the_page_is_the_shipped_one():
    (shown,) = (tomllib.loads(text) for text in blocks("toml"))
    shipped = tomllib.loads((ROOT / "studies" / "example.toml").read_text(encoding="utf-8"))
    for key, value in shown.items():
        if key != "hypothesis":
            assert shipped[key] == value
    assert shown["hypothesis"][0] == shipped["hypothesis"][0]


def test_the_page_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_data, ask = blocks("python")
    exec(compile(make_data, "data", "exec"), {"__name__": "example"})
    commands = [line for line in PAGE.splitlines() if line.startswith("landvisor study ")]
    assert len(commands) == 5
    said = []
    for line in commands:
        words = line.replace("studies/", f"{ROOT}/studies/").split()[1:]
        group.main(words, prog_name="landvisor", standalone_mode=False)
        said.append(capsys.readouterr().out)
    assert said[0] == "results: 12 done\n"
    assert said[1].count(" done ") == 12
    assert "effect of points.n on mean_iou, test" in said[2]
    assert "undecided: The filter bank, which sees texture" in said[2]
    assert "once corrected for all hypotheses" in said[2]
    assert said[3].splitlines()[1].startswith("example")
    assert said[4].split() == ["report/report.html", "report/report.pdf"]
    assert "coordinates of EPSG:" in Path("report/report.html").read_text(encoding="utf-8")
    exec(compile(ask, "ask", "exec"), {"__name__": "example"})
    assert capsys.readouterr().out.startswith("undecided net.model=bank - net.model=forest 0.0")
    group.main(["study", "analyse", "results", "--json"], standalone_mode=False)
    found = json.loads(capsys.readouterr().out)
    assert found["runs"] == {"done": 12}
    assert found["verdicts"][0]["name"] == "texture"
