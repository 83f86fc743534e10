"""A study that is written as TOML is the same study when it is read."""

import tomllib
from pathlib import Path

import pytest

from landvisor.study.read import parse_study, read_study
from landvisor.study.toml_text import write_toml

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.toml"))


def read_again(spec, folder):
    return parse_study(tomllib.loads(write_toml(spec)), folder=folder).spec


def test_a_study_comes_back_with_every_strange_value(content, make_study, tmp_path):
    content["purpose"] = 'Lines\nand "quotes", \\ and ü\x7f'
    content["scoring"] = {"a border": {"border": 2}}
    content["report"] = {"discussion": "One.\n\nTwo."}
    content["data"]["test_gain"] = 1e-05
    both = {"off": {"fit.lr": 0.1}, "on x": {"fit": {"lr": 0.2}}}
    content["factors"] = {"points.n": [2, 12], "both": both}
    spec = make_study(content).spec
    assert read_again(spec, tmp_path) == spec


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_shipped_studies_come_back(path, tmp_path):
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    for variant in ("", *tables.get("variant", {})):
        spec = read_study(path, variant=variant).spec
        assert read_again(spec, tmp_path) == spec
