"""What a study file may say, and what it is told where it says something else."""

import pytest

from landvisor.errors import LandvisorError, StudyError
from landvisor.study.read import read_study


def merge(content, path, value):
    *parents, last = path
    inner = content
    for parent in parents:
        inner = inner[parent] if isinstance(inner, list) else inner.setdefault(parent, {})
    inner[last] = value
    return content


def test_the_example_is_a_study(make_study, content):
    study = make_study(content)
    assert [arm.name for arm in study.design.arms] == [
        "points.n=2, net.model=forest", "points.n=2, net.model=bank",
        "points.n=12, net.model=forest", "points.n=12, net.model=bank",
    ]  # fmt: skip
    assert study.design.arms[3].choices.points.n == 12
    assert study.design.arms[3].choices.recipe.net.model == "bank"
    assert study.spec.seeds == (0, 1)


def test_a_factor_is_written_with_or_without_quotes(make_study, content):
    nested = make_study(content)
    quoted = {"points.n": [2, 12], "net.model": ["forest", "bank"]}
    assert make_study(content, factors=quoted).design == nested.design


REFUSED = [
    (("factors", "points", "jiter"), [1, 2], "'points.jiter'.*valid one is 'points.jitter'"),
    (("factors", "fit.gama"), [0, 2], "'fit.gama'.*nearest valid one is 'fit.gamma'"),
    (("factors", "seed"), [0, 1], "'seed' cannot be a factor: every replicate has its own"),
    (("factors", "data.subset.test"), [1, 2], "decides which pixels are scored"),
    (("factors", "predict.backend"), ["torch", "auto"], "changes nothing in a study"),
    (("factors", "fit.gamma"), [2.0], "has 1 level; it needs two"),
    (("factors", "fit.gamma"), 2.0, "give a list of values"),
    (("factors", "fit.gamma"), [2, 2], "has a level twice"),
    (("factors", "fit.lr"), [0.1, -1], "arm .*'fit.lr' has -1"),
    (("factors", "other"), {"a": {"points.n": 3}, "b": {"points.n": 4}}, "set 'points.n'"),
    (("factors", "other"), {"a": {"fit.gamma": 0}, "b": {"fit.gamma": 0.0}}, "are told the same"),
    (("hypothesis", 0, "metric"), "mean_ious", "'mean_ious'; the nearest valid one is 'mean_iou'"),
    (("hypothesis", 0, "metric"), "loss", "compares values of a loss.*another unit"),
    (("hypothesis", 0, "metric"), "val.loss", "compares values of a loss"),
    (("hypothesis", 0, "contrast", "this"), {"points.n": 13}, "'13'; the nearest .* '12'"),
    (("hypothesis", 0, "contrast", "this"), {"points.m": 12}, "unknown factor 'points.m'"),
    (("hypothesis", 0, "contrast", "than"), {"net.model": "bank"}, "not balanced"),
    (("hypothesis", 0, "contrast", "than"), {"points.n": 12}, "same levels"),
    (("hypothesis", 0, "contrast", "trend"), "points.n", "leave one out"),
    (("hypothesis", 0, "scoring"), "standrd", "nearest valid one is 'standard'"),
    (("hypothesis", 0, "direction"), "up", "'hypothesis.0.direction' has 'up'"),
    (("hypothesis", 0, "smalest"), 1, "nearest valid one is 'hypothesis.0.smallest'"),
    (("analysis", "metrics"), ["mean_iou", "train_loss"], "analysis.metrics compares values"),
    (("analysis", "test"), "t", "'analysis.test' has 't'"),
    (("replicates",), 1, "one replicate"),
    (("replicates",), [1, 1], "each once"),
    (("design",), "half", "study key 'design' has 'half'"),
    (("design",), "paired", r"\[arms\]"),
    (("dta",), {}, "unknown study key 'dta'; the nearest valid one is 'data'"),
    (("data", "subset"), {"trian": 2}, "nearest valid one is 'data.subset.train'"),
    (("data", "arrays"), ["a.npz"], "one of both"),
    (("recipe", "seed"), 3, "every replicate"),
    (("recipe", "assess"), {"folds": 2}, "changes nothing"),
    (("recipe", "fit"), {"lrr": 2}, "nearest valid one is 'fit.lr'"),
    (("points", "per"), "split", None),
    (("points", "strategy"), "random", None),
    (("scoring", "standard"), {}, "every study's own"),
    (("scoring", "l"), {"reference": "linked", "link": {"area": "none"}}, "links nothing"),
    (("scoring", "l"), {"reference": "points", "border": 2}, "set border 0"),
    (("scoring", "l"), {"reference": "points", "points": {"strategy": "masks"}}, "at points"),
    (("name",), "a b", "study key 'name'"),
    (("variant", "full"), {"dta": {}}, "unknown study key 'dta'"),
]


@pytest.mark.parametrize(("path", "value", "said"), REFUSED)
def test_what_makes_no_study_is_refused_in_one_line(make_study, content, path, value, said):
    changed = merge(content, path, value)
    if said is None:
        make_study(changed)
        return
    with pytest.raises(LandvisorError, match=said) as error:
        make_study(changed)
    assert "\n" not in str(error.value)


def test_points_per_split_go_with_points_per_class_alone(make_study, content):
    content["points"] = {"strategy": "grid", "per": "split"}
    with pytest.raises(StudyError, match="goes with strategy 'per_class'"):
        make_study(content)


def test_a_variant_overrides_what_it_names(collection, tmp_path):
    file = tmp_path / "small.toml"
    file.write_text(
        """
purpose = "Show variants."
factors.points.n = [2, 4]
replicates = 2
data = { collection = "collection.csv", subset = { train = 2 } }

[[hypothesis]]
name = "n"
text = "More is better."
contrast = { this = { points.n = 4 }, than = { points.n = 2 } }
smallest = 0.01

[variant.full]
replicates = 5
data.subset.train = 4
factors.points.n = [2, 4, 8]
"""
    )
    small, full = read_study(file), read_study(file, variant="full")
    assert small.spec.name == "small"
    assert (small.spec.seeds, full.spec.seeds) == ((0, 1), (0, 1, 2, 3, 4))
    assert full.spec.data.subset.train == 4
    assert full.spec.data.collection == "collection.csv"
    assert (len(small.design.arms), len(full.design.arms)) == (2, 3)
    with pytest.raises(StudyError, match="unknown variant 'ful'; the nearest valid one is 'full'"):
        read_study(file, variant="ful")


def test_a_file_that_is_none_is_told(tmp_path):
    with pytest.raises(StudyError, match="no study at"):
        read_study(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("a = ")
    with pytest.raises(StudyError, match="is not TOML"):
        read_study(tmp_path / "bad.toml")
    (tmp_path / "bare.toml").write_text("purpose = 'p'")
    with pytest.raises(StudyError, match="is missing; add it"):
        read_study(tmp_path / "bare.toml")


def test_one_at_a_time_varies_a_factor_with_all_others_at_their_first_level(make_study, content):
    study = make_study(content, design="one-at-a-time")
    assert [arm.levels for arm in study.design.arms] == [
        {"points.n": "2", "net.model": "forest"},
        {"points.n": "12", "net.model": "forest"},
        {"points.n": "2", "net.model": "bank"},
    ]
    assert [arm.name for arm in study.design.arms] == ["base", "points.n=12", "net.model=bank"]


def test_a_paired_design_compares_named_settings(make_study, content):
    del content["factors"]
    arms = {"plain": {"fit": {"weight_decay": 0}}, "regular": {"fit.weight_decay": 0.1}}
    content["hypothesis"][0]["contrast"] = {"this": {"arm": "regular"}, "than": {"arm": "plain"}}
    study = make_study(content, design="paired", arms=arms)
    assert [arm.choices.recipe.fit.weight_decay for arm in study.design.arms] == [0.0, 0.1]


def test_bundles_of_settings_are_levels(make_study, content):
    content["factors"]["regularisation"] = {
        "off": {"fit": {"weight_decay": 0, "clip": 0}},
        "on": {"fit.weight_decay": 0.01, "fit.clip": 1.0},
    }
    arms = make_study(content).design.arms
    assert len(arms) == 8
    assert {(a.levels["regularisation"], a.choices.recipe.fit.clip) for a in arms} == {
        ("off", 0.0), ("on", 1.0),
    }  # fmt: skip
