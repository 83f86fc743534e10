"""Pictures are of test images that say something, from all over the split."""

import shutil

import numpy as np
import pytest

from landvisor.geo.handles import open_quietly
from landvisor.study.plan import make_plan

TESTED = [f"{number:02d}" for number in range(9, 15)]


@pytest.fixture
def choose(collection, content, make_study, tmp_path):
    def choose(count, empty=()):
        base = tmp_path / "base"
        shutil.copytree(collection, base)
        for name in empty:
            path = base / f"mask{name}.png"
            with open_quietly(path) as mask:
                profile, data = mask.profile, np.zeros_like(mask.read())
            data[:, 0, 0] = 1  # the rest is sky, which nobody scores
            with open_quietly(path, "w", **profile) as target:
                target.write(data)
        plan = make_plan(
            make_study(content, keep={"examples": count}), base=base, home=tmp_path / "out"
        )
        assert {run.job.examples for run in plan.runs} == {tuple(plan.facts["examples"])}
        return [name.removeprefix("im") for name in plan.facts["examples"]]

    return choose


def test_nearly_empty_masks_are_not_shown(choose):
    found = choose(2, empty=TESTED[:3])
    assert len(found) == 2
    assert set(found) <= set(TESTED[3:])


def test_as_many_are_shown_as_there_are(choose):
    assert set(choose(9)) <= set(TESTED)


def test_none_are_shown_where_none_are_asked_for(choose):
    assert choose(0) == []
