import numpy as np
import pytest

from landvisor.geo.legend import legend_from_ids
from landvisor.geo.places import make_places
from landvisor.geo.radiometry import measure_radiometry
from landvisor.geo.scene import scene_from_array
from landvisor.geo.tiling import full_window
from landvisor.learn.guide import cell_shape, instant_job, make_guide
from landvisor.learn.instant import InstantLearner
from landvisor.learn.job import Job
from landvisor.learn.regions import Region, RegionCache
from landvisor.recipe import Recipe

LEGEND = legend_from_ids((1, 2))


def make_job(folder, scenes, **net):
    values = {"instant.trees": 20, "instant.sigmas": [1.0], "predict.window": 64}
    values |= {"net.model": "unet", "net.encoder_weights": "none"}
    values |= {f"net.{key}": value for key, value in net.items()}
    recipe = Recipe().with_values({**values, "predict.overlap": 16})
    return Job(tuple(scenes), LEGEND, measure_radiometry(tuple(scenes)), recipe, folder)


def make_halves(rows=41, cols=50, hole=False):
    """A dark half and a bright half, with noise."""
    noise = np.random.default_rng(0).normal(0, 10, (3, rows, cols))
    image = np.full((3, rows, cols), 60.0)
    image[:, :, cols // 2 :] = 180
    data = (image + noise).clip(1, 255).astype(np.uint8)
    if hole:
        data[:, :10, :10] = 0
    return scene_from_array(data, bands=("red", "green", "blue"), nodata=0)


def draw_places(count, shape, cols, seed=0):
    generator = np.random.default_rng(seed)
    coords = generator.uniform(11, np.array(shape) - 1, (count, 2))
    return make_places(coords, np.where(coords[:, 1] < cols, 1, 2))


def guide_of(tmp_path, scene, places):
    learner = InstantLearner(instant_job(make_job(tmp_path, [scene])))
    region = Region(0, full_window(scene.shape))
    cache = RegionCache([scene], tmp_path / "chips")
    made = make_guide(learner, places, [region], cache=cache, folder=tmp_path / "guide", seed=0)
    return made[region]


def test_a_guide_says_what_pixels_are_and_nothing_where_there_is_no_data(tmp_path):
    scene = make_halves(hole=True)
    found = guide_of(tmp_path, scene, draw_places(40, scene.shape, 24.5))
    assert found.shape == (2, *cell_shape(scene.shape)) == (2, 21, 25)
    known = np.ones((21, 25), bool)
    known[:5, :5] = False
    assert np.allclose(found.sum(axis=0)[known], 1, atol=2e-3)
    assert (found[:, :4, :4] == 0).all()
    inner = known[:, :11] & True
    assert (found[0, :, :11][inner] > 0.5).mean() > 0.9
    assert (found[1, :, 15:] > 0.5).mean() > 0.9


def test_no_cell_is_asked_of_a_model_that_knows_the_nearest_place(tmp_path):
    """A lone wrong place in the dark half: trees that saw it would repeat it there by heart."""
    scene = make_halves()
    places = draw_places(60, scene.shape, 24.5)
    wrong = make_places(np.array([[20.0, 6.0]]), np.array([2]))
    coords = np.concatenate([places.coords, wrong.coords])
    labels = np.concatenate([places.label, wrong.label])
    all_places = make_places(coords, labels)
    found = guide_of(tmp_path, scene, all_places)
    learner = InstantLearner(instant_job(make_job(tmp_path, [scene])))
    knowing = learner.fit(all_places, None, seed=0)
    at_wrong = learner.predict(knowing, wrong)[0]
    assert at_wrong[1] > 0.5
    assert found[1, 10, 3] < 0.5


def test_one_feature_cannot_be_held_out_and_guides_alone(tmp_path):
    scene = make_halves()
    places = make_places(
        np.array([[20.0, 6.0], [20.0, 40.0]]), np.array([1, 2]), group=np.array([0, 0])
    )
    found = guide_of(tmp_path, scene, places)
    assert np.allclose(found.sum(axis=0), 1, atol=2e-3)


@pytest.mark.parametrize(
    "net", [{"model": "unet"}, {"model": "plain_unet", "widths": [8, 16, 32]}, {"model": "fpn"}]
)
def test_without_pretrained_weights_the_filter_bank_teaches(tmp_path, net):
    job = instant_job(make_job(tmp_path, [make_halves()], **net))
    assert job.recipe.net.model == "bank"
