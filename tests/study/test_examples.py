"""Pictures are of test images that say something, from all over the split."""

import shutil

import numpy as np
import pytest

from landvisor.geo.handles import open_quietly
from landvisor.study.plan import make_plan

TESTED = [f"{number:02d}" for number in range(9, 15)]


@pytest.fixture
def choose(collection, content, make_study, tmp_path):
    """Name the images that a study shows, its test masks painted anew."""

    def choose(count, repaint=lambda name, mask: mask):
        base = tmp_path / "base"
        shutil.copytree(collection, base)
        for name in TESTED:
            with open_quietly(base / f"mask{name}.png") as source:
                profile, mask = source.profile, source.read()
            with open_quietly(base / f"mask{name}.png", "w", **profile) as target:
                target.write(repaint(name, mask))
        study = make_study(content, keep={"examples": count})
        plan = make_plan(study, base=base, home=tmp_path / "out")
        assert {run.job.examples for run in plan.runs} == {tuple(plan.facts["examples"])}
        return [name.removeprefix("im") for name in plan.facts["examples"]]

    return choose


def test_nearly_empty_masks_are_not_shown(choose):
    def empty(name, mask):
        return mask * (np.arange(mask[0].size).reshape(mask.shape) < 9) if name < "12" else mask

    found = choose(2, empty)  # what is 0 is sky, which nobody scores
    assert len(found) == 2
    assert set(found) <= {"12", "13", "14"}


def test_images_of_several_classes_are_shown(choose):
    def flood(name, mask):
        whole = np.maximum(mask, 1)
        return whole if name in ("10", "13") else np.ones_like(mask)

    assert choose(2, flood) == ["10", "13"]


def test_a_few_pixels_are_no_class(choose):
    def flood(name, mask):
        whole = np.full_like(mask, 3)
        whole[0, 0, :5] = [1, 2, 1, 2, 1] if name == "09" else 3
        whole[0, :5] = 2 if name == "14" else 3
        return whole

    assert choose(1, flood) == ["14"]


def test_alike_images_come_from_all_over_the_split(choose):
    assert choose(3, lambda _, mask: np.ones_like(mask)) == ["10", "12", "14"]


def test_as_many_are_shown_as_there_are(choose):
    assert set(choose(9)) <= set(TESTED)


def test_none_are_shown_where_none_are_asked_for(choose):
    assert choose(0) == []
