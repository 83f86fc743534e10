"""Imagery without labels is seen by a teacher, and by nothing else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from landvisor.errors import CollectionError, RecipeError
from landvisor.geo.legend import legend_from_ids
from landvisor.geo.places import make_places
from landvisor.geo.radiometry import measure_radiometry
from landvisor.geo.scene import scene_from_array
from landvisor.learn.job import Job
from landvisor.learn.network import NetworkLearner, Support
from landvisor.learn.unlabelled import open_unlabelled
from landvisor.options import Options
from landvisor.recipe import Recipe

LEGEND = legend_from_ids((1, 2))
TAUGHT = {"net.model": "unet", "teacher.source": "average", "teacher.unlabelled": 0.5}


pytestmark = pytest.mark.usefixtures("one_thread")


def make_scene(shape=(64, 64), seed=0):
    data = np.random.default_rng(seed).integers(1, 255, (3, *shape)).astype(np.uint8)
    return scene_from_array(data, bands=("red", "green", "blue"))


def make_job(folder, *, extra=(), shape=(64, 64), **values):
    scenes = (make_scene(shape),)
    usual = {
        "net.model": "one_conv", "fit.chip": 32, "fit.epochs": 2, "fit.steps": 2,
        "fit.batch_size": 2, "fit.precision": "fp32", "instant.trees": 5, "instant.sigmas": [1.0],
        "predict.window": 64, "predict.overlap": 16,
    }  # fmt: skip
    recipe = Recipe().with_values({**usual, **values})
    return Job(scenes, LEGEND, measure_radiometry(scenes), recipe, folder, unlabelled=tuple(extra))


def draw_places(side=20):
    coords = np.random.default_rng(0).uniform(0, side, (12, 2))
    return make_places(coords, np.tile([1, 2], 6))


def weights_of(job):
    return NetworkLearner(job).fit(draw_places(), None, seed=0).predictor.tensors()


def differ(first, second):
    return any(not np.array_equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("source", ["average", "instant", "both"])
def test_unlabelled_imagery_teaches(tmp_path, source):
    options = {"teacher.source": source, "teacher.unlabelled": 0.5, "teacher.threshold": 0.2,
               "teacher.ramp": 0.0}  # fmt: skip
    alone = weights_of(make_job(tmp_path / "a", **{**options, "teacher.unlabelled": 0.0}))
    extra = [make_scene((40, 60), seed=1)]
    with_extra = weights_of(make_job(tmp_path / "b", extra=extra, **options))
    other = weights_of(make_job(tmp_path / "c", extra=[make_scene((40, 60), seed=2)], **options))
    assert differ(alone, with_extra)
    assert differ(with_extra, other)


def test_without_a_teacher_nothing_changes(tmp_path):
    plain = weights_of(make_job(tmp_path / "a"))
    extra = [make_scene((40, 60), seed=1)]
    shared = weights_of(make_job(tmp_path / "b", extra=extra, **{"teacher.unlabelled": 0.5}))
    assert not differ(plain, shared)


def test_a_guide_covers_all_regions_and_the_card_names_the_scenes(tmp_path):
    options = {"teacher.source": "instant", "teacher.unlabelled": 0.25}
    extra = [replace(make_scene((40, 60), seed=1), name="more")]
    job = make_job(tmp_path, extra=extra, shape=(200, 200), **options)
    learner = NetworkLearner(job)
    model = learner.fit(draw_places(), None, seed=0)
    assert model.card.training["unlabelled_scenes"] == ["more"]
    scaling = learner._scaling(learner._loaded)
    chips = learner._chips(draw_places(), scaling, stride=1, seed=0, support=Support())
    assert {region.scene for region in chips.material.bare} == {0, 1}
    assert set(chips.lesson.guide) == set(chips.material.everywhere)
    bare = chips[3]
    assert len(bare.targets) == 0
    assert bare.guide.shape == (2, 32, 32)
    np.testing.assert_allclose(bare.guide.sum(axis=0)[bare.valid], 1, atol=1e-2)


def test_batches_without_any_labelled_place_still_train(tmp_path):
    options = {"teacher.source": "instant", "teacher.unlabelled": 0.99, "fit.batch_size": 1}
    plain = {**options, "teacher.weight": 0.0}
    extra = [make_scene((40, 60), seed=1)]
    taught = weights_of(make_job(tmp_path / "a", extra=extra, **options))
    assert all(np.isfinite(values).all() for values in taught.values())
    assert differ(taught, weights_of(make_job(tmp_path / "b", extra=extra, **plain)))


def write(folder, make_tif, name="more.tif", bands=3, dtype=np.uint8):
    return make_tif(f"{folder}/{name}", np.ones((bands, 20, 20), dtype=dtype))


def test_a_folder_and_a_file_are_opened_and_nothing_is_nothing(make_tif):
    recipe, scenes = Recipe().with_values(TAUGHT), [make_scene()]
    file = write("extra", make_tif)
    write("extra", make_tif, "other.tif")
    assert open_unlabelled(Options(), scenes, recipe=recipe) == ()
    found = open_unlabelled(Options(unlabelled=file.parent), scenes, recipe=recipe)
    assert [scene.name for scene in found] == ["more", "other"]
    assert len(open_unlabelled(Options(unlabelled=file), scenes, recipe=recipe)) == 1


def test_scenes_of_split_test_are_not_seen(make_tif):
    recipe, scenes = Recipe().with_values(TAUGHT), [make_scene()]
    folder = write("extra", make_tif).parent
    write("extra", make_tif, "other.tif")
    table = folder / "collection.csv"
    table.write_text("image,split\nmore.tif,test\nother.tif,\n")
    found = open_unlabelled(Options(unlabelled=folder), scenes, recipe=recipe)
    assert [scene.name for scene in found] == ["other"]
    table.write_text("image,split\nmore.tif,test\n")
    with pytest.raises(CollectionError, match="all 1 scenes of --unlabelled have split 'test'"):
        open_unlabelled(Options(unlabelled=folder), scenes, recipe=recipe)


@pytest.mark.parametrize(
    ("bands", "dtype", "said"),
    [(2, np.uint8, "has the bands"), (3, np.uint16, "holds uint16 and 'array' uint8")],
)
def test_scenes_that_do_not_fit_are_refused(make_tif, bands, dtype, said):
    file = write("extra", make_tif, bands=bands, dtype=dtype)
    with pytest.raises(CollectionError, match=said):
        open_unlabelled(
            Options(unlabelled=file), [make_scene()], recipe=Recipe().with_values(TAUGHT)
        )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"net.model": "instant"}, "--unlabelled is for networks"),
        ({"teacher.source": "none"}, "teacher.source 'none'"),
        ({"teacher.weight": 0.0}, "teacher.weight 0"),
        ({"teacher.unlabelled": 0.0}, "teacher.unlabelled 0,"),
    ],
)
def test_imagery_that_nothing_would_see_is_refused(values, said):
    with pytest.raises(RecipeError, match=said):
        open_unlabelled(
            Options(unlabelled=Path("any.tif")),
            [make_scene()],
            recipe=Recipe().with_values({**TAUGHT, **values}),
        )
