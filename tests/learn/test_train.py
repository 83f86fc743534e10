from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from landvisor.accuracy.buffer import Sight
from landvisor.card import Card, card_classes
from landvisor.errors import AssessmentError, RecipeError
from landvisor.geo.legend import legend_from_names
from landvisor.geo.locate import Losses
from landvisor.geo.places import make_places
from landvisor.geo.scene import scene_from_array
from landvisor.labels.material import Material
from landvisor.learn import outer, train
from landvisor.learn.ensemble import list_members
from landvisor.learn.model import Model
from landvisor.recipe import Recipe

LEGEND = legend_from_names(["grass", "water"])


class SpyLearner:
    """Answers with the true class and remembers which places it was shown for what."""

    def __init__(self):
        self.fits, self.asked, self.seeds = [], [], []

    def fit(self, train, val, *, seed):
        held = set() if val is None else set(val.index.tolist())
        self.fits.append((set(train.index.tolist()), held))
        self.seeds.append(seed)
        card = Card(
            kind="instant", classes=card_classes(LEGEND), bands=("a",), dtype="uint8", mean=(0,),
            std=(1,), recipe=Recipe(), validation={"oa": 1.0},
        )  # fmt: skip
        return Model(card, SimpleNamespace(tensors=dict))

    def ask(self, model, places):
        self.asked.append(set(places.index.tolist()))
        return np.eye(2, dtype=np.float32)[places.label - 1][None]


@pytest.fixture
def material():
    generator = np.random.default_rng(0)
    places = make_places(
        generator.uniform(0, 199, (80, 2)),
        generator.integers(1, 3, 80),
        group=np.repeat(np.arange(40), 2),
    )
    scene = scene_from_array(np.ones((1, 200, 200), dtype=np.uint8))
    nothing = places.take(np.zeros(80, dtype=bool))
    return Material((scene,), (None,), ("scene a",), LEGEND, places, nothing, Losses(), ())


def test_members_have_seeds_and_held_out_places_of_their_own(material):
    learner = SpyLearner()
    three = Recipe().with_values({"fit.members": 3, "seed": 5})
    model = train.fit_material(learner, material, three)
    assert learner.seeds == [5, 6, 7]
    assert len({frozenset(held) for _, held in learner.fits}) == 3
    assert all(len(seen) + len(held) == 80 and not seen & held for seen, held in learner.fits)
    assert len(list_members(model)) == 3
    alone = SpyLearner()
    train.fit_material(alone, material, three.with_values({"fit.members": 1}))
    assert alone.fits == learner.fits[:1]


def test_each_fold_is_asked_of_all_members_none_of_which_saw_it(material):
    learner = SpyLearner()
    stated = outer.cross_validate(learner, material, Recipe().with_values({"fit.members": 2}))
    assert len(learner.fits) == len(learner.asked) == 10
    for (seen, held), asked in zip(learner.fits, learner.asked, strict=True):
        assert not (seen | held) & asked
    assert stated.to_dict()["rates"]["oa"] == 1


def test_members_that_a_split_validates_differ_by_seed_alone(material):
    learner = SpyLearner()
    two = replace(material, scenes=material.scenes * 2, splits=("train", "val"),
                  groups=("scene a", "scene b"),
                  places=replace(material.places, scene=np.arange(80) % 2))  # fmt: skip
    recipe = Recipe().with_values({"fit.members": 2})
    train.fit_material(learner, two, recipe, val_split="val")
    assert learner.fits[0] == learner.fits[1]
    assert learner.seeds == [0, 1]


def test_no_fold_is_asked_about_places_that_any_choice_has_seen(material):
    learner = SpyLearner()
    stated = outer.cross_validate(learner, material, Recipe())
    assert len(learner.fits) == len(learner.asked) == 5
    for (seen, held), asked in zip(learner.fits, learner.asked, strict=True):
        assert min(len(seen), len(held), len(asked)) > 0
        assert not (seen | held) & asked
        assert not seen & held
    assert set.union(*learner.asked) == set(range(80))
    assert stated.confusion.metrics()["oa"] == 1
    assert "at labelled places" in stated.statement


def test_no_place_within_the_buffer_is_learned_from(material):
    learner = SpyLearner()
    stated = outer.cross_validate(learner, material, Recipe(), sight=Sight(25.0, "a test"))
    apart, coords = stated.separation, material.places.coords
    assert apart.wanted >= 25
    assert 0 < apart.dropped < 0.4
    assert (apart.taken < apart.wanted) == apart.capped
    for (seen, held), asked in zip(learner.fits, learner.asked, strict=True):
        learned, tested = sorted(seen | held), sorted(asked)
        offset = coords[learned][:, None] - coords[tested][None]
        assert np.hypot(*offset.transpose(2, 0, 1)).min() >= apart.taken - 1e-9
    assert any("buffer" in note for note in stated.notes)


def test_a_buffer_of_nothing_learns_from_all_that_is_not_held_out(material):
    learner = SpyLearner()
    stated = outer.cross_validate(learner, material, Recipe().with_values({"assess.buffer": 0}))
    assert stated.separation.taken == stated.separation.dropped == 0
    for (seen, held), asked in zip(learner.fits, learner.asked, strict=True):
        assert len(seen | held | asked) == 80


def test_scenes_that_are_held_out_by_name_are_left_out_one_by_one(material):
    learner = SpyLearner()
    three = replace(material, scenes=material.scenes * 3, splits=(None,) * 3, groups=("",) * 3,
                    places=replace(material.places, scene=np.arange(80) // 2 % 3))  # fmt: skip
    recipe = Recipe().with_values({"assess.hold_out": "scenes"})
    stated = outer.cross_validate(learner, three, recipe)
    assert [len({i // 2 % 3 for i in asked}) for asked in learner.asked] == [1, 1, 1]
    for seen, held in learner.fits:  # validation holds out a scene, too
        assert len({i // 2 % 3 for i in held}) == 1
        assert not {i // 2 % 3 for i in seen} & {i // 2 % 3 for i in held}
    assert stated.statement == "at labelled places, 3 outer spatial folds"


def test_random_folds_are_called_so_and_warned_of(material):
    recipe = Recipe().with_values({"assess.hold_out": "random"})
    stated = outer.cross_validate(SpyLearner(), material, recipe)
    assert stated.statement == "at labelled places, 5 outer random folds"
    assert any(note.startswith("WARNING: places were held out at random") for note in stated.notes)


def test_what_cannot_validate_by_its_name_is_refused_before_a_fit(material):
    learner, bare = SpyLearner(), replace(material, groups=("",))
    recipe = Recipe().with_values({"assess.hold_out": "groups"})
    with pytest.raises(AssessmentError, match="no scene names a group"):
        train.fit_material(learner, bare, recipe)
    assert learner.fits == []


def test_calibration_is_that_of_the_probabilities_that_the_map_would_show(material):
    class Unsure(SpyLearner):
        """Gives 0.6 to the true class, by models of temperature 0.5."""

        def fit(self, train, val, *, seed):
            model = super().fit(train, val, seed=seed)
            return replace(model, card=model.card.model_copy(update={"temperature": 0.5}))

        def ask(self, model, places):
            return 0.4 + 0.2 * super().ask(model, places)

    sharpened = 0.6**2 / (0.6**2 + 0.4**2)
    for calibrate, told in ((True, sharpened), (False, 0.6)):
        recipe = Recipe().with_values({"predict.calibrate": calibrate})
        found = outer.cross_validate(Unsure(), material, recipe).calibration
        assert found.confidence == pytest.approx(told)
        assert found.accuracy == 1
        assert found.temperature == pytest.approx(0.5 if calibrate else 1)
        assert set(found.auroc) == {"entropy", "margin"}
    two = Recipe().with_values({"fit.members": 2})
    assert "disagreement" in outer.cross_validate(Unsure(), material, two).calibration.auroc


def test_folds_and_validation_part_no_feature(material):
    learner = SpyLearner()
    outer.cross_validate(learner, material, Recipe())
    group = material.places.group
    for seen, held in learner.fits:
        assert not {group[i] for i in seen} & {group[i] for i in held}


def test_a_named_validation_split_is_used_whole(material):
    learner = SpyLearner()
    scenes = material.scenes * 2
    places = material.places
    halves = (np.arange(80) % 2).astype(np.int64)
    both = Material(
        scenes, ("train", "val"), ("a", "b"), LEGEND,
        type(places)(halves, *(getattr(places, n) for n in
                     ("coords", "label", "weight", "source", "group", "index"))),
        places, Losses(), (),
    )  # fmt: skip
    model = train.fit_material(learner, both, Recipe(), val_split="val")
    assert learner.fits[0] == (set(range(0, 80, 2)), set(range(1, 80, 2)))
    assert "val" in model.card.validation["rule"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"net.model": "forest", "teacher.source": "instant"}, "no teacher can teach"),
        ({"net.model": "unet", "teacher.source": "both", "fit.average": 0}, "no averaged weights"),
    ],
)
def test_a_teacher_that_could_do_nothing_is_refused(values, said):
    with pytest.raises(RecipeError, match=said):
        train.check_teacher(Recipe().with_values(values))


def test_a_teacher_with_a_network_is_not_refused():
    train.check_teacher(Recipe().with_values({"net.model": "fpn", "teacher.source": "average"}))
    train.check_teacher(Recipe())
